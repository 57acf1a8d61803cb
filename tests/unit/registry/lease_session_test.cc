// SPDX-License-Identifier: Apache-2.0
#include "registry/lease_session.h"

#include <catch2/catch.hpp>

#include "support/fake_etcd.h"

namespace rosterd {
namespace {

using State = LeaseSession::State;
using Event = LeaseSession::Event;
using Kind = LeaseSession::Call::Kind;
using etcd::ErrorClass;
using testing::MakeError;

constexpr TimePoint kStart{seconds(1000)};

etcd::Result<etcd::GrantAnswer> Granted(seconds ttl = seconds(15)) {
  return etcd::GrantAnswer{{}, 0, ttl};
}
etcd::Result<etcd::KeepAliveAnswer> Alive(int64_t ttl) {
  return etcd::KeepAliveAnswer{{}, seconds(ttl)};
}

LeaseSession Fresh() { return LeaseSession(seconds(15), Random(1)); }

LeaseSession Active(TimePoint at = kStart) {
  LeaseSession session = Fresh();
  REQUIRE(session.OnGrant(at, at, Granted()) == Event::kGranted);
  return session;
}

// Active, and past the age at which a TTL of 0 is checked again.
LeaseSession Mature() {
  LeaseSession session = Active();
  const TimePoint later = kStart + seconds(5);
  REQUIRE(session.OnKeepAlive(later, later, Alive(15)) == Event::kRenewed);
  return session;
}

TEST_CASE("a session begins by asking for a lease with a positive id of its own") {
  const LeaseSession session = Fresh();
  CHECK(session.Due(kStart).kind == Kind::kGrant);
  CHECK(session.Due(kStart).lease > 0);
  CHECK(session.lease() == 0);
  CHECK_FALSE(session.CanWrite());
}

TEST_CASE("a granted lease is renewed after a third of its time, give or take a tenth") {
  LeaseSession session = Active();
  CHECK(session.CanWrite());
  CHECK(session.next_due() >= kStart + milliseconds(4500));
  CHECK(session.next_due() <= kStart + milliseconds(5500));
  CHECK(session.Due(session.next_due() - milliseconds(1)).kind == Kind::kNone);
  CHECK(session.Due(session.next_due()).kind == Kind::kKeepAlive);
  CHECK(session.Due(session.next_due()).lease == session.lease());
}

TEST_CASE("the server's TTL counts, not the one asked for") {
  LeaseSession session = Fresh();
  session.OnGrant(kStart, kStart, Granted(seconds(60)));
  CHECK(session.ttl() == seconds(60));
  CHECK(session.suspect_at() == kStart + seconds(60));
  CHECK(session.next_due() > kStart + seconds(17));
}

TEST_CASE("a lease counts from when its keepalive was sent, not from the answer") {
  LeaseSession session = Active();
  const TimePoint sent = kStart + seconds(5);
  CHECK(session.OnKeepAlive(sent, sent + milliseconds(1400), Alive(15)) == Event::kRenewed);
  CHECK(session.acked_at() == sent);
  CHECK(session.suspect_at() == sent + seconds(15));
}

TEST_CASE("a grant with an unknown outcome is repeated with the same id") {
  LeaseSession session = Fresh();
  const int64_t id = session.Due(kStart).lease;
  TimePoint now = kStart;
  for (const ErrorClass error :
       {ErrorClass::kTimeout, ErrorClass::kUnavailable, ErrorClass::kCancelled}) {
    session.OnGrant(now, now, MakeError(error));
    CHECK(session.next_due() >= now + milliseconds(100));
    now = session.next_due();
    CHECK(session.Due(now).kind == Kind::kGrant);
    CHECK(session.Due(now).lease == id);
  }
  CHECK(session.pending_grant() == id);

  SECTION("that it exists means that it got through; a keepalive proves it") {
    CHECK(session.OnGrant(now, now, MakeError(ErrorClass::kLeaseExists)) == Event::kNothing);
    CHECK_FALSE(session.CanWrite());
    CHECK(session.Due(now).kind == Kind::kKeepAlive);
    CHECK(session.Due(now).lease == id);
    CHECK(session.OnKeepAlive(now, now, Alive(15)) == Event::kGranted);
    CHECK(session.lease() == id);
  }
  SECTION("that it exists and is gone again leads to another id") {
    session.OnGrant(now, now, MakeError(ErrorClass::kLeaseExists));
    session.OnKeepAlive(now, now, Alive(0));  // young: once more
    now = session.next_due();
    session.OnKeepAlive(now, now, Alive(0));
    CHECK(session.Due(now).kind == Kind::kGrant);
    CHECK(session.Due(now).lease != id);
  }
}

TEST_CASE("an id that somebody else has is given up") {
  LeaseSession session = Fresh();
  const int64_t id = session.Due(kStart).lease;
  session.OnGrant(kStart, kStart, MakeError(ErrorClass::kLeaseExists));
  CHECK(session.Due(kStart).kind == Kind::kGrant);
  CHECK(session.Due(kStart).lease != id);
}

TEST_CASE("what a person must end is asked for slowly") {
  for (const ErrorClass error :
       {ErrorClass::kNoSpace, ErrorClass::kOverloaded, ErrorClass::kDenied}) {
    LeaseSession session = Fresh();
    TimePoint now = kStart;
    int calls = 0;
    for (; now < kStart + seconds(300); now = session.next_due()) {
      ++calls;
      session.OnGrant(now, now, MakeError(error));
      CHECK(session.next_due() <= now + seconds(15));
    }
    CHECK(calls < 100);
    CHECK(session.pending_grant() == 0);
  }
}

TEST_CASE("a failed keepalive is repeated the sooner the less time is left") {
  LeaseSession session = Mature();
  const TimePoint end = session.suspect_at();
  TimePoint now = session.next_due();
  int calls = 0;
  while (now < end) {
    session.OnKeepAlive(now, now, MakeError(ErrorClass::kTimeout));
    const Duration wait = session.next_due() - now;
    CHECK(wait >= milliseconds(100));
    CHECK(wait <= std::max<Duration>(milliseconds(100), (end - now) / 4));
    now = session.next_due();
    ++calls;
  }
  CHECK(calls > 5);
  CHECK(session.state() == State::kActive);
}

TEST_CASE("a new connection is tried at once") {
  LeaseSession session = Mature();
  TimePoint now = session.next_due();
  session.OnNewConnection(now - milliseconds(1));
  CHECK(session.next_due() == now);  // nothing had failed
  session.OnKeepAlive(now, now, MakeError(ErrorClass::kUnavailable));
  session.OnNewConnection(now + milliseconds(1));
  CHECK(session.Due(now + milliseconds(1)).kind == Kind::kKeepAlive);
}

TEST_CASE("after a whole TTL without an answer the lease is suspect and tried on") {
  LeaseSession session = Mature();
  const int64_t id = session.lease();
  const TimePoint end = session.suspect_at();
  CHECK(session.Tick(end) == Event::kNothing);
  const TimePoint now = end + milliseconds(1);
  CHECK(session.Tick(now) == Event::kSuspect);
  CHECK(session.Tick(now) == Event::kNothing);
  CHECK_FALSE(session.CanWrite());
  CHECK(session.lease() == id);
  CHECK(session.Due(now).kind == Kind::kKeepAlive);
  CHECK(session.Due(now).lease == id);

  SECTION("it may have outlived the silence") {
    CHECK(session.OnKeepAlive(now, now, Alive(15)) == Event::kResumed);
    CHECK(session.lease() == id);
    CHECK(session.CanWrite());
  }
  SECTION("or not") {
    CHECK(session.OnKeepAlive(now, now, Alive(0)) == Event::kLost);
    CHECK(session.lease() == 0);
    CHECK(session.WasOurs(id));
  }
}

TEST_CASE("a suspend longer than the TTL makes the lease suspect at once") {
  LeaseSession session = Mature();
  const TimePoint now = kStart + seconds(100'000);
  CHECK(session.Tick(now) == Event::kSuspect);
  CHECK(session.Due(now).kind == Kind::kKeepAlive);
}

TEST_CASE("a TTL of 0 or less, or not found, ends the lease") {
  LeaseSession session = Mature();
  const int64_t id = session.lease();
  const TimePoint now = kStart + seconds(10);
  Event event = Event::kNothing;
  SECTION("0") { event = session.OnKeepAlive(now, now, Alive(0)); }
  SECTION("-1") { event = session.OnKeepAlive(now, now, Alive(-1)); }
  SECTION("not found") {
    event = session.OnKeepAlive(now, now, MakeError(ErrorClass::kLeaseNotFound));
  }
  SECTION("not found, said by another call") { event = session.OnLeaseNotFound(now); }
  CHECK(event == Event::kLost);
  CHECK(session.last_lost() == id);
  CHECK(session.state() == State::kNone);
  // A fleet that lost its leases at one moment does not come back at one moment.
  CHECK(session.next_due() >= now);
  CHECK(session.next_due() <= now + seconds(1));
  const auto call = session.Due(session.next_due());
  CHECK(call.kind == Kind::kGrant);
  CHECK(call.lease != id);
}

TEST_CASE("a young lease that answers TTL 0 is checked once more after 500 ms") {
  LeaseSession session = Active();
  const TimePoint now = kStart + milliseconds(1900);
  CHECK(session.OnKeepAlive(now, now, Alive(0)) == Event::kNothing);
  CHECK(session.next_due() == now + milliseconds(500));
  const TimePoint again = session.next_due();

  SECTION("a member that lagged has caught up") {
    CHECK(session.OnKeepAlive(again, again, Alive(15)) == Event::kRenewed);
  }
  SECTION("it is gone indeed") {
    CHECK(session.OnKeepAlive(again, again, Alive(0)) == Event::kLost);
  }
}

TEST_CASE("a lease of 2 s is no longer young after 2 s") {
  LeaseSession session = Active();
  const TimePoint now = kStart + milliseconds(2100);
  CHECK(session.OnKeepAlive(now, now, Alive(0)) == Event::kLost);
}

TEST_CASE("a predecessor's lease is renewed, not asked for") {
  LeaseSession session = Fresh();
  session.Adopt(77);
  CHECK(session.Due(kStart).kind == Kind::kKeepAlive);
  CHECK(session.Due(kStart).lease == 77);
  CHECK_FALSE(session.CanWrite());

  SECTION("it is there") {
    CHECK(session.OnKeepAlive(kStart, kStart, Alive(15)) == Event::kAdopted);
    CHECK(session.lease() == 77);
  }
  SECTION("it is gone: a new one at once, nothing was lost now") {
    CHECK(session.OnKeepAlive(kStart, kStart, Alive(0)) == Event::kAdoptionFailed);
    CHECK(session.Due(kStart).kind == Kind::kGrant);
    CHECK(session.Due(kStart).lease != 77);
    CHECK(session.WasOurs(77));
  }
  SECTION("etcd does not answer: it is tried on") {
    session.OnKeepAlive(kStart, kStart, MakeError(ErrorClass::kUnavailable));
    CHECK(session.Due(session.next_due()).lease == 77);
  }
}

}  // namespace
}  // namespace rosterd
