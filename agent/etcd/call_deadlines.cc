// SPDX-License-Identifier: Apache-2.0
#include "etcd/call_deadlines.h"

#include <algorithm>
#include <utility>

#include "base/step_thread.h"

namespace rosterd::etcd {

CallDeadlines::CallDeadlines() : thread_([this](std::stop_token stop) { Run(std::move(stop)); }) {}

CallDeadlines::~CallDeadlines() {
  thread_.request_stop();
  thread_.join();
}

void CallDeadlines::Add(const void* call, milliseconds timeout, std::function<void()> cancel) {
  const Clock::time_point due = Clock::now() + timeout + kGrace;
  std::lock_guard lock(mutex_);
  calls_[call] = {due, std::move(cancel)};
  if (due < sleeps_until_) changed_.notify_one();
}

bool CallDeadlines::Remove(const void* call) {
  std::lock_guard lock(mutex_);
  const auto it = calls_.find(call);
  if (it == calls_.end()) return false;
  const bool cancelled = it->second.cancelled;
  calls_.erase(it);
  return cancelled;
}

CallDeadlines::Clock::time_point CallDeadlines::CancelOverdue(Clock::time_point now) {
  Clock::time_point next = Clock::time_point::max();
  for (auto& [call, entry] : calls_) {
    if (entry.cancelled) continue;
    if (entry.due > now) {
      next = std::min(next, entry.due);
      continue;
    }
    entry.cancelled = true;
    entry.cancel();
  }
  return next;
}

void CallDeadlines::Run(std::stop_token stop) {
  NameThisThread("deadlines");
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    sleeps_until_ = CancelOverdue(Clock::now());
    const auto earlier = [this] {
      return std::any_of(calls_.begin(), calls_.end(), [this](const auto& call) {
        return !call.second.cancelled && call.second.due < sleeps_until_;
      });
    };
    if (sleeps_until_ == Clock::time_point::max()) {
      changed_.wait(lock, stop, earlier);
    } else {
      changed_.wait_until(lock, stop, sleeps_until_, earlier);
    }
  }
}

}  // namespace rosterd::etcd
