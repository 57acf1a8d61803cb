// SPDX-License-Identifier: Apache-2.0
// SdNotifier: tells systemd how the daemon is (sd_notify(3)) and feeds its watchdog. Without
// systemd it does nothing. Used by the main thread only.
#pragma once

#include <optional>

#include "base/clock.h"

namespace rosterd {

// Owned by the main thread.
class SdNotifier {
 public:
  SdNotifier();

  void Ready();
  void Reloading();
  void Stopping();
  void FeedWatchdog();
  // Half of WatchdogSec; empty when the unit has none.
  std::optional<Duration> watchdog_interval() const { return watchdog_interval_; }

 private:
  std::optional<Duration> watchdog_interval_;
};

}  // namespace rosterd
