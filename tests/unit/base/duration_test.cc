// SPDX-License-Identifier: Apache-2.0
// Durations as people write them.
#include "base/duration.h"

#include <catch2/catch.hpp>

namespace rosterd {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::minutes;

TEST_CASE("durations that are read") {
  const auto [text, expected] = GENERATE(table<std::string, Duration>({
      {"0", seconds(0)},
      {"0s", seconds(0)},
      {"1ns", Duration(1)},
      {"250us", microseconds(250)},
      {"500ms", milliseconds(500)},
      {"15s", seconds(15)},
      {"5m", minutes(5)},
      {"1h", hours(1)},
      {"1h30m", minutes(90)},
      {"1m30s", seconds(90)},
      {"1.5s", milliseconds(1500)},
      {".5s", milliseconds(500)},
      {"1.s", seconds(1)},
      {"010s", seconds(10)},
      {"1h1ns", hours(1) + Duration(1)},
      {"876000h", hours(876000)},
  }));
  CAPTURE(text);
  const auto parsed = ParseDuration(text);
  REQUIRE(parsed.ok());
  CHECK(*parsed == expected);
}

TEST_CASE("durations that are refused, with what would be right") {
  const std::string text =
      GENERATE("", "5", "s", "-1s", "+1s", "5 s", " 5s", "5s ", "5x", "5sec", "1e3s", "1..5s", ".",
               ".s", "0x10s", "5S", "inf", "nan", "1,5s", "00", "5m3", "\xc2\xb5s");
  CAPTURE(text);
  const auto parsed = ParseDuration(text);
  REQUIRE_FALSE(parsed.ok());
  CHECK_THAT(
      std::string(parsed.status().message()),
      Catch::Contains("'" + text + "' is not a duration") && Catch::Contains("ms, s, m or h"));
}

TEST_CASE("a duration beyond a hundred years is refused, however it is written") {
  const std::string text =
      GENERATE(std::string("876001h"), std::string(60, '9') + "h", std::string("876000h1s"));
  CAPTURE(text);
  const auto parsed = ParseDuration(text);
  REQUIRE_FALSE(parsed.ok());
  CHECK_THAT(std::string(parsed.status().message()), Catch::Contains("too long"));
}

TEST_CASE("an endless duration is quoted only in part") {
  const auto parsed = ParseDuration(std::string(100'000, 'x'));
  REQUIRE_FALSE(parsed.ok());
  CHECK(parsed.status().message().size() < 250);
}

TEST_CASE("durations are written in the largest unit that is exact") {
  const auto [duration, expected] = GENERATE(table<Duration, std::string>({
      {seconds(0), "0s"},
      {seconds(15), "15s"},
      {milliseconds(1500), "1500ms"},
      {minutes(5), "5m"},
      {seconds(90), "90s"},
      {hours(48), "48h"},
      {microseconds(20), "20us"},
      {Duration(7), "7ns"},
  }));
  CHECK(FormatDuration(duration) == expected);
  CHECK(*ParseDuration(expected) == duration);
}

}  // namespace
}  // namespace rosterd
