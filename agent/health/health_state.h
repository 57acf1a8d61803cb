// SPDX-License-Identifier: Apache-2.0
// HealthState: the rise and fall of one check. A single answer decides nothing: `rise` successes in
// a row make it passing, `fall` failures in a row make it failing. Pure; knows no time.
#pragma once

#include <string>

#include "model/config.h"
#include "model/health_snapshot.h"

namespace rosterd {

// Not thread-safe: owned by one worker.
class HealthState {
 public:
  // `rise` and `fall` below 1 count as 1.
  HealthState(int rise, int fall, HealthStatus first = HealthStatus::kStarting);

  // Goes on with the streaks of an earlier run of the agent.
  void Resume(int successes, int failures) {
    successes_ = successes;
    failures_ = failures;
  }

  // Counts one finished run; true when the status changed by it.
  bool Add(bool success);

  HealthStatus status() const { return status_; }
  int successes() const { return successes_; }  // in a row
  int failures() const { return failures_; }    // in a row

  // False while starting or while a streak against the present status runs.
  bool stable() const;
  // From the start of one run to the start of the next.
  Duration NextInterval(const CheckConfig& check) const {
    return stable() ? check.interval : check.fast_interval;
  }
  // Successes in a row that are still missing to become passing.
  int successes_missing() const;

 private:
  const int rise_;
  const int fall_;
  HealthStatus status_;
  int successes_ = 0;
  int failures_ = 0;
};

}  // namespace rosterd
