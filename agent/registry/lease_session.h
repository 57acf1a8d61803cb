// SPDX-License-Identifier: Apache-2.0
// LeaseSession: when to ask for a lease, when to renew it and when it is lost; one lease per agent.
// Pure: it makes no call itself, it tells which is due and is told what came of it. All of the
// registrar's thread.
#pragma once

#include <cstdint>
#include <vector>

#include "base/backoff.h"
#include "base/clock.h"
#include "etcd/client.h"

namespace rosterd {

// none ──Grant──▶ verifying ──KeepAlive──▶ active ◀──▶ suspect; any of the last three ──▶ none.
// Owned by the registrar thread.
class LeaseSession {
 public:
  enum class State {
    kNone,       // a grant is to be asked for, with an id that stays the same until it is answered
    kVerifying,  // the lease should exist (our grant got through, or a predecessor had it)
    kActive,     // keys can be written
    kSuspect,    // no answer for a whole TTL: keys may be gone; the same lease is tried on
  };
  enum class Event {
    kNothing,
    kGranted,         // verifying or none -> active
    kAdopted,         // verifying a predecessor's -> active
    kAdoptionFailed,  // it was gone
    kRenewed,
    kResumed,  // suspect -> active: it outlived the silence
    kSuspect,  // active -> suspect
    kLost,     // active or suspect -> none: every key is to be put under a new lease
  };
  struct Call {
    enum class Kind { kNone, kGrant, kKeepAlive };
    Kind kind = Kind::kNone;
    int64_t lease = 0;
  };

  // `ttl` is asked for; what the server gives is used.
  LeaseSession(seconds ttl, Random random);

  // Before anything else: `lease` of a predecessor is renewed instead of asking for a new one.
  void Adopt(int64_t lease);
  // A predecessor's lease that is not renewed, but whose keys are ours.
  void Disown(int64_t lease) { old_ones_.push_back(lease); }

  Call Due(TimePoint now) const;
  // When Due() will have something to say.
  TimePoint next_due() const { return due_; }
  // When, without an answer, the lease becomes suspect; kNever when it is not active.
  TimePoint suspect_at() const;
  // Notes that time has passed: kSuspect or kNothing.
  Event Tick(TimePoint now);

  // `sent`: when the call was made; the lease counts from there, not from the answer.
  Event OnGrant(TimePoint sent, TimePoint now, const etcd::Result<etcd::GrantAnswer>& result);
  Event OnKeepAlive(TimePoint sent, TimePoint now,
                    const etcd::Result<etcd::KeepAliveAnswer>& result);
  // Any other call was told that the lease is not there.
  Event OnLeaseNotFound(TimePoint now);
  // Over how long agents that lose their lease now should spread their return.
  void SpreadRegrant(Duration spread) { regrant_spread_ = spread; }
  // The connection is a new one: what failed on the old one need not wait.
  void OnNewConnection(TimePoint now);

  bool CanWrite() const { return state_ == State::kActive; }
  State state() const { return state_; }
  // 0 unless active or suspect.
  int64_t lease() const;
  // What a grant is asked for (or was, with an unknown outcome); for giving up at stop.
  int64_t pending_grant() const;
  // The one that was given up last; 0: none.
  int64_t last_lost() const { return old_ones_.empty() ? 0 : old_ones_.back(); }
  seconds ttl() const { return ttl_; }
  TimePoint acked_at() const { return acked_at_; }
  // True for `lease` that this session held and gave up: its keys, should any be left, are ours.
  bool WasOurs(int64_t lease) const;

 private:
  Event Lose(TimePoint now);
  void Activate(TimePoint sent, seconds ttl);
  void RetryAfter(etcd::ErrorClass error_class, TimePoint now);
  int64_t NewId();

  const seconds wanted_ttl_;
  Random random_;
  State state_ = State::kNone;
  int64_t lease_ = 0;  // in state kNone: the id of the next grant
  seconds ttl_{0};
  TimePoint due_{};
  TimePoint acked_at_{};
  TimePoint granted_at_{};         // for the re-check of a young lease
  bool rechecked_ = false;         // the young lease had its second chance
  bool adopting_ = false;          // kVerifying a predecessor's
  bool grant_may_exist_ = false;   // a grant of lease_ had an unknown outcome
  bool failing_ = false;           // the last call failed
  std::vector<int64_t> old_ones_;  // newest last
  Duration regrant_spread_ = seconds(1);
  Backoff fast_{milliseconds(200), seconds(2)};
  Backoff slow_{seconds(1), seconds(15)};
};

}  // namespace rosterd
