// SPDX-License-Identifier: Apache-2.0
// WatchRun: a watch on a thread of its own whose batches a test waits for.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "etcd/client.h"

namespace rosterd::testing {

// Owned by the test; its watch is stopped when it goes.
class WatchRun {
 public:
  WatchRun(etcd::Client& client, const std::string& prefix, int64_t start_revision,
           milliseconds open_timeout = milliseconds(3000))
      : thread_([=, this, &client](std::stop_token stop) {
          etcd::Error end = client.Watch(prefix, start_revision, open_timeout, stop,
                                         [&](const etcd::WatchBatch& batch) {
                                           std::lock_guard lock(mutex_);
                                           batches_.push_back(batch);
                                           changed_.notify_all();
                                           return true;
                                         });
          std::lock_guard lock(mutex_);
          end_ = std::move(end);
          changed_.notify_all();
        }) {}

  // All wait at most 10 s of real time; false when it took longer or the watch ended before.
  bool WaitForCreated() {
    return Wait([&] { return !batches_.empty() && batches_.front().created; });
  }
  bool WaitForEvents(size_t count) {
    return Wait([&] { return EventsLocked().size() >= count; });
  }

  // Stops the watch; why it ended.
  etcd::Error Stop() {
    thread_.request_stop();
    return End();
  }
  // Waits for its end.
  etcd::Error End() {
    if (thread_.joinable()) thread_.join();
    std::lock_guard lock(mutex_);
    return *end_;
  }

  std::vector<etcd::WatchBatch> Batches() const {
    std::lock_guard lock(mutex_);
    return batches_;
  }
  std::vector<etcd::WatchEvent> Events() const {
    std::lock_guard lock(mutex_);
    return EventsLocked();
  }

 private:
  bool Wait(const std::function<bool()>& reached) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, seconds(10), [&] { return reached() || end_.has_value(); });
    return reached();
  }
  std::vector<etcd::WatchEvent> EventsLocked() const {
    std::vector<etcd::WatchEvent> events;
    for (const etcd::WatchBatch& batch : batches_) {
      events.insert(events.end(), batch.events.begin(), batch.events.end());
    }
    return events;
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_.
  std::vector<etcd::WatchBatch> batches_;
  std::optional<etcd::Error> end_;
  std::jthread thread_;  // last: it uses the others
};

}  // namespace rosterd::testing
