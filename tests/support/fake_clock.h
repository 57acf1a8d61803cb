// SPDX-License-Identifier: Apache-2.0
// A clock that stands still until a test moves it.
#pragma once

#include <mutex>

#include "base/clock.h"

namespace rosterd::testing {

// Thread-safe.
class FakeClock final : public Clock {
 public:
  TimePoint Now() const override {
    std::lock_guard lock(mutex_);
    return now_;
  }
  WallTime WallNow() const override {
    std::lock_guard lock(mutex_);
    return wall_;
  }
  // Moves both clocks.
  void Advance(Duration d) {
    std::lock_guard lock(mutex_);
    now_ += d;
    wall_ += ToMilliseconds(d);
  }

 private:
  mutable std::mutex mutex_;
  TimePoint now_{seconds(1'000'000)};
  WallTime wall_{seconds(1'790'000'000)};
};

}  // namespace rosterd::testing
