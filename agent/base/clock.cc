// SPDX-License-Identifier: Apache-2.0
#include "base/clock.h"

#include <time.h>

#include <cstdio>

namespace rosterd {

BootClock::time_point BootClock::now() noexcept {
  timespec ts{};
  clock_gettime(CLOCK_BOOTTIME, &ts);
  return time_point(std::chrono::seconds(ts.tv_sec) + std::chrono::nanoseconds(ts.tv_nsec));
}

TimePoint SystemClock::Now() const { return BootClock::now(); }

WallTime SystemClock::WallNow() const {
  return std::chrono::time_point_cast<milliseconds>(std::chrono::system_clock::now());
}

std::string FormatRfc3339(WallTime time) {
  const auto since_epoch = time.time_since_epoch().count();
  if (since_epoch == 0) return "";
  const auto whole_seconds = std::chrono::floor<seconds>(time.time_since_epoch());
  const time_t whole = static_cast<time_t>(whole_seconds.count());
  tm parts{};
  gmtime_r(&whole, &parts);
  char text[64];
  std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", parts.tm_year + 1900,
                parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                static_cast<int>(since_epoch - whole_seconds.count() * 1000));
  return text;
}

}  // namespace rosterd
