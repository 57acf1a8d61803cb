// SPDX-License-Identifier: Apache-2.0
// CheckedService: one configured service with the states of its checks, and what is to be told of
// it. All checks must pass for it to pass. Decides what survives a reload. Pure; takes the wall
// clock's time for what people read.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "health/health_file.h"
#include "health/health_state.h"
#include "health/probe.h"
#include "model/config.h"
#include "model/health_snapshot.h"

namespace rosterd {

// Owned by the prober thread.
class CheckedService {
 public:
  CheckedService(std::shared_ptr<const ServiceConfig> config, WallTime now);

  // Goes on where an earlier run of the agent stopped, for a service that was new a moment ago.
  // False: that was of other checks or another place, or it had not passed; nothing is taken.
  bool Resume(const SavedInstance& saved);

  // What a reload means for the state gathered so far.
  enum class Change {
    kNone,       // nothing that a report shows
    kDescribed,  // tags, meta, weight and the like: the checks go on as they are
    kChecks,     // other checks of the same address: the status stays, the counters begin anew
    kAddress,    // another place: what we knew of the old one says nothing
  };
  static Change Compare(const ServiceConfig& before, const ServiceConfig& after);
  // Takes the new description; for kChecks and kAddress the check ids are gone afterwards.
  void Reconfigure(std::shared_ptr<const ServiceConfig> config, WallTime now);

  size_t size() const { return checks_.size(); }
  const CheckConfig& check(size_t i) const { return config_->checks[i]; }
  CheckId id(size_t i) const { return checks_[i].id; }
  void set_id(size_t i, CheckId id) { checks_[i].id = id; }

  // Counts a finished run of check `i`; true when the service's status changed by it.
  bool Add(size_t i, ProbeResult result, WallTime now);
  // Takes note of a run that counts neither way.
  void Note(size_t i, ProbeResult result, WallTime now);
  // Fast until the service has passed once: it is starting.
  Duration NextInterval(size_t i) const {
    return passed_ ? checks_[i].state.NextInterval(check(i)) : check(i).fast_interval;
  }

  const ServiceConfig& config() const { return *config_; }
  HealthStatus status() const { return status_; }
  // The status is this run's own finding, not one that Resume() took up.
  bool confirmed() const { return !resumed_; }
  HealthStatus check_status(size_t i) const { return checks_[i].state.status(); }
  // The newest reason for not passing: "1 of 2 successes needed: GET http://...: connection
  // refused"; "" while passing.
  std::string Reason() const;
  std::shared_ptr<const InstanceHealth> Report() const;

 private:
  struct Check {
    Check(const CheckConfig& config, HealthStatus first) : state(config.rise, config.fall, first) {
      last.target = CheckTargetOf(config);
    }
    static std::string CheckTargetOf(const CheckConfig& config);

    CheckId id = 0;
    HealthState state;
    CheckReport last;          // status and counters are filled in when it is reported
    std::string last_failure;  // stays after a success until the check passes
    bool bears_out = false;    // a run has agreed with the status that was taken up
  };

  void MakeChecks(HealthStatus first);
  HealthStatus Combined() const;
  bool Settle(WallTime now);

  std::shared_ptr<const ServiceConfig> config_;
  std::vector<Check> checks_;
  HealthStatus status_ = HealthStatus::kStarting;
  bool passed_ = false;   // at this address
  bool resumed_ = false;  // until the checks have borne it out
  WallTime since_;
};

}  // namespace rosterd
