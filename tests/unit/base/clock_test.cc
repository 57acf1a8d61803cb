// SPDX-License-Identifier: Apache-2.0
// The project's clocks and the text form of wall time.
#include "base/clock.h"

#include <catch2/catch.hpp>

#include "support/fake_clock.h"

namespace rosterd {
namespace {

std::string At(int64_t ms) { return FormatRfc3339(WallTime(milliseconds(ms))); }

TEST_CASE("RFC 3339 is UTC with three digits of milliseconds") {
  CHECK(At(1) == "1970-01-01T00:00:00.001Z");
  CHECK(At(1'795'374'862'123) == "2026-11-22T19:14:22.123Z");
  CHECK(At(951'782'400'000) == "2000-02-29T00:00:00.000Z");
  CHECK(At(1'795'374'862'007) == "2026-11-22T19:14:22.007Z");
}

TEST_CASE("the epoch itself means never and reads empty") { CHECK(At(0) == ""); }

TEST_CASE("a moment before the epoch counts forwards within its second") {
  CHECK(At(-1) == "1969-12-31T23:59:59.999Z");
  CHECK(At(-1000) == "1969-12-31T23:59:59.000Z");
}

TEST_CASE("the boot clock never goes back and is not behind the monotonic one") {
  const TimePoint first = BootClock::now();
  const TimePoint second = SystemClock().Now();
  CHECK(second >= first);
  timespec monotonic{};
  clock_gettime(CLOCK_MONOTONIC, &monotonic);
  CHECK(BootClock::now().time_since_epoch() >=
        std::chrono::seconds(monotonic.tv_sec) + std::chrono::nanoseconds(monotonic.tv_nsec));
}

TEST_CASE("the system clock's wall time is the system's") {
  const auto before = std::chrono::time_point_cast<milliseconds>(std::chrono::system_clock::now());
  const WallTime now = SystemClock().WallNow();
  CHECK(now >= before);
  CHECK(now <= std::chrono::system_clock::now());
}

TEST_CASE("milliseconds of a duration are cut, not rounded") {
  CHECK(ToMilliseconds(std::chrono::microseconds(1999)) == milliseconds(1));
}

TEST_CASE("the tests' clock stands still until it is moved") {
  testing::FakeClock clock;
  const TimePoint start = clock.Now();
  const WallTime wall = clock.WallNow();
  CHECK(clock.Now() == start);
  clock.Advance(seconds(3));
  CHECK(clock.Now() - start == seconds(3));
  CHECK(clock.WallNow() - wall == seconds(3));
}

}  // namespace
}  // namespace rosterd
