// SPDX-License-Identifier: Apache-2.0
// EndpointRotation: which endpoint to try and when. The first pass over all of them goes without
// delay, then attempts back off; what another endpoint cannot do better backs off further. Pure.
#pragma once

#include <string>
#include <vector>

#include "base/backoff.h"
#include "base/clock.h"
#include "etcd/error.h"

namespace rosterd::etcd {

// Not thread-safe: owned by the session.
class EndpointRotation {
 public:
  static constexpr milliseconds kBackoffBase{200};
  static constexpr seconds kBackoffCap{2};
  // For errors that wait for a person or for load to go away.
  static constexpr seconds kSlowBackoffCap{15};
  // A connection that lasted this long starts over without delay; one that breaks sooner does not,
  // or a member that answers and then fails would be tried in a hot loop.
  static constexpr seconds kStable{10};

  // `endpoints` is not empty. The order is random, so that a fleet spreads over the members.
  EndpointRotation(std::vector<std::string> endpoints, Random& random);

  const std::string& current() const { return endpoints_[index_]; }
  // True during the first pass: do not wait long for an endpoint while others were not asked.
  bool first_pass() const { return free_attempts_ > 0; }
  TimePoint next_attempt() const { return next_attempt_; }

  // An attempt at current() failed, or a connection to it broke after `lasted`.
  void AttemptFailed(ErrorClass why, TimePoint now, Random& random);
  void ConnectionLost(Duration lasted, TimePoint now, Random& random);
  // The connection stays; how long to leave an overloaded member alone.
  Duration SlowDelay(Random& random) { return slow_backoff_.Next(random); }
  void Answered() { slow_backoff_.Reset(); }

 private:
  void Advance(TimePoint now, Random& random);

  std::vector<std::string> endpoints_;
  size_t index_ = 0;
  size_t free_attempts_;
  TimePoint next_attempt_{};
  Backoff backoff_{kBackoffBase, kBackoffCap};
  Backoff slow_backoff_{kBackoffBase, kSlowBackoffCap};
};

// True for errors that every endpoint would give: no reason to hurry to the next one.
bool NeedsPatience(ErrorClass why);

}  // namespace rosterd::etcd
