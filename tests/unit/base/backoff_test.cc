// SPDX-License-Identifier: Apache-2.0
// Full jitter: the bounds hold, and the whole range is used.
#include "base/backoff.h"

#include <algorithm>
#include <catch2/catch.hpp>

namespace rosterd {
namespace {

constexpr Duration kBase = milliseconds(100);
constexpr Duration kCap = seconds(2);

// The largest and smallest n-th delay (from 0) over many random sources.
std::pair<Duration, Duration> RangeOfAttempt(int n) {
  Duration smallest = Duration::max();
  Duration largest = Duration::min();
  for (int seed = 0; seed < 500; ++seed) {
    Random random(seed);
    Backoff backoff(kBase, kCap);
    Duration delay{};
    for (int i = 0; i <= n; ++i) delay = backoff.Next(random);
    smallest = std::min(smallest, delay);
    largest = std::max(largest, delay);
  }
  return {smallest, largest};
}

TEST_CASE("the limit doubles with each failure up to the cap, and jitter uses all of it") {
  const auto [attempt, limit] = GENERATE(table<int, Duration>({
      {0, milliseconds(100)},
      {1, milliseconds(200)},
      {2, milliseconds(400)},
      {4, milliseconds(1600)},
      {5, seconds(2)},
      {200, seconds(2)},
  }));
  CAPTURE(attempt);
  const auto [smallest, largest] = RangeOfAttempt(attempt);
  CHECK(smallest >= Duration::zero());
  CHECK(smallest < limit / 20);
  CHECK(largest <= limit);
  CHECK(largest > limit / 20 * 19);
}

TEST_CASE("Reset begins again at the base") {
  Random random(1);
  Backoff backoff(kBase, kCap);
  for (int i = 0; i < 10; ++i) backoff.Next(random);
  for (int i = 0; i < 200; ++i) {
    backoff.Reset();
    CHECK(backoff.Next(random) <= kBase);
  }
}

TEST_CASE("one seed gives one sequence") {
  Random a(42);
  Random b(42);
  Backoff backoff_a(kBase, kCap);
  Backoff backoff_b(kBase, kCap);
  for (int i = 0; i < 20; ++i) CHECK(backoff_a.Next(a) == backoff_b.Next(b));
}

TEST_CASE("RandomUpTo stays within its limit and is 0 for none") {
  Random random(3);
  for (int i = 0; i < 200; ++i) {
    const Duration d = RandomUpTo(milliseconds(7), random);
    CHECK((d >= Duration::zero() && d <= milliseconds(7)));
  }
  CHECK(RandomUpTo(Duration::zero(), random) == Duration::zero());
  CHECK(RandomUpTo(milliseconds(-5), random) == Duration::zero());
}

TEST_CASE("Jittered stays within its percentage on both sides") {
  Random random(4);
  Duration smallest = Duration::max();
  Duration largest = Duration::min();
  for (int i = 0; i < 2000; ++i) {
    const Duration d = Jittered(seconds(10), 10, random);
    smallest = std::min(smallest, d);
    largest = std::max(largest, d);
  }
  CHECK(smallest >= seconds(9));
  CHECK(smallest < milliseconds(9100));
  CHECK(largest <= seconds(11));
  CHECK(largest > milliseconds(10900));
  CHECK(Jittered(seconds(10), 0, random) == seconds(10));
}

}  // namespace
}  // namespace rosterd
