// SPDX-License-Identifier: Apache-2.0
// WatchSignal: how other threads reach the watcher, which sleeps in etcd's watch stream or between
// two attempts. The session's thread knocks whenever it publishes; nothing else crosses here.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <stop_token>

#include "base/clock.h"

namespace rosterd {

// Thread-safe.
class WatchSignal {
 public:
  // `clock` must outlive every Knock().
  explicit WatchSignal(const Clock& clock) : clock_(clock) {}

  // Ends the watch that is over its time, and makes a waiting watcher look again.
  void Knock();

  // The token that ends the watch about to begin, at the first Knock() after `due` or at once by
  // EndWatch().
  std::stop_token BeginWatch(TimePoint due);
  // For the watch that goes on.
  void SetDue(TimePoint due);
  void EndWatch();
  // Whether the last watch was ended because it was over its time.
  bool WasDue();

  // Returns when `ready()` holds (asked at the start and at every Knock), after `limit`, or on
  // stop. `ready` must not call back into this object.
  void Wait(std::stop_token stop, Duration limit, const std::function<bool()>& ready);

 private:
  const Clock& clock_;
  std::mutex mutex_;
  std::condition_variable_any knocked_;
  // Guarded by mutex_.
  std::stop_source watch_{std::nostopstate};
  TimePoint due_ = kNever;
  bool was_due_ = false;
};

}  // namespace rosterd
