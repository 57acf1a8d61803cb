// SPDX-License-Identifier: Apache-2.0
// HealthKeeper: keeps the states of the checks on disk. Runs in the keeper's StepThread; wake it
// when health was published.
#pragma once

#include <memory>
#include <utility>

#include "base/clock.h"
#include "base/latest.h"
#include "health/health_file.h"
#include "model/health_snapshot.h"

namespace rosterd {

// Owned by the keeper thread, after its end by whoever calls Finish().
class HealthKeeper {
 public:
  // `health` must outlive it.
  HealthKeeper(HealthFile file, const Latest<HealthSnapshot>& health)
      : health_(health), file_(std::move(file)) {}

  // Saves when a service changed its status or its configuration, at most once a second; and now
  // and then, so that the file is not taken for an old one. Returns when to be called next.
  TimePoint Step(TimePoint now);
  // The last save of a run.
  void Finish(TimePoint now);

 private:
  void Save(std::shared_ptr<const HealthSnapshot> health, TimePoint now);

  const Latest<HealthSnapshot>& health_;
  HealthFile file_;
  std::shared_ptr<const HealthSnapshot> saved_;
  TimePoint not_before_{};
  TimePoint refresh_at_{};
};

}  // namespace rosterd
