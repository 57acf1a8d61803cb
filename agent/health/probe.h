// SPDX-License-Identifier: Apache-2.0
// Probe: runs checks against the outside world and reports how each run ended, many at a time. The
// checker decides when to run and what a result means; a Probe only runs. HttpProbe is the real
// one; tests have one that lives in made-up time.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "model/config.h"

namespace rosterd {

// Names one check for its whole life; never used twice.
using CheckId = uint64_t;

struct ProbeResult {
  CheckId id = 0;
  bool success = false;
  // True when we ourselves could not run the check (no file descriptor, no memory): it says nothing
  // about the service, and nothing may be counted against it.
  bool own_trouble = false;
  int http_status = 0;  // 0: no answer
  std::string error;    // for a person, without user and password; "" when it succeeded
  Duration duration{};
};

// Owned by the prober thread; Wake() alone may be called from any thread.
class Probe {
 public:
  virtual ~Probe() = default;

  // Prepares whatever does not change from run to run.
  virtual void Add(CheckId id, const CheckConfig& check) = 0;
  // Ends a run in progress without a result; a result that waits to be collected may still come.
  virtual void Remove(CheckId id) = 0;
  // Starts one run and returns at once. At most one run of a check at a time. The run ends with one
  // result at the latest when check.timeout is over.
  virtual void Start(CheckId id, TimePoint now) = 0;
  // Appends the results that have come in since the last call.
  virtual void Collect(std::vector<ProbeResult>& results) = 0;
  // Drives the runs in progress. Returns when results are there, at `until`, or when woken; it may
  // return earlier.
  virtual void Wait(TimePoint until) = 0;
  virtual void Wake() = 0;
};

}  // namespace rosterd
