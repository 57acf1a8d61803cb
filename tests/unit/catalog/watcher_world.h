// SPDX-License-Identifier: Apache-2.0
// A watcher with everything it needs, and waiting for what it publishes by condition.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/metrics.h"
#include "catalog/watcher.h"
#include "support/fake_clock.h"
#include "values.h"

namespace rosterd::testing {

class WatcherWorld {
 public:
  // `retry`: the longest first pause between two attempts; 0: none.
  explicit WatcherWorld(etcd::Client& client, Duration retry = Duration::zero())
      : watcher_({.prefix = kPrefix, .retry_base = retry, .retry_cap = retry}, client, session,
                 clock, log, metrics, Random(1)) {
    watcher_.catalogs().Subscribe([this] {
      std::lock_guard lock(mutex_);
      published_.notify_all();
    });
  }

  Watcher& watcher() { return watcher_; }
  std::shared_ptr<const Catalog> catalog() { return watcher_.catalogs().Get(); }

  // The first catalog for which `holds`; null when there is none within 5 s of real time.
  std::shared_ptr<const Catalog> Await(const std::function<bool(const Catalog&)>& holds) {
    std::unique_lock lock(mutex_);
    std::shared_ptr<const Catalog> found;
    const bool in_time = published_.wait_for(lock, seconds(5), [&] {
      found = catalog();
      return found != nullptr && holds(*found);
    });
    return in_time ? found : nullptr;
  }
  std::shared_ptr<const Catalog> AwaitRevision(int64_t revision) {
    return Await([&](const Catalog& c) { return c.watch_open() && c.revision() >= revision; });
  }

  void PublishSession(EtcdState state, uint64_t generation) {
    auto snapshot = std::make_shared<EtcdSnapshot>();
    snapshot->state = state;
    snapshot->generation = generation;
    session.Publish(std::move(snapshot));
  }

  size_t CountLines(const std::string& part) {
    std::lock_guard lock(lines_mutex_);
    size_t count = 0;
    for (const std::string& line : lines_) count += line.find(part) != std::string::npos ? 1 : 0;
    return count;
  }
  bool HasMetric(const std::string& line) {
    return ("\n" + metrics.Render()).find("\n" + line + "\n") != std::string::npos;
  }

  FakeClock clock;
  Latest<EtcdSnapshot> session;
  Metrics metrics;

 private:
  std::mutex lines_mutex_;
  std::vector<std::string> lines_;

 public:
  Log log{LogLevel::kDebug, LogFormat::kText, [this](const std::string& line) {
            std::lock_guard lock(lines_mutex_);
            lines_.push_back(line);
          }};

 private:
  std::mutex mutex_;
  std::condition_variable published_;
  Watcher watcher_;
};

}  // namespace rosterd::testing
