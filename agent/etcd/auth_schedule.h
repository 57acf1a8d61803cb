// SPDX-License-Identifier: Apache-2.0
// AuthSchedule: whether a token is wanted and when to ask for one. Asking costs etcd a tenth of a
// second of its processor, so it is done only when a call says that its token is missing or bad,
// and never more than once a second, whatever comes. Pure.
#pragma once

#include <cstdint>

#include "base/backoff.h"
#include "base/clock.h"

namespace rosterd::etcd {

// For what waits for a person: at least kLeastPatience, at most kMostPatience, with jitter.
inline constexpr seconds kLeastPatience{3};
inline constexpr seconds kMostPatience{15};
Duration Patience(Random& random);

// Not thread-safe: owned by the session.
class AuthSchedule {
 public:
  static constexpr seconds kAtMostEvery{1};

  // Counts tokens; a call remembers the one that it was begun with.
  uint64_t token_number() const { return token_number_; }
  bool wanted() const { return wanted_; }
  // When to ask; kNever while none is wanted.
  TimePoint due() const { return wanted_ ? not_before_ : kNever; }

  // A call begun with that token was told that it is missing or bad. True: it is the first to say
  // so of the token in use.
  bool TokenRefused(uint64_t token_number);
  // How asking at `now` went.
  void Succeeded(TimePoint now);
  void Refused(TimePoint now, Random& random);
  void NoAnswer(TimePoint now, Random& random);
  // Asking waits for an answer only briefly until one stayed out: another member may be quicker.
  bool unanswered() const { return unanswered_; }
  // What one member left unanswered says nothing of the next.
  void ConnectionLost();
  // Another password may be right: as soon as the limit allows.
  void PasswordChanged();

 private:
  uint64_t token_number_ = 0;
  bool wanted_ = false;
  bool unanswered_ = false;  // the last time it was asked
  TimePoint asked_at_{};
  TimePoint not_before_{};
  Backoff backoff_{kAtMostEvery, kMostPatience};
};

}  // namespace rosterd::etcd
