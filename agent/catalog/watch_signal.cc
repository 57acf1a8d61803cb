// SPDX-License-Identifier: Apache-2.0
#include "catalog/watch_signal.h"

#include <utility>

namespace rosterd {

void WatchSignal::Knock() {
  std::stop_source over{std::nostopstate};
  {
    std::lock_guard lock(mutex_);
    if (clock_.Now() >= due_) {
      over = watch_;
      was_due_ = true;
    }
    knocked_.notify_all();
  }
  // Outside the lock: it runs the client's cancellation.
  over.request_stop();
}

std::stop_token WatchSignal::BeginWatch(TimePoint due) {
  std::lock_guard lock(mutex_);
  watch_ = std::stop_source();
  was_due_ = false;
  due_ = due;
  return watch_.get_token();
}

void WatchSignal::SetDue(TimePoint due) {
  std::lock_guard lock(mutex_);
  due_ = due;
}

void WatchSignal::EndWatch() {
  std::stop_source ended{std::nostopstate};
  {
    std::lock_guard lock(mutex_);
    std::swap(ended, watch_);
    due_ = kNever;
  }
  ended.request_stop();
}

bool WatchSignal::WasDue() {
  std::lock_guard lock(mutex_);
  return was_due_;
}

void WatchSignal::Wait(std::stop_token stop, Duration limit, const std::function<bool()>& ready) {
  std::unique_lock lock(mutex_);
  knocked_.wait_for(lock, stop, limit, ready);
}

}  // namespace rosterd
