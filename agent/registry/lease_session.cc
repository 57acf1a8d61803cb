// SPDX-License-Identifier: Apache-2.0
#include "registry/lease_session.h"

#include <algorithm>
#include <limits>

namespace rosterd {
namespace {

constexpr milliseconds kSoonestRetry{100};
// A member that lags may not know a lease that another one just gave (etcd #6978, #13675).
constexpr seconds kYoung{2};
constexpr milliseconds kRecheckAfter{500};
constexpr size_t kOldOnesKept = 8;

// Errors that a person or etcd itself must end; asking often makes them worse.
bool IsSlow(etcd::ErrorClass c) {
  switch (c) {
    case etcd::ErrorClass::kNoSpace:
    case etcd::ErrorClass::kOverloaded:
    case etcd::ErrorClass::kDenied:
    case etcd::ErrorClass::kCorrupt:
    case etcd::ErrorClass::kInvalid:
      return true;
    default:
      return false;
  }
}

bool OutcomeUnknown(etcd::ErrorClass c) {
  return c == etcd::ErrorClass::kUnavailable || c == etcd::ErrorClass::kTimeout ||
         c == etcd::ErrorClass::kCancelled;
}

}  // namespace

LeaseSession::LeaseSession(seconds ttl, Random random)
    : wanted_ttl_(ttl), random_(std::move(random)), lease_(NewId()), ttl_(ttl) {}

// Negative ids bring etcd's members out of step (etcd #14239).
int64_t LeaseSession::NewId() {
  return std::uniform_int_distribution<int64_t>(1, std::numeric_limits<int64_t>::max())(random_);
}

void LeaseSession::Adopt(int64_t lease) {
  state_ = State::kVerifying;
  adopting_ = true;
  lease_ = lease;
  rechecked_ = true;
}

LeaseSession::Call LeaseSession::Due(TimePoint now) const {
  if (now < due_) return {};
  return {state_ == State::kNone ? Call::Kind::kGrant : Call::Kind::kKeepAlive, lease_};
}

TimePoint LeaseSession::suspect_at() const {
  return state_ == State::kActive ? acked_at_ + ttl_ : kNever;
}

LeaseSession::Event LeaseSession::Tick(TimePoint now) {
  if (now <= suspect_at()) return Event::kNothing;
  state_ = State::kSuspect;
  due_ = std::min(due_, now);
  return Event::kSuspect;
}

LeaseSession::Event LeaseSession::OnGrant(TimePoint sent, TimePoint now,
                                          const etcd::Result<etcd::GrantAnswer>& result) {
  granted_at_ = sent;
  if (result.ok()) {
    Activate(sent, result->ttl);
    return Event::kGranted;
  }
  const etcd::ErrorClass error = result.error().error_class;
  if (error == etcd::ErrorClass::kLeaseExists) {
    if (grant_may_exist_) {
      state_ = State::kVerifying;
    } else {
      lease_ = NewId();
    }
    due_ = now;
    return Event::kNothing;
  }
  if (OutcomeUnknown(error)) grant_may_exist_ = true;
  RetryAfter(error, now);
  return Event::kNothing;
}

LeaseSession::Event LeaseSession::OnKeepAlive(TimePoint sent, TimePoint now,
                                              const etcd::Result<etcd::KeepAliveAnswer>& result) {
  if (result.ok() && result->ttl > seconds(0)) {
    const State before = state_;
    const bool adopted = adopting_;
    Activate(sent, result->ttl);
    if (before == State::kVerifying) return adopted ? Event::kAdopted : Event::kGranted;
    return before == State::kSuspect ? Event::kResumed : Event::kRenewed;
  }
  if (result.ok() || result.error().error_class == etcd::ErrorClass::kLeaseNotFound) {
    if (!rechecked_ && sent - granted_at_ < kYoung) {
      rechecked_ = true;
      due_ = now + kRecheckAfter;
      return Event::kNothing;
    }
    return Lose(now);
  }
  RetryAfter(result.error().error_class, now);
  return Event::kNothing;
}

LeaseSession::Event LeaseSession::OnLeaseNotFound(TimePoint now) {
  return state_ == State::kNone ? Event::kNothing : Lose(now);
}

void LeaseSession::OnNewConnection(TimePoint now) {
  if (failing_) due_ = std::min(due_, now);
}

int64_t LeaseSession::lease() const {
  return state_ == State::kActive || state_ == State::kSuspect ? lease_ : 0;
}

int64_t LeaseSession::pending_grant() const {
  const bool may_exist =
      state_ == State::kVerifying || (state_ == State::kNone && grant_may_exist_);
  return may_exist ? lease_ : 0;
}

bool LeaseSession::WasOurs(int64_t lease) const {
  return std::find(old_ones_.begin(), old_ones_.end(), lease) != old_ones_.end();
}

LeaseSession::Event LeaseSession::Lose(TimePoint now) {
  const bool was_held = state_ == State::kActive || state_ == State::kSuspect;
  const bool was_adopting = adopting_;
  old_ones_.push_back(lease_);
  if (old_ones_.size() > kOldOnesKept) old_ones_.erase(old_ones_.begin());
  state_ = State::kNone;
  lease_ = NewId();
  ttl_ = wanted_ttl_;
  granted_at_ = {};
  rechecked_ = adopting_ = grant_may_exist_ = failing_ = false;
  fast_.Reset();
  slow_.Reset();
  // What killed our lease may have killed many: a fleet must not come back in one moment.
  due_ = was_held ? now + RandomUpTo(regrant_spread_, random_) : now;
  if (was_held) return Event::kLost;
  return was_adopting ? Event::kAdoptionFailed : Event::kNothing;
}

void LeaseSession::Activate(TimePoint sent, seconds ttl) {
  state_ = State::kActive;
  ttl_ = ttl;
  acked_at_ = sent;
  adopting_ = grant_may_exist_ = failing_ = false;
  fast_.Reset();
  slow_.Reset();
  due_ = sent + Jittered(Duration(ttl) / 3, 10, random_);
}

void LeaseSession::RetryAfter(etcd::ErrorClass error_class, TimePoint now) {
  failing_ = true;
  Duration wait = (IsSlow(error_class) ? slow_ : fast_).Next(random_);
  // The nearer the end, the sooner the next try; nothing is lost by trying, all by being late.
  if (state_ == State::kActive) wait = std::min<Duration>(wait, (suspect_at() - now) / 4);
  due_ = now + std::max<Duration>(wait, kSoonestRetry);
}

}  // namespace rosterd
