// SPDX-License-Identifier: Apache-2.0
// User and password: the session over made-up members that ask for tokens, in made-up time.
#include <algorithm>
#include <catch2/catch.hpp>

#include "session_world.h"
#include "support/watch_run.h"

namespace rosterd::etcd {
namespace {

using testing::EtcdCall;
using testing::WatchRun;

constexpr milliseconds kTimeout{1000};
const std::string kOnly = "http://a:1";

EtcdState StateOf(Session& session) { return session.state().Get()->state; }
std::string ErrorOf(Session& session) { return session.state().Get()->error; }

// The shortest time between two of them.
Duration ShortestGap(const std::vector<TimePoint>& times) {
  Duration shortest = std::chrono::hours(1);
  for (size_t i = 1; i < times.size(); ++i) {
    shortest = std::min(shortest, times[i] - times[i - 1]);
  }
  return shortest;
}

TEST_CASE("a token is asked for when etcd wants one, once") {
  World world;
  world.users.on = true;
  Session session = world.MakeSession({kOnly}, std::make_shared<MadeUpCredentials>());
  world.Run(session, milliseconds(100));
  CHECK(StateOf(session) == EtcdState::kConnected);
  CHECK(ErrorOf(session).empty());
  CHECK(session.state().Get()->authenticated == 1);
  CHECK(session.state().Get()->generation == 1);
  CHECK(session.List("/", kTimeout).ok());
  world.Run(session, seconds(300));
  CHECK(world.users.Asked() == 1);
  CHECK(world.LinesWith("connected to etcd") == 1);
  CHECK(world.LinesWith("refuses") == 0);
}

TEST_CASE("without access control in etcd no password is ever sent") {
  World world;
  Session session = world.MakeSession({kOnly}, std::make_shared<MadeUpCredentials>());
  world.Run(session, seconds(60));
  CHECK(StateOf(session) == EtcdState::kConnected);
  CHECK(world.users.Asked() == 0);
}

TEST_CASE("a storm of bad tokens asks for a new one at most once a second") {
  World world;
  world.users.on = true;
  Session session = world.MakeSession({kOnly}, std::make_shared<MadeUpCredentials>());
  world.Run(session, seconds(1));
  REQUIRE(StateOf(session) == EtcdState::kConnected);
  for (int i = 0; i < 1000; ++i) {
    // Every token is old as soon as it was given.
    world.users.Set([](Users& users) { users.good_token = "of somebody else"; });
    CHECK_FALSE(session.List("/", kTimeout).ok());
    CHECK_FALSE(session.Write({}, kTimeout).ok());
    CHECK_FALSE(session.Grant(1, seconds(10), kTimeout).ok());
    session.Step(world.clock.Now());
    session.Step(world.clock.Now());
    world.clock.Advance(milliseconds(20));
  }
  CHECK(world.users.asked.size() > 5);
  CHECK(world.users.asked.size() <= 22);
  CHECK(ShortestGap(world.users.asked) >= seconds(1));
  CHECK(session.state().Get()->generation == 1);
}

TEST_CASE("a token that expired is replaced without losing anything") {
  World world;
  world.users.on = true;
  Session session = world.MakeSession({kOnly}, std::make_shared<MadeUpCredentials>());
  world.Run(session, seconds(10));
  WatchRun watch(session, "/", 1);
  REQUIRE(watch.WaitForCreated());
  bool always_connected = true;
  session.state().Subscribe(
      [&] { always_connected = always_connected && StateOf(session) == EtcdState::kConnected; });
  bool woken = false;
  session.SetWake([&] { woken = true; });
  world.users.Set([](Users& users) { users.good_token = "expired"; });
  CHECK(session.List("/", kTimeout).error().error_class == ErrorClass::kUnauthenticated);
  CHECK(woken);
  world.Run(session, milliseconds(10));
  CHECK(session.List("/", kTimeout).ok());
  CHECK(session.state().Get()->authenticated == 2);
  CHECK(session.state().Get()->generation == 1);
  CHECK(always_connected);
  world.cluster.Put("/a", "1");
  CHECK(watch.WaitForEvents(1));
}

TEST_CASE("the error of a call with the old token does not ask for a third one") {
  AuthSchedule auth;
  CHECK(auth.due() == kNever);
  CHECK(auth.TokenRefused(0));
  CHECK_FALSE(auth.TokenRefused(0));
  auth.Succeeded(TimePoint(seconds(5)));
  CHECK_FALSE(auth.TokenRefused(0));
  CHECK(auth.due() == kNever);
  CHECK(auth.TokenRefused(1));
  CHECK(auth.due() == TimePoint(seconds(6)));
}

TEST_CASE("a wrong password is said once and tried every few seconds") {
  World world;
  world.users.on = true;
  auto credentials = std::make_shared<MadeUpCredentials>();
  credentials->password = "wrong";
  Session session = world.MakeSession({kOnly, "http://b:1"}, credentials);
  world.Run(session, seconds(150));
  CHECK(StateOf(session) == EtcdState::kDenied);
  CHECK(ErrorOf(session).find("authentication failed") != std::string::npos);
  CHECK(world.users.Asked() >= 10);
  CHECK(world.users.Asked() <= 51);
  CHECK(ShortestGap(world.users.asked) >= seconds(3));
  CHECK(world.LinesWith("refuses") == 1);
  CHECK(session.state().Get()->generation == 1);
}

TEST_CASE("a changed password is tried at once") {
  World world;
  world.users.on = true;
  auto credentials = std::make_shared<MadeUpCredentials>();
  credentials->password = "wrong";
  Session session = world.MakeSession({kOnly}, credentials);
  world.Run(session, milliseconds(10));
  REQUIRE(StateOf(session) == EtcdState::kDenied);
  for (int i = 0; i < 20; ++i) {
    credentials->next.password = true;
    world.Run(session, milliseconds(2100));
  }
  CHECK(ShortestGap(world.users.asked) >= seconds(1));
  CHECK(world.users.Asked() >= 20);
  credentials->password = "right";
  credentials->next.password = true;
  world.Run(session, milliseconds(2100));
  CHECK(StateOf(session) == EtcdState::kConnected);
  CHECK(world.LinesWith("connected to etcd") == 1);
}

TEST_CASE("a password that cannot be read is a denial in words") {
  World world;
  world.users.on = true;
  auto credentials = std::make_shared<MadeUpCredentials>();
  credentials->password = absl::InvalidArgumentError("etcd.password_file: '/x' cannot be read");
  Session session = world.MakeSession({kOnly}, credentials);
  world.Run(session, seconds(60));
  CHECK(StateOf(session) == EtcdState::kDenied);
  CHECK(ErrorOf(session).find("etcd.password_file: '/x'") != std::string::npos);
  CHECK(world.users.Asked() == 0);
  CHECK(world.LinesWith("refuses") == 1);
}

TEST_CASE("a denial keeps the connection: leases are renewed and the watch goes on") {
  World world;
  world.users.on = true;
  auto credentials = std::make_shared<MadeUpCredentials>();
  Session session = world.MakeSession({kOnly, "http://b:1"}, credentials);
  world.Run(session, seconds(1));
  REQUIRE(session.Grant(7, seconds(10), kTimeout).ok());
  WatchRun watch(session, "/", 1);
  REQUIRE(watch.WaitForCreated());
  world.users.Set([](Users& users) {
    users.password = "another";
    users.good_token = "none";
  });
  for (int i = 0; i < 20; ++i) {
    world.Run(session, seconds(3));
    REQUIRE(session.KeepAlive(7, kTimeout).ok());
  }
  CHECK(StateOf(session) == EtcdState::kDenied);
  CHECK(session.state().Get()->generation == 1);
  CHECK(world.cluster.LeaseExists(7));
  CHECK(world.LinesWith("lost etcd") == 0);
  world.cluster.Put("/a", "1");
  CHECK(watch.WaitForEvents(1));

  const uint64_t before = session.state().Get()->authenticated;
  world.users.Set([](Users& users) { users.password = "right"; });
  world.Run(session, seconds(16));
  CHECK(StateOf(session) == EtcdState::kConnected);
  CHECK(session.state().Get()->authenticated > before);
  CHECK(session.state().Get()->generation == 1);
  CHECK(session.List("/", kTimeout).ok());
  CHECK(world.LinesWith("accepts this agent again") == 1);
}

TEST_CASE("a member that forgot all tokens and lets passwords queue sees leases renewed") {
  World world;
  world.users.on = true;
  Session session = world.MakeSession({kOnly}, std::make_shared<MadeUpCredentials>());
  world.Run(session, seconds(20));
  world.members[kOnly].Set(Down());
  world.Run(session, seconds(5));
  REQUIRE(StateOf(session) == EtcdState::kLost);
  world.members[kOnly].Set(std::nullopt);
  world.users.Set([](Users& users) {
    users.good_token = "none";
    users.authenticate = MakeError(ErrorClass::kTimeout, "deadline exceeded");
  });
  world.Run(session, seconds(30));
  CHECK(StateOf(session) == EtcdState::kDenied);
  CHECK(session.KeepAlive(1, kTimeout).ok());
  CHECK(world.LinesWith("refuses") == 0);
  world.users.Set([](Users& users) { users.authenticate.reset(); });
  world.Run(session, seconds(17));
  CHECK(StateOf(session) == EtcdState::kConnected);
  CHECK(world.LinesWith("connected to etcd again") == 1);
}

TEST_CASE("after a failover with a token that etcd refused before, leases can be renewed at once") {
  World world;
  world.users.on = true;
  Session session = world.MakeSession({kOnly, "http://b:1"}, std::make_shared<MadeUpCredentials>());
  world.Run(session, seconds(20));
  world.users.Set([](Users& users) {
    users.password = "another";
    users.good_token = "none";
  });
  CHECK_FALSE(session.List("/", kTimeout).ok());
  world.Run(session, milliseconds(10));  // the password was refused: the next time is in seconds
  world.members[session.state().Get()->endpoint].Set(Down());
  CHECK_FALSE(session.Ping(kTimeout).ok());
  REQUIRE(StateOf(session) == EtcdState::kLost);
  session.Step(world.clock.Now());
  CHECK(session.state().Get()->generation == 2);
  CHECK(StateOf(session) == EtcdState::kDenied);
  CHECK(session.KeepAlive(1, kTimeout).ok());
}

TEST_CASE(
    "while denied, a member is asked for a sign of life as ever, and left when it gives none") {
  World world;
  auto credentials = std::make_shared<MadeUpCredentials>();
  const bool wrong_password = GENERATE(true, false);
  if (wrong_password) {
    world.users.on = true;
    credentials->password = "wrong";
  } else {
    world.cluster.FailAll(EtcdCall::kPing, MakeError(ErrorClass::kDenied, "permission denied"));
  }
  Session session =
      world.MakeSession({kOnly, "http://b:1"}, wrong_password ? credentials : nullptr);
  for (int i = 0; i < 30; ++i) {
    world.Run(session, seconds(1));
    CHECK(StateOf(session) == EtcdState::kDenied);
    CHECK(world.clock.Now() - session.state().Get()->last_answer <= Session::kHeartbeat);
  }
  CHECK(session.state().Get()->generation == 1);
  for (uint64_t i = 2; i < 6; ++i) {
    const std::string frozen = session.state().Get()->endpoint;
    world.members[frozen].Set(MakeError(ErrorClass::kTimeout, "deadline exceeded"));
    world.Run(session, milliseconds(4500));
    CHECK(session.state().Get()->endpoint != frozen);
    CHECK(session.state().Get()->generation == i);
    world.members[frozen].Set(std::nullopt);
    world.Run(session, seconds(15));
  }
  CHECK(world.LinesWith("refuses") >= 1);
}

TEST_CASE("a new token is used at once, whatever was refused before") {
  World world;
  world.users.on = true;
  Session session = world.MakeSession({kOnly}, std::make_shared<MadeUpCredentials>());
  world.Run(session, seconds(1));
  world.users.Set([](Users& users) {
    users.good_token = "none";
    users.authenticate = MakeError(ErrorClass::kTimeout, "deadline exceeded");
  });
  world.Run(session, seconds(120));
  world.users.Set([](Users& users) { users.authenticate.reset(); });
  const size_t asked = world.users.Asked();
  while (world.users.Asked() == asked) world.Run(session, milliseconds(100));
  CHECK(world.clock.Now() - session.state().Get()->last_answer <= Session::kHeartbeat);
  world.cluster.ForgetCalls();
  world.Run(session, seconds(20));
  CHECK(world.cluster.CallCount(EtcdCall::kPing) >= 9);
  CHECK(StateOf(session) == EtcdState::kConnected);
}

TEST_CASE("the first password waits briefly, the next as long as a queue may take") {
  World world;
  world.users.on = true;
  world.users.authenticate = MakeError(ErrorClass::kTimeout, "deadline exceeded");
  Session session = world.MakeSession({kOnly}, std::make_shared<MadeUpCredentials>());
  Member& member = world.members[kOnly];
  session.Step(world.clock.Now());
  session.Step(world.clock.Now());
  REQUIRE(world.users.Asked() == 1);
  CHECK(member.last_timeout == kCallTimeout);
  AuthSchedule auth;
  Random random(5);
  CHECK(auth.TokenRefused(0));
  for (int i = 1; i < 20; ++i) auth.NoAnswer(TimePoint(seconds(100)), random);
  CHECK(auth.unanswered());
  auth.ConnectionLost();
  CHECK_FALSE(auth.unanswered());
  CHECK(auth.due() == TimePoint(seconds(101)));
  auth.Refused(TimePoint(seconds(200)), random);
  auth.ConnectionLost();
  CHECK(auth.due() >= TimePoint(seconds(203)));
}

TEST_CASE("while denied, a member that dies is left all the same") {
  World world;
  world.users.on = true;
  auto credentials = std::make_shared<MadeUpCredentials>();
  credentials->password = "wrong";
  Session session = world.MakeSession({kOnly, "http://b:1"}, credentials);
  world.Run(session, seconds(1));
  const std::string first = session.state().Get()->endpoint;
  world.members[first].Set(Down());
  world.Run(session, seconds(20));
  CHECK(session.state().Get()->endpoint != first);
  CHECK(StateOf(session) == EtcdState::kDenied);
}

TEST_CASE("a missing permission is a denial that ends when a read succeeds") {
  World world;
  Session session = world.MakeSession({kOnly});
  world.Run(session, seconds(1));
  world.cluster.FailAll(EtcdCall::kPing, MakeError(ErrorClass::kDenied, "permission denied"));
  world.cluster.ForgetCalls();
  world.Run(session, seconds(120));
  CHECK(StateOf(session) == EtcdState::kDenied);
  CHECK(ErrorOf(session).find("permission denied") != std::string::npos);
  CHECK(session.state().Get()->generation == 1);
  CHECK(session.KeepAlive(1, kTimeout).ok());
  CHECK(world.cluster.CallCount(EtcdCall::kPing) >= 58);
  CHECK(world.cluster.CallCount(EtcdCall::kPing) <= 61);
  world.cluster.FailAll(EtcdCall::kPing, std::nullopt);
  world.Run(session, seconds(16));
  CHECK(StateOf(session) == EtcdState::kConnected);
  CHECK(session.state().Get()->authenticated == 1);
  CHECK(ErrorOf(session).empty());
}

TEST_CASE("what etcd refuses only in part is told without calling it a denial") {
  World world;
  Session session = world.MakeSession({kOnly});
  world.Run(session, seconds(1));
  world.cluster.FailNext(EtcdCall::kWrite, MakeError(ErrorClass::kDenied, "permission denied"));
  CHECK_FALSE(session.Write({}, kTimeout).ok());
  CHECK(StateOf(session) == EtcdState::kConnected);
  world.Run(session, seconds(20));
  CHECK(ErrorOf(session).find("permission denied") != std::string::npos);
  CHECK(session.Write({}, kTimeout).ok());
  CHECK(ErrorOf(session).empty());
}

TEST_CASE("one refused call does not make a session denied that can read") {
  World world;
  const bool with_user = GENERATE(false, true);
  auto credentials = std::make_shared<MadeUpCredentials>();
  credentials->password = "wrong";
  Session session = world.MakeSession({kOnly}, with_user ? credentials : nullptr);
  world.Run(session, seconds(1));
  world.users.authenticate = MakeError(ErrorClass::kDenied, "authentication failed");
  bool always_connected = true;
  session.state().Subscribe(
      [&] { always_connected = always_connected && StateOf(session) == EtcdState::kConnected; });
  const Error refusal = with_user ? MakeError(ErrorClass::kDenied, "permission denied")
                                  : MakeError(ErrorClass::kUnauthenticated, "user name is empty");
  for (int i = 0; i < 20; ++i) {
    world.cluster.FailNext(EtcdCall::kWrite, refusal);
    CHECK_FALSE(session.Write({}, kTimeout).ok());
    world.cluster.ForgetCalls();
    world.Run(session, milliseconds(900));
    if (i == 0) CHECK(world.cluster.CallCount(EtcdCall::kPing) >= 1);
  }
  CHECK(always_connected);
  CHECK_FALSE(ErrorOf(session).empty());
  CHECK(world.LinesWith("refuses") == 0);
}

TEST_CASE("a refusal that nobody hears any more is forgotten, a newer one takes its place") {
  World world;
  Session session = world.MakeSession({kOnly});
  world.Run(session, seconds(1));
  world.cluster.FailNext(EtcdCall::kWrite, MakeError(ErrorClass::kDenied, "may not write"));
  CHECK_FALSE(session.Write({}, kTimeout).ok());
  world.cluster.FailNext(EtcdCall::kGrant, MakeError(ErrorClass::kDenied, "may not grant"));
  CHECK_FALSE(session.Grant(1, seconds(10), kTimeout).ok());
  CHECK(ErrorOf(session).find("may not grant") != std::string::npos);
  world.Run(session, seconds(50));
  CHECK(ErrorOf(session).find("may not grant") != std::string::npos);
  world.cluster.FailNext(EtcdCall::kGrant, MakeError(ErrorClass::kDenied, "may not grant"));
  CHECK_FALSE(session.Grant(1, seconds(10), kTimeout).ok());
  world.Run(session, seconds(50));
  CHECK(ErrorOf(session).find("may not grant") != std::string::npos);
  world.Run(session, seconds(20));
  CHECK(ErrorOf(session).empty());
}

TEST_CASE("etcd asks for a user and this agent has none") {
  World world;
  world.users.on = true;
  Session session = world.MakeSession({kOnly});
  for (int i = 0; i < 60; ++i) {
    world.Run(session, seconds(1));
    CHECK_FALSE(session.List("/", kTimeout).ok());
  }
  CHECK(StateOf(session) == EtcdState::kDenied);
  CHECK(ErrorOf(session).find("user name is empty") != std::string::npos);
  CHECK(world.users.Asked() == 0);
  CHECK(world.LinesWith("refuses") == 1);
  CHECK(session.KeepAlive(1, kTimeout).ok());
  world.users.Set([](Users& users) { users.on = false; });
  world.Run(session, seconds(16));
  CHECK(StateOf(session) == EtcdState::kConnected);
}

TEST_CASE("access control switched off ends the use of tokens") {
  World world;
  world.users.on = true;
  Session session = world.MakeSession({kOnly}, std::make_shared<MadeUpCredentials>());
  world.Run(session, seconds(10));
  REQUIRE(world.users.Asked() == 1);
  world.users.Set([](Users& users) { users.on = false; });
  world.Run(session, seconds(60));
  CHECK(StateOf(session) == EtcdState::kConnected);
  CHECK(session.List("/", kTimeout).ok());
  CHECK(world.users.Asked() == 2);
  world.users.Set([](Users& users) { users.on = true; });
  world.Run(session, seconds(10));
  CHECK(StateOf(session) == EtcdState::kConnected);
  CHECK(world.users.Asked() == 3);
}

TEST_CASE("passwords that queue at etcd do not cost the connection") {
  World world;
  world.users.on = true;
  world.users.authenticate = MakeError(ErrorClass::kTimeout, "deadline exceeded");
  Session session = world.MakeSession({kOnly}, std::make_shared<MadeUpCredentials>());
  world.Run(session, seconds(60));
  CHECK(session.state().Get()->generation == 1);
  CHECK(world.users.Asked() >= 4);
  CHECK(world.users.Asked() <= 40);
  CHECK(ShortestGap(world.users.asked) >= seconds(1));
  world.users.Set([](Users& users) { users.authenticate.reset(); });
  world.Run(session, seconds(17));
  CHECK(StateOf(session) == EtcdState::kConnected);
}

TEST_CASE("a client certificate's user without permission gives way to the configured one") {
  World world;
  world.users.on = true;
  world.users.without_token = MakeError(ErrorClass::kDenied, "etcdserver: permission denied");
  Session session = world.MakeSession({kOnly}, std::make_shared<MadeUpCredentials>());
  world.Run(session, milliseconds(100));
  CHECK(StateOf(session) == EtcdState::kConnected);
  CHECK(world.users.Asked() == 1);
  CHECK(world.LinesWith("refuses") == 0);
}

TEST_CASE("leases that are renewed do not hide that etcd refuses everything else") {
  World world;
  Session session = world.MakeSession({kOnly}, std::make_shared<MadeUpCredentials>());
  world.Run(session, seconds(1));
  world.users.Set([](Users& users) { users.on = true; });
  for (int i = 0; i < 12; ++i) {
    world.Run(session, seconds(1));
    REQUIRE(session.KeepAlive(1, kTimeout).ok());
  }
  CHECK(world.users.Asked() == 1);
  CHECK(session.List("/", kTimeout).ok());
}

TEST_CASE("a revocation waits for the token that etcd wants") {
  World world;
  world.users.on = true;
  Session session = world.MakeSession({kOnly}, std::make_shared<MadeUpCredentials>());
  world.Run(session, seconds(10));
  REQUIRE(session.Grant(7, seconds(100), kTimeout).ok());
  world.users.Set([](Users& users) { users.good_token = "expired"; });
  std::jthread stepper;
  session.SetWake([&] { stepper = std::jthread([&] { session.Step(world.clock.Now()); }); });
  CHECK(session.Revoke(7, milliseconds(5000)).ok());
  CHECK_FALSE(world.cluster.LeaseExists(7));
}

TEST_CASE("a token serves every endpoint") {
  World world;
  world.users.on = true;
  Session session = world.MakeSession({kOnly, "http://b:1"}, std::make_shared<MadeUpCredentials>());
  world.Run(session, seconds(20));
  world.members[session.state().Get()->endpoint].Set(Down());
  world.Run(session, seconds(10));
  CHECK(StateOf(session) == EtcdState::kConnected);
  CHECK(session.state().Get()->generation == 2);
  CHECK(world.users.Asked() == 1);
}

}  // namespace
}  // namespace rosterd::etcd
