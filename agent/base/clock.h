// SPDX-License-Identifier: Apache-2.0
// The project's clocks. Intervals, deadlines and leases use TimePoint on CLOCK_BOOTTIME: it never
// jumps and, unlike std::chrono::steady_clock, it goes on while the host is suspended, as etcd's
// leases do. What people read (RFC 3339) uses the wall clock. Pure code takes `now` as an argument.
#pragma once

#include <chrono>
#include <string>

namespace rosterd {

struct BootClock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<BootClock>;
  static constexpr bool is_steady = true;
  static time_point now() noexcept;
};

using Duration = BootClock::duration;
using TimePoint = BootClock::time_point;
using WallTime = std::chrono::time_point<std::chrono::system_clock, std::chrono::milliseconds>;
using std::chrono::milliseconds;
using std::chrono::seconds;

// For a Step that has nothing due: "call me only when woken".
inline constexpr TimePoint kNever = TimePoint::max();

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimePoint Now() const = 0;
  virtual WallTime WallNow() const = 0;
};

// The real clocks. Thread-safe.
class SystemClock final : public Clock {
 public:
  TimePoint Now() const override;
  WallTime WallNow() const override;
};

// "2026-11-22T19:14:22.123Z"; the epoch itself reads "" (never happened).
std::string FormatRfc3339(WallTime time);

inline milliseconds ToMilliseconds(Duration d) {
  return std::chrono::duration_cast<milliseconds>(d);
}

}  // namespace rosterd
