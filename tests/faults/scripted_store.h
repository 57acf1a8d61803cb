// SPDX-License-Identifier: Apache-2.0
// ScriptedStore: what the members of a scripted cluster share: keys, leases and every change there
// ever was, so that a checker can tell what stood there at any revision. A restore or a replaced
// cluster begins a new era; the eras before it are kept. Any thread; knows no gRPC.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "etcd/client.h"

namespace rosterd::testing {

// Thread-safe.
class ScriptedStore {
 public:
  using Kvs = std::map<std::string, etcd::KeyValue>;

  // One history: what a watch from revision 1 would have told. Changes of one transaction share
  // their revision.
  struct Era {
    uint64_t cluster_id = 0;
    uint64_t raft_term = 2;
    int64_t revision = 1;
    std::vector<etcd::WatchEvent> events;
  };
  // Everything as it stands, for Restore().
  struct Backup {
    Era era;
    Kvs kvs;
    std::map<int64_t, seconds> leases;
  };
  // What a watch at `next` is to be told.
  struct Told {
    size_t era = 0;
    etcd::Header header;
    int64_t compacted = 0;
    std::vector<etcd::WatchEvent> events;  // under the prefix
  };
  struct Page {
    etcd::Header header;
    bool compacted = false;
    bool future = false;
    bool more = false;
    std::vector<etcd::KeyValue> kvs;
  };
  enum class Outcome { kDone, kNoLease, kLeaseExists };

  ScriptedStore();
  ~ScriptedStore();

  // --- For members, as etcd does it.
  etcd::Header MakeHeader() const;
  Page Range(const std::string& begin, const std::string& end, size_t limit, int64_t revision);
  Outcome Write(const std::vector<etcd::GuardedWrite>& writes, etcd::WriteBatchAnswer* answer);
  Outcome Grant(int64_t lease, seconds ttl);
  Outcome Renew(int64_t lease, seconds* ttl);
  Outcome Revoke(int64_t lease);
  Told Since(int64_t next, const std::string& begin, const std::string& end) const;
  // Returns when the store has left that revision or era, or at `limit`.
  void AwaitChange(int64_t revision, size_t era, milliseconds limit) const;

  // --- Somebody else's doing; each returns the revision after it.
  int64_t Put(const std::string& key, const std::string& value, int64_t lease = 0);
  int64_t PutAll(const std::map<std::string, std::string>& kvs, int64_t lease = 0);
  int64_t Delete(const std::string& key) { return DeleteAll({key}); }
  int64_t DeleteAll(const std::set<std::string>& keys);  // in one revision
  void Compact(int64_t revision);
  Backup TakeBackup() const;
  void Restore(const Backup& backup);
  void ReplaceCluster();

  // --- What is there.
  int64_t revision() const;
  uint64_t cluster_id() const;
  std::vector<Era> Eras() const;
  size_t era() const;
  Kvs All() const;
  std::optional<etcd::KeyValue> Get(const std::string& key) const;
  bool LeaseLives(int64_t lease) const;
  std::set<int64_t> Leases() const;

 private:
  struct Lease {
    seconds ttl{0};
    TimePoint ends = kNever;
  };
  // All want mutex_.
  void PutLocked(const std::string& key, const std::string& value, int64_t lease, int64_t revision);
  bool DeleteLocked(const std::string& key, int64_t revision);
  void EndLocked(int64_t lease);
  int64_t NextLocked() const { return eras_.back().revision + 1; }
  void Changed() { changed_.notify_all(); }
  void ExpireLoop(std::stop_token stop);

  const SystemClock clock_;
  mutable std::mutex mutex_;
  mutable std::condition_variable_any changed_;
  // Guarded by mutex_.
  std::vector<Era> eras_;
  Kvs kvs_;
  std::map<int64_t, Lease> leases_;
  int64_t compacted_ = 0;
  std::jthread expirer_;
};

// True for `key` in [begin, end) as etcd reads it.
bool InRange(const std::string& key, const std::string& begin, const std::string& end);

}  // namespace rosterd::testing
