// SPDX-License-Identifier: Apache-2.0
// StepThread: the one small loop around a worker's Step. The worker does what is due and says when
// it wants to be called next; Wake() calls it earlier. Sleeps on CLOCK_BOOTTIME, so a Step that
// fell due during a suspend runs at once after it.
#pragma once

#include <atomic>
#include <functional>
#include <future>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/unique_fd.h"

namespace rosterd {

// Thread-safe: Wake() and Stop() may be called from any thread.
class StepThread {
 public:
  using Step = std::function<TimePoint(TimePoint now)>;

  // Does not start yet. `name` is cut to 15 characters (the kernel's limit). `clock` must outlive
  // it.
  StepThread(const std::string& name, const Clock& clock, Step step);
  ~StepThread();
  StepThread(const StepThread&) = delete;
  StepThread& operator=(const StepThread&) = delete;

  // Once, and not after Stop().
  void Start();
  // Calls the Step soon, whatever time it asked for; a wake-up during a Step causes one more Step.
  void Wake() const;
  // Ends the loop after the Step in progress and joins. The worker's own calls in flight must be
  // cancelled by whoever stops it (bounded stop).
  void Stop();
  // As Stop(), but gives the Step in progress only this long; false when it still runs. The owner
  // then cancels what it waits for, and calls Stop().
  bool StopWithin(Duration limit);
  // When the Step in progress began, or `now` while the loop sleeps: a loop that hangs falls
  // behind.
  TimePoint LastTurn(TimePoint now) const;

 private:
  void Run(std::stop_token stop);

  // Constant after construction.
  const std::string name_;
  const Clock& clock_;
  const Step step_;
  UniqueFd wake_fd_;                          // eventfd
  UniqueFd timer_fd_;                         // timerfd on CLOCK_BOOTTIME
  std::atomic<Duration::rep> step_began_{0};  // since the clock's epoch; 0: sleeping
  // Guards the join: two threads may stop at once.
  std::mutex join_mutex_;
  std::promise<void> ended_;
  const std::future<void> end_{ended_.get_future()};
  std::jthread thread_;
};

// Names the calling thread for ps, top and gdb.
void NameThisThread(const std::string& name);

}  // namespace rosterd
