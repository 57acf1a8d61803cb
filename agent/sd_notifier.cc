// SPDX-License-Identifier: Apache-2.0
#include "sd_notifier.h"

#include <systemd/sd-daemon.h>
#include <time.h>

#include <string>

namespace rosterd {

SdNotifier::SdNotifier() {
  uint64_t microseconds = 0;
  if (sd_watchdog_enabled(0, &microseconds) > 0 && microseconds > 0) {
    watchdog_interval_ = std::chrono::microseconds(microseconds) / 2;
  }
}

void SdNotifier::Ready() { sd_notify(0, "READY=1\nSTATUS=serving"); }

void SdNotifier::Reloading() {
  // Type=notify-reload of later versions of systemd wants CLOCK_MONOTONIC here.
  timespec ts{};
  clock_gettime(CLOCK_MONOTONIC, &ts);
  const auto microseconds =
      static_cast<uint64_t>(ts.tv_sec) * 1'000'000 + static_cast<uint64_t>(ts.tv_nsec) / 1000;
  sd_notify(0, ("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(microseconds)).c_str());
}

void SdNotifier::Stopping() { sd_notify(0, "STOPPING=1\nSTATUS=stopping"); }

void SdNotifier::FeedWatchdog() { sd_notify(0, "WATCHDOG=1"); }

}  // namespace rosterd
