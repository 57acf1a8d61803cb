// SPDX-License-Identifier: Apache-2.0
// The loop around a Step. It needs real threads; what it does is waited for, never slept for.
#include "base/step_thread.h"

#include <pthread.h>

#include <catch2/catch.hpp>
#include <condition_variable>
#include <future>
#include <mutex>

#include "support/fake_clock.h"

namespace rosterd {
namespace {

constexpr std::chrono::seconds kDeadline(10);

// Counts Steps and lets a test wait for the n-th. Thread-safe.
class Counter {
 public:
  int Add() {
    std::lock_guard lock(mutex_);
    changed_.notify_all();
    return ++count_;
  }
  bool Reaches(int wanted) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kDeadline, [&] { return count_ >= wanted; });
  }
  int count() {
    std::lock_guard lock(mutex_);
    return count_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int count_ = 0;
};

TEST_CASE("the first Step runs without a wake-up, with the clock's time") {
  const testing::FakeClock clock;
  std::promise<TimePoint> called;
  StepThread thread("test", clock, [&, first = true](TimePoint now) mutable {
    if (std::exchange(first, false)) called.set_value(now);
    return kNever;
  });
  thread.Start();
  auto result = called.get_future();
  REQUIRE(result.wait_for(kDeadline) == std::future_status::ready);
  CHECK(result.get() == clock.Now());
}

TEST_CASE("a Step that asks for never runs again only when woken") {
  const SystemClock clock;
  Counter steps;
  StepThread thread("test", clock, [&](TimePoint) {
    steps.Add();
    return kNever;
  });
  thread.Start();
  REQUIRE(steps.Reaches(1));
  thread.Wake();
  REQUIRE(steps.Reaches(2));
  thread.Stop();
  CHECK(steps.count() == 2);
}

TEST_CASE("a wake-up during a Step causes one more Step, and many cause no more than that") {
  const SystemClock clock;
  Counter steps;
  std::promise<void> go_on;
  const auto released = go_on.get_future().share();
  StepThread thread("test", clock, [&](TimePoint) {
    if (steps.Add() == 1) released.wait_for(kDeadline);
    return kNever;
  });
  thread.Start();
  REQUIRE(steps.Reaches(1));
  for (int i = 0; i < 100; ++i) thread.Wake();
  go_on.set_value();
  REQUIRE(steps.Reaches(2));
  thread.Stop();
  CHECK(steps.count() == 2);
}

TEST_CASE("a Step is called again at the time it asked for") {
  const SystemClock clock;
  Counter steps;
  TimePoint asked{};
  std::promise<TimePoint> second;
  StepThread thread("test", clock, [&](TimePoint now) {
    if (steps.Add() == 1) return asked = now + milliseconds(5);
    if (steps.count() == 2) second.set_value(now);
    return kNever;
  });
  thread.Start();
  auto result = second.get_future();
  REQUIRE(result.wait_for(kDeadline) == std::future_status::ready);
  const TimePoint called = result.get();
  thread.Stop();
  CHECK(called >= asked);
}

TEST_CASE("a time that is past, zero or before the clock began means at once") {
  const TimePoint when = GENERATE(TimePoint::min(), TimePoint(), TimePoint(Duration(-5)),
                                  TimePoint(Duration(1)), TimePoint(seconds(1)));
  const SystemClock clock;
  Counter steps;
  StepThread thread("test", clock, [&](TimePoint) { return steps.Add() < 3 ? when : kNever; });
  thread.Start();
  CHECK(steps.Reaches(3));
}

TEST_CASE("Stop waits for the Step in progress and starts no other") {
  const SystemClock clock;
  Counter begun;
  Counter ended;
  std::promise<void> go_on;
  const auto released = go_on.get_future().share();
  StepThread thread("test", clock, [&](TimePoint) {
    begun.Add();
    released.wait_for(kDeadline);
    ended.Add();
    return TimePoint();
  });
  thread.Start();
  REQUIRE(begun.Reaches(1));
  auto stopped = std::async(std::launch::async, [&] { thread.Stop(); });
  go_on.set_value();
  REQUIRE(stopped.wait_for(kDeadline) == std::future_status::ready);
  CHECK(begun.count() == ended.count());
  const int after = begun.count();
  thread.Wake();
  CHECK(begun.count() == after);
}

TEST_CASE("several threads may stop at once, and stopping twice is harmless") {
  const SystemClock clock;
  StepThread thread("test", clock, [](TimePoint) { return kNever; });
  thread.Start();
  std::vector<std::future<void>> stops;
  for (int i = 0; i < 4; ++i) {
    stops.push_back(std::async(std::launch::async, [&] { thread.Stop(); }));
  }
  for (auto& stop : stops) CHECK(stop.wait_for(kDeadline) == std::future_status::ready);
  thread.Stop();
}

TEST_CASE("nothing runs before Start, and one that never started can be stopped") {
  const SystemClock clock;
  Counter steps;
  {
    StepThread thread("test", clock, [&](TimePoint) {
      steps.Add();
      return kNever;
    });
    thread.Wake();
    CHECK(thread.StopWithin(Duration::zero()));
    thread.Stop();
  }
  CHECK(steps.count() == 0);
}

TEST_CASE("StopWithin says whether the Step in progress ended in time, and may be asked again") {
  const SystemClock clock;
  Counter begun;
  std::promise<void> go_on;
  const auto released = go_on.get_future().share();
  StepThread thread("test", clock, [&](TimePoint) {
    begun.Add();
    released.wait_for(kDeadline);
    return TimePoint();
  });
  thread.Start();
  REQUIRE(begun.Reaches(1));
  CHECK_FALSE(thread.StopWithin(milliseconds(1)));
  CHECK_FALSE(thread.StopWithin(Duration::zero()));
  go_on.set_value();
  CHECK(thread.StopWithin(kDeadline));
  CHECK(thread.StopWithin(Duration::zero()));
  CHECK(begun.count() == 1);
}

TEST_CASE("the last turn is now while the loop sleeps, and stays behind while a Step hangs") {
  testing::FakeClock clock;
  const TimePoint start = clock.Now();
  Counter begun;
  std::promise<void> go_on;
  const auto released = go_on.get_future().share();
  StepThread thread("test", clock, [&](TimePoint) {
    begun.Add();
    released.wait_for(kDeadline);
    return kNever;
  });
  CHECK(thread.LastTurn(start) == start);
  thread.Start();
  REQUIRE(begun.Reaches(1));
  clock.Advance(seconds(30));
  CHECK(thread.LastTurn(clock.Now()) == start);
  go_on.set_value();
  thread.Stop();
  CHECK(thread.LastTurn(clock.Now()) == clock.Now());
}

TEST_CASE("the thread carries the first 15 characters of its name") {
  const SystemClock clock;
  std::promise<std::string> named;
  StepThread thread("a-name-that-is-too-long", clock, [&, first = true](TimePoint) mutable {
    char name[32] = "";
    pthread_getname_np(pthread_self(), name, sizeof name);
    if (std::exchange(first, false)) named.set_value(name);
    return kNever;
  });
  thread.Start();
  auto result = named.get_future();
  REQUIRE(result.wait_for(kDeadline) == std::future_status::ready);
  CHECK(result.get() == "a-name-that-is-");
}

TEST_CASE("StopWithin gives a Step that hangs only so long, and Stop ends it afterwards") {
  const SystemClock clock;
  std::promise<void> began, release;
  StepThread thread("test", clock, [&, first = true](TimePoint) mutable {
    if (std::exchange(first, false)) {
      began.set_value();
      release.get_future().wait();
    }
    return kNever;
  });
  thread.Start();
  REQUIRE(began.get_future().wait_for(kDeadline) == std::future_status::ready);
  CHECK_FALSE(thread.StopWithin(milliseconds(1)));
  release.set_value();
  thread.Stop();
}

TEST_CASE("StopWithin joins a thread that sleeps, and one that never started") {
  const SystemClock clock;
  StepThread thread("test", clock, [](TimePoint) { return kNever; });
  CHECK(thread.StopWithin(milliseconds(1)));
  thread.Start();
  CHECK(thread.StopWithin(kDeadline));
}

}  // namespace
}  // namespace rosterd
