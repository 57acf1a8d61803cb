// SPDX-License-Identifier: Apache-2.0
// A client that answers List and Watch by a script: what etcd does only in its bad moments.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "etcd/client.h"

namespace rosterd::testing {

// Owned by the test's thread.
class ScriptedClient final : public etcd::Client {
 public:
  using OnBatch = std::function<bool(const etcd::WatchBatch&)>;
  using WatchScript = std::function<etcd::Error(std::stop_token, const OnBatch&)>;

  std::deque<etcd::Result<etcd::ListAnswer>> lists;
  std::deque<WatchScript> watches;
  // Asked for so far.
  size_t listed = 0;
  std::vector<int64_t> watched_from;

  etcd::Result<etcd::ListAnswer> List(const std::string&, milliseconds) override {
    ++listed;
    if (lists.empty()) return Unscripted();
    auto answer = std::move(lists.front());
    lists.pop_front();
    if (answer.ok()) last_list_ = answer->kvs;
    return answer;
  }
  etcd::Error Watch(const std::string&, int64_t start, milliseconds, std::stop_token stop,
                    const OnBatch& on_batch) override {
    watched_from.push_back(start);
    if (watches.empty()) return Unscripted();
    const WatchScript script = std::move(watches.front());
    watches.pop_front();
    return script(std::move(stop), on_batch);
  }

  etcd::Result<etcd::GrantAnswer> Grant(int64_t, seconds, milliseconds) override {
    return Unscripted();
  }
  etcd::Result<etcd::KeepAliveAnswer> KeepAlive(int64_t, milliseconds) override {
    return Unscripted();
  }
  etcd::Result<etcd::Header> Revoke(int64_t, milliseconds) override { return Unscripted(); }
  etcd::Result<etcd::WriteBatchAnswer> Write(const std::vector<etcd::GuardedWrite>&,
                                             milliseconds) override {
    return Unscripted();
  }
  // Null: what was listed last stands there.
  std::function<etcd::Result<std::optional<etcd::KeyValue>>(const std::string& key,
                                                            int64_t revision)>
      read_at;
  std::vector<std::string> read;
  etcd::Result<std::optional<etcd::KeyValue>> ReadAt(const std::string& key, int64_t revision,
                                                     milliseconds) override {
    read.push_back(key);
    if (read_at) return read_at(key, revision);
    for (const etcd::KeyValue& kv : last_list_) {
      if (kv.key == key) return std::optional(kv);
    }
    return std::optional<etcd::KeyValue>();
  }
  etcd::Result<etcd::Header> Ping(milliseconds) override { return Unscripted(); }

  static etcd::Error Broken(std::string text = "connection reset") {
    return {etcd::ErrorClass::kUnavailable, 14, std::move(text), "http://scripted", 0};
  }
  static etcd::Error Cancelled() {
    return {etcd::ErrorClass::kCancelled, 1, "cancelled", "http://scripted", 0};
  }

 private:
  std::vector<etcd::KeyValue> last_list_;
  static etcd::Error Unscripted() { return Broken("not in the script"); }
};

}  // namespace rosterd::testing
