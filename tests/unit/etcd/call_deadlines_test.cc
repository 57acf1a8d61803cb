// SPDX-License-Identifier: Apache-2.0
#include "etcd/call_deadlines.h"

#include <catch2/catch.hpp>
#include <condition_variable>
#include <mutex>

namespace rosterd::etcd {
namespace {

// Real time, but no sleep: the thread is waited for.
struct Cancelled {
  std::mutex mutex;
  std::condition_variable changed;
  int count = 0;

  std::function<void()> Note() {
    return [this] {
      std::lock_guard lock(mutex);
      ++count;
      changed.notify_all();
    };
  }
  bool Await(int wanted) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, seconds(5), [&] { return count == wanted; });
  }
};

TEST_CASE("A call that is over its time is cancelled, once") {
  Cancelled cancelled;
  CallDeadlines deadlines;
  const int call = 0;
  const auto began = std::chrono::steady_clock::now();
  deadlines.Add(&call, milliseconds(1), cancelled.Note());
  CHECK(cancelled.Await(1));
  CHECK(std::chrono::steady_clock::now() - began >= CallDeadlines::kGrace);
  CHECK(deadlines.Remove(&call));
  CHECK_FALSE(deadlines.Remove(&call));
}

TEST_CASE("A call that ended in time is not cancelled; a later one with less time is") {
  Cancelled cancelled;
  CallDeadlines deadlines;
  const int calls[3] = {};
  deadlines.Add(&calls[0], seconds(60), cancelled.Note());
  deadlines.Add(&calls[1], milliseconds(0), cancelled.Note());
  CHECK_FALSE(deadlines.Remove(&calls[1]));
  deadlines.Add(&calls[2], milliseconds(1), cancelled.Note());
  CHECK(cancelled.Await(1));
  CHECK(deadlines.Remove(&calls[2]));
  CHECK_FALSE(deadlines.Remove(&calls[0]));
  CHECK(cancelled.count == 1);
}

TEST_CASE("A call that is given more time has it") {
  Cancelled cancelled;
  CallDeadlines deadlines;
  const int calls[2] = {};
  deadlines.Add(&calls[0], milliseconds(1), cancelled.Note());
  deadlines.Add(&calls[0], seconds(60), cancelled.Note());
  deadlines.Add(&calls[1], milliseconds(2), cancelled.Note());
  CHECK(cancelled.Await(1));
  CHECK_FALSE(deadlines.Remove(&calls[0]));
}

}  // namespace
}  // namespace rosterd::etcd
