// SPDX-License-Identifier: Apache-2.0
#include "etcd/endpoint_rotation.h"

#include <algorithm>
#include <utility>

namespace rosterd::etcd {

bool NeedsPatience(ErrorClass why) {
  switch (why) {
    case ErrorClass::kNoSpace:
    case ErrorClass::kOverloaded:
    case ErrorClass::kUnauthenticated:
    case ErrorClass::kDenied:
    case ErrorClass::kCorrupt:
    case ErrorClass::kInvalid:
      return true;
    default:
      return false;
  }
}

EndpointRotation::EndpointRotation(std::vector<std::string> endpoints, Random& random)
    : endpoints_(std::move(endpoints)), free_attempts_(endpoints_.size()) {
  std::shuffle(endpoints_.begin(), endpoints_.end(), random);
}

void EndpointRotation::AttemptFailed(ErrorClass why, TimePoint now, Random& random) {
  if (!NeedsPatience(why)) return Advance(now, random);
  next_attempt_ = now + slow_backoff_.Next(random);
  // Moving a fleet's load from one overloaded member to the next overloads that one.
  if (why != ErrorClass::kOverloaded && why != ErrorClass::kNoSpace) {
    index_ = (index_ + 1) % endpoints_.size();
  }
}

void EndpointRotation::ConnectionLost(Duration lasted, TimePoint now, Random& random) {
  if (lasted >= kStable) {
    backoff_.Reset();
    slow_backoff_.Reset();
    // One more than there are endpoints: losing the connection is not an attempt.
    free_attempts_ = endpoints_.size() + 1;
  }
  Advance(now, random);
}

void EndpointRotation::Advance(TimePoint now, Random& random) {
  index_ = (index_ + 1) % endpoints_.size();
  if (free_attempts_ > 0) --free_attempts_;
  next_attempt_ = free_attempts_ > 0 ? now : now + backoff_.Next(random);
}

}  // namespace rosterd::etcd
