// SPDX-License-Identifier: Apache-2.0
// HealthBoard: publishes what is known of all services, as rarely as it can: a change of status at
// once, everything else together at most every 200 ms, and nothing when nothing ran. Snapshots
// share what did not change. Pure but for the door it publishes through.
#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/latest.h"
#include "health/checked_service.h"
#include "model/health_snapshot.h"

namespace rosterd {

// Owned by the prober thread; published() may be read from any thread.
class HealthBoard {
 public:
  // Takes the services anew, sorted by id; they must outlive the next call. One that was on the
  // board before keeps its report until it is marked.
  void SetServices(const std::vector<const CheckedService*>& services);
  // The service has something new to tell; `urgent` when its status changed.
  void Mark(const CheckedService* service, bool urgent);
  // Publishes if it is time to. Returns when to be called again.
  TimePoint Step(TimePoint now);

  Latest<HealthSnapshot>& published() { return published_; }

  static constexpr Duration kDetailsAtMostEvery = milliseconds(200);

 private:
  struct Place {
    size_t index = 0;  // in reports_
    bool marked = false;
  };

  std::unordered_map<const CheckedService*, Place> places_;
  std::vector<std::shared_ptr<const InstanceHealth>> reports_;  // sorted by id
  std::vector<const CheckedService*> marked_;
  bool urgent_ = false;
  TimePoint last_published_{};
  Latest<HealthSnapshot> published_;
};

}  // namespace rosterd
