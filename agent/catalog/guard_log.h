// SPDX-License-Identifier: Apache-2.0
// GuardLog: says when the guard begins to hold vanished instances and when nothing is held any
// more, one line each, and counts it. Runs on the watcher thread.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "catalog/guard.h"
#include "catalog/watcher_metrics.h"

namespace rosterd {

// Owned by the watcher thread.
class GuardLog {
 public:
  // Both must outlive it.
  GuardLog(Log& log, const WatcherMetrics& metrics) : log_(log), metrics_(metrics) {}

  // To be called after whatever may have changed `guard`.
  void Update(const Guard& guard, const Clock& clock);

 private:
  Log& log_;
  const WatcherMetrics& metrics_;
  bool holding_ = false;
  size_t most_ = 0;  // held at one time since this began
  TimePoint since_{};
};

// "api, db, web and 4 more".
std::string NameAFew(const std::vector<std::string>& names);

}  // namespace rosterd
