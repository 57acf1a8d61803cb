// SPDX-License-Identifier: Apache-2.0
#include "registry/mass_loss.h"

#include <algorithm>

namespace rosterd {

void MassLoss::See(size_t instances, TimePoint now) {
  while (sightings_.size() > 1 && now - sightings_[1].at > kWindow) sightings_.pop_front();
  while (!sightings_.empty() && sightings_.back().instances <= instances) sightings_.pop_back();
  sightings_.push_back({now, instances});
}

Duration MassLoss::Spread(TimePoint now) const {
  if (sightings_.empty()) return kLeast;
  const size_t left = sightings_.back().instances;
  // The count before the window holds until the next sighting within it.
  size_t before = left;
  for (size_t i = 0; i < sightings_.size(); ++i) {
    const bool held_in_window = i + 1 == sightings_.size() || now - sightings_[i + 1].at <= kWindow;
    if (held_in_window) before = std::max(before, sightings_[i].instances);
  }
  const size_t lost = before - left;
  if (lost * 2 <= before) return kLeast;
  const Duration wanted = Duration(seconds(1)) * static_cast<int64_t>(lost) / kKeysPerSecond;
  return std::clamp<Duration>(wanted, kLeast, kMost);
}

}  // namespace rosterd
