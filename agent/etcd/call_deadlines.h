// SPDX-License-Identifier: Apache-2.0
// CallDeadlines: ends calls that gRPC does not end in time. gRPC's own deadlines sleep on the wall
// clock in the end (abseil's futex waits on CLOCK_REALTIME), so they come an hour late when that is
// set back by an hour. Owns the deadlines thread.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <thread>

#include "base/clock.h"

namespace rosterd::etcd {

// Thread-safe.
class CallDeadlines {
 public:
  // How long gRPC has before we do it.
  static constexpr milliseconds kGrace{250};

  CallDeadlines();
  ~CallDeadlines();
  CallDeadlines(const CallDeadlines&) = delete;
  CallDeadlines& operator=(const CallDeadlines&) = delete;

  // `cancel` is called at most once, kGrace after `timeout`, on the deadlines thread, unless the
  // call is removed before; it must be short. A second Add of the same call replaces the first.
  void Add(const void* call, milliseconds timeout, std::function<void()> cancel);
  // Returns whether it was cancelled; it is not while or after this runs.
  bool Remove(const void* call);

 private:
  using Clock = std::chrono::steady_clock;
  struct Entry {
    Clock::time_point due;
    std::function<void()> cancel;
    bool cancelled = false;
  };

  void Run(std::stop_token stop);
  // When the next one is due, after those that are over have been cancelled.
  Clock::time_point CancelOverdue(Clock::time_point now);

  std::mutex mutex_;
  std::condition_variable_any changed_;
  // Guarded by mutex_.
  std::map<const void*, Entry> calls_;
  Clock::time_point sleeps_until_ = Clock::time_point::max();

  std::jthread thread_;
};

}  // namespace rosterd::etcd
