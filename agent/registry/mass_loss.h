// SPDX-License-Identifier: Apache-2.0
// MassLoss: over how long agents should spread the return of their keys. One lost lease comes back
// at once; when most of the registry vanished in a moment, as after a stall of etcd's leader, every
// agent would write at the same time and stall it again. Pure.
#pragma once

#include <cstddef>
#include <deque>

#include "base/clock.h"

namespace rosterd {

// Owned by the registrar thread.
class MassLoss {
 public:
  // What vanished within this long counts as one event.
  static constexpr seconds kWindow{10};
  // A lone loss: agents that lost their leases for one reason do not come back in one moment.
  static constexpr seconds kLeast{1};
  static constexpr seconds kMost{15};
  // Keys that etcd should have to take back in a second.
  static constexpr size_t kKeysPerSecond = 500;

  // The catalog has this many instances now.
  void See(size_t instances, TimePoint now);
  // The spread for a lease that is lost now.
  Duration Spread(TimePoint now) const;

 private:
  struct Sighting {
    TimePoint at{};
    size_t instances = 0;
  };
  // Falling counts: whatever is followed by a larger one within the window says nothing.
  std::deque<Sighting> sightings_;
};

}  // namespace rosterd
