// SPDX-License-Identifier: Apache-2.0
#include "etcd/auth_schedule.h"

namespace rosterd::etcd {

Duration Patience(Random& random) {
  return kLeastPatience + RandomUpTo(kMostPatience - kLeastPatience, random);
}

bool AuthSchedule::TokenRefused(uint64_t token_number) {
  if (wanted_ || token_number != token_number_) return false;
  wanted_ = true;
  return true;
}

void AuthSchedule::Succeeded(TimePoint now) {
  ++token_number_;
  wanted_ = false;
  unanswered_ = false;
  asked_at_ = now;
  not_before_ = now + kAtMostEvery;
  backoff_.Reset();
}

void AuthSchedule::Refused(TimePoint now, Random& random) {
  unanswered_ = false;
  asked_at_ = now;
  not_before_ = now + Patience(random);
}

void AuthSchedule::NoAnswer(TimePoint now, Random& random) {
  unanswered_ = true;
  asked_at_ = now;
  not_before_ = now + kAtMostEvery + backoff_.Next(random);
}

void AuthSchedule::ConnectionLost() {
  if (!unanswered_) return;
  unanswered_ = false;
  backoff_.Reset();
  not_before_ = asked_at_ + kAtMostEvery;
}

void AuthSchedule::PasswordChanged() { not_before_ = asked_at_ + kAtMostEvery; }

}  // namespace rosterd::etcd
