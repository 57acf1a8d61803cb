// SPDX-License-Identifier: Apache-2.0
// The session over made-up members of one fake cluster, in made-up time.
#include "etcd/session.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

#include "session_world.h"
#include "support/watch_run.h"

namespace rosterd::etcd {
namespace {

using testing::EtcdCall;
using testing::MakeError;
using testing::WatchRun;

constexpr milliseconds kTimeout{1000};

TEST_CASE("a session connects to an endpoint that answers") {
  World world;
  Session session = world.MakeSession({"http://a:1"});
  CHECK(session.state().Get()->state == EtcdState::kConnecting);
  const Result<Header> early = session.Ping(kTimeout);
  REQUIRE_FALSE(early.ok());
  CHECK(early.error().error_class == ErrorClass::kUnavailable);
  session.Step(world.clock.Now());
  const auto snapshot = session.state().Get();
  CHECK(snapshot->state == EtcdState::kConnected);
  CHECK(snapshot->endpoint == "http://a:1");
  CHECK(snapshot->error.empty());
  CHECK(snapshot->generation == 1);
  CHECK(snapshot->last_answer == world.clock.Now());
  CHECK(session.Ping(kTimeout).ok());
  CHECK(world.LinesWith("connected to etcd") == 1);
}

TEST_CASE("dead endpoints are passed over without delay") {
  World world;
  Session session = world.MakeSession({"http://a:1", "http://b:1", "http://c:1"});
  world.members["http://a:1"].Set(Down());
  world.members["http://b:1"].Set(Down());
  for (int i = 0; i < 3; ++i) {
    if (session.state().Get()->state != EtcdState::kConnected) session.Step(world.clock.Now());
  }
  CHECK(session.state().Get()->endpoint == "http://c:1");
}

TEST_CASE("an unreachable etcd is asked every two seconds at most and named once in the log") {
  World world;
  Session session = world.MakeSession({"http://a:1"});
  world.members["http://a:1"].Set(Down());
  world.Run(session, seconds(60));
  const int asked = world.members["http://a:1"].clients_made;
  CHECK(asked > 30);
  CHECK(asked < 200);
  CHECK(world.lines.size() == 1);
  CHECK(session.state().Get()->state == EtcdState::kConnecting);
  CHECK(session.state().Get()->error.find("connection refused") != std::string::npos);
  const auto refused = session.List("/", kTimeout);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().text.find("connection refused") != std::string::npos);
  CHECK(world.members["http://a:1"].alive() == 0);
}

TEST_CASE("a silent connection is asked for a sign of life every two seconds") {
  World world;
  Session session = world.MakeSession({"http://a:1"});
  session.Step(world.clock.Now());
  world.cluster.ForgetCalls();
  world.Run(session, seconds(20));
  CHECK(world.cluster.CallCount(EtcdCall::kPing) == 10);
}

TEST_CASE("other answers take the place of the heartbeat") {
  World world;
  Session session = world.MakeSession({"http://a:1"});
  session.Step(world.clock.Now());
  world.cluster.ForgetCalls();
  for (int i = 0; i < 20; ++i) {
    world.Run(session, seconds(1));
    REQUIRE(session.KeepAlive(1, kTimeout).ok());
  }
  // Only the question whether etcd still lets this agent in, every ten seconds.
  CHECK(world.cluster.CallCount(EtcdCall::kPing) == 2);
  CHECK(session.state().Get()->last_answer == world.clock.Now());
}

TEST_CASE("a failed call gives the connection up and the next endpoint takes over at once") {
  World world;
  Session session = world.MakeSession({"http://a:1", "http://b:1"});
  session.Step(world.clock.Now());
  world.Run(session, seconds(30));
  const std::string first = session.state().Get()->endpoint;
  bool woken = false;
  session.SetWake([&] { woken = true; });
  world.members[first].Set(MakeError(ErrorClass::kTimeout, "deadline exceeded"));
  CHECK(session.Ping(kTimeout).error().error_class == ErrorClass::kTimeout);
  CHECK(woken);
  CHECK(session.state().Get()->state == EtcdState::kLost);
  CHECK(session.state().Get()->error.find("deadline exceeded") != std::string::npos);
  CHECK(world.members[first].alive() == 0);
  session.Step(world.clock.Now());
  const auto snapshot = session.state().Get();
  CHECK(snapshot->state == EtcdState::kConnected);
  CHECK(snapshot->endpoint != first);
  CHECK(snapshot->generation == 2);
  CHECK(world.LinesWith("lost etcd") == 1);
  CHECK(world.LinesWith("connected to etcd again") == 1);
  CHECK(world.metrics.Render().find("rosterd_etcd_failovers_total 1") != std::string::npos);
}

TEST_CASE("losing the connection ends a watch as unavailable, stopping it as cancelled") {
  World world;
  Session session = world.MakeSession({"http://a:1", "http://b:1"});
  session.Step(world.clock.Now());
  const std::string first = session.state().Get()->endpoint;
  WatchRun broken(session, "/", 1);
  REQUIRE(broken.WaitForCreated());
  world.members[first].Set(Down());
  CHECK_FALSE(session.Ping(kTimeout).ok());
  CHECK(broken.End().error_class == ErrorClass::kUnavailable);
  CHECK(world.members[first].alive() == 0);
  world.Run(session, seconds(3));
  WatchRun stopped(session, "/", 1);
  REQUIRE(stopped.WaitForCreated());
  CHECK(stopped.Stop().error_class == ErrorClass::kCancelled);
}

TEST_CASE("a broken watch gives the connection up, a compacted one does not") {
  World world;
  Session session = world.MakeSession({"http://a:1"});
  session.Step(world.clock.Now());
  world.cluster.Put("/a", "1");
  world.cluster.Put("/a", "2");
  world.cluster.Compact(3);
  WatchRun compacted(session, "/", 1);
  CHECK(compacted.End().error_class == ErrorClass::kCompacted);
  CHECK(session.state().Get()->state == EtcdState::kConnected);
  WatchRun broken(session, "/", 4);
  REQUIRE(broken.WaitForCreated());
  world.cluster.BreakWatches(MakeError(ErrorClass::kUnavailable, "etcdserver: no leader"));
  CHECK(broken.End().text == "etcdserver: no leader");
  CHECK(session.state().Get()->state == EtcdState::kLost);
}

TEST_CASE("watch batches count as answers") {
  World world;
  Session session = world.MakeSession({"http://a:1"});
  session.Step(world.clock.Now());
  WatchRun watch(session, "/", 1);
  REQUIRE(watch.WaitForCreated());
  world.clock.Advance(seconds(1));
  world.cluster.Put("/a", "1");
  REQUIRE(watch.WaitForEvents(1));
  CHECK(session.state().Get()->last_answer == world.clock.Now());
}

TEST_CASE("a full or busy etcd is not left") {
  World world;
  Session session = world.MakeSession({"http://a:1", "http://b:1"});
  session.Step(world.clock.Now());
  world.cluster.FailNext(EtcdCall::kWrite, MakeError(ErrorClass::kNoSpace));
  CHECK_FALSE(session.Write({}, kTimeout).ok());
  CHECK(session.state().Get()->state == EtcdState::kConnected);
  world.cluster.FailAll(EtcdCall::kPing, MakeError(ErrorClass::kOverloaded));
  world.cluster.ForgetCalls();
  world.Run(session, seconds(60));
  CHECK(session.state().Get()->state == EtcdState::kConnected);
  CHECK(session.state().Get()->generation == 1);
  CHECK(world.cluster.CallCount(EtcdCall::kPing) >= 3);
  CHECK(world.cluster.CallCount(EtcdCall::kPing) < 30);
}

TEST_CASE("what a busy etcd cost is forgotten with its next answer") {
  World world;
  Session session = world.MakeSession({"http://a:1"});
  world.Run(session, seconds(1));
  world.cluster.FailAll(EtcdCall::kPing, MakeError(ErrorClass::kOverloaded));
  world.Run(session, seconds(120));
  world.cluster.FailAll(EtcdCall::kPing, std::nullopt);
  world.Run(session, seconds(20));
  for (int i = 0; i < 10; ++i) {
    world.cluster.FailNext(EtcdCall::kPing, MakeError(ErrorClass::kOverloaded));
    world.cluster.ForgetCalls();
    world.Run(session, seconds(6));
    CHECK(world.cluster.CallCount(EtcdCall::kPing) >= 3);
  }
  CHECK(session.state().Get()->generation == 1);
}

TEST_CASE("a proxy that forbids is no etcd: the next endpoint is") {
  const int code = GENERATE(7, 16);
  const std::string text = "Received http2 header with status: 403";
  const Error forbidden = MakeError(Classify(code, text), text);
  World world;
  const bool with_user = GENERATE(false, true);
  Session session = world.MakeSession({"http://a:1", "http://b:1"},
                                      with_user ? std::make_shared<MadeUpCredentials>() : nullptr);
  world.members["http://a:1"].Set(forbidden);
  world.Run(session, seconds(1));
  CHECK(session.state().Get()->state == EtcdState::kConnected);
  CHECK(session.state().Get()->endpoint == "http://b:1");
  world.members["http://a:1"].Set(std::nullopt);
  world.members["http://b:1"].Set(forbidden);
  world.Run(session, seconds(5));
  CHECK(session.state().Get()->state == EtcdState::kConnected);
  CHECK(session.state().Get()->endpoint == "http://a:1");
  CHECK(world.users.Asked() == 0);
}

TEST_CASE("refused credentials are said once and retried slowly") {
  World world;
  Session session = world.MakeSession({"http://a:1", "http://b:1"});
  const Error denied = MakeError(ErrorClass::kDenied, "etcdserver: permission denied");
  world.members["http://a:1"].Set(denied);
  world.members["http://b:1"].Set(denied);
  world.Run(session, seconds(120));
  CHECK(session.state().Get()->state == EtcdState::kDenied);
  CHECK(world.members["http://a:1"].clients_made + world.members["http://b:1"].clients_made < 60);
  CHECK(world.LinesWith("refuses") == 1);
  world.members["http://a:1"].Set(std::nullopt);
  world.members["http://b:1"].Set(std::nullopt);
  world.Run(session, seconds(16));
  CHECK(session.state().Get()->state == EtcdState::kConnected);
}

TEST_CASE("an outage is logged once and the reconnection too") {
  World world;
  Session session = world.MakeSession({"http://a:1", "http://b:1"});
  world.Run(session, seconds(30));
  world.lines.clear();
  world.members["http://a:1"].Set(Down());
  world.members["http://b:1"].Set(Down());
  world.Run(session, seconds(60));
  CHECK(session.state().Get()->state == EtcdState::kLost);
  REQUIRE(world.lines.size() == 1);
  CHECK(world.lines[0].find("keeping registrations") != std::string::npos);
  world.members["http://a:1"].Set(std::nullopt);
  world.Run(session, seconds(10));
  CHECK(session.state().Get()->state == EtcdState::kConnected);
  CHECK(world.lines.size() == 2);
}

TEST_CASE("a member that answers pings and fails everything else is not tried in a hot loop") {
  World world;
  Session session = world.MakeSession({"http://a:1"});
  world.cluster.FailAll(EtcdCall::kList, MakeError(ErrorClass::kUnavailable));
  TimePoint next = world.clock.Now();
  const TimePoint end = next + seconds(60);
  while (next <= end) {
    if (next > world.clock.Now()) world.clock.Advance(next - world.clock.Now());
    session.Step(world.clock.Now());
    CHECK_FALSE(session.List("/", kTimeout).ok());
    next = std::max(session.Step(world.clock.Now()), world.clock.Now());
  }
  CHECK(world.members["http://a:1"].clients_made < 200);
}

TEST_CASE("the first pass does not wait long for one endpoint") {
  World world;
  Session session = world.MakeSession({"http://a:1"});
  Member& member = world.members["http://a:1"];
  member.Set(MakeError(ErrorClass::kTimeout));
  session.Step(world.clock.Now());
  CHECK(member.last_timeout == Session::kProbeTimeout);
  world.Run(session, seconds(5));
  CHECK(member.last_timeout == kCallTimeout);
}

TEST_CASE("after a stop every call is cancelled and no more is tried") {
  World world;
  Session session = world.MakeSession({"http://a:1"});
  session.Step(world.clock.Now());
  WatchRun watch(session, "/", 1);
  REQUIRE(watch.WaitForCreated());
  session.Stop();
  CHECK(watch.End().error_class == ErrorClass::kCancelled);
  CHECK(session.Ping(kTimeout).error().error_class == ErrorClass::kCancelled);
  CHECK(session.Step(world.clock.Now()) == kNever);
  CHECK(world.members["http://a:1"].alive() == 0);
  CHECK(world.LinesWith("lost etcd") == 0);
  session.Stop();
}

TEST_CASE("a stop ends a connection attempt in progress") {
  World world;
  Session session = world.MakeSession({"http://a:1"});
  world.members["http://a:1"].SetSilent();
  std::jthread stepper([&] { CHECK(session.Step(world.clock.Now()) == kNever); });
  world.members["http://a:1"].WaitForSilentPing();
  session.Stop();
  stepper.join();
  CHECK(world.members["http://a:1"].alive() == 0);
}

TEST_CASE("one failed call ends all others in flight as unavailable") {
  World world;
  Session session = world.MakeSession({"http://a:1"});
  session.Step(world.clock.Now());
  Member& member = world.members["http://a:1"];
  member.SetSilent();
  std::jthread pinger([&] {
    const auto answer = session.Ping(kTimeout);
    CHECK(answer.error().error_class == ErrorClass::kUnavailable);
  });
  member.WaitForSilentPing();
  member.Set(MakeError(ErrorClass::kTimeout));
  CHECK_FALSE(session.KeepAlive(1, kTimeout).ok());
  pinger.join();
  CHECK(session.state().Get()->state == EtcdState::kLost);
  CHECK(member.alive() == 0);
}

TEST_CASE("answers alone are published ten times a second at most, changes of state at once") {
  World world;
  Session session = world.MakeSession({"http://a:1"});
  int published = 0;
  session.state().Subscribe([&] { ++published; });
  session.Step(world.clock.Now());
  CHECK(published == 1);
  for (int i = 0; i < 1000; ++i) {
    world.clock.Advance(milliseconds(1));
    REQUIRE(session.Ping(kTimeout).ok());
  }
  CHECK(published >= 10);
  CHECK(published <= 12);
  published = 0;
  world.members["http://a:1"].Set(Down());
  CHECK_FALSE(session.Ping(kTimeout).ok());
  CHECK(published == 1);
}

TEST_CASE("calls are counted by kind and result") {
  World world;
  Session session = world.MakeSession({"http://a:1"});
  session.Step(world.clock.Now());
  REQUIRE(session.Grant(9, seconds(10), kTimeout).ok());
  REQUIRE_FALSE(session.Grant(9, seconds(10), kTimeout).ok());
  const std::string text = world.metrics.Render();
  CHECK(text.find("rosterd_etcd_requests_total{call=\"grant\",result=\"ok\"} 1") !=
        std::string::npos);
  CHECK(text.find("rosterd_etcd_requests_total{call=\"grant\",result=\"lease_exists\"} 1") !=
        std::string::npos);
  CHECK(text.find("rosterd_etcd_request_duration_seconds_count{call=\"grant\"} 2") !=
        std::string::npos);
  CHECK(text.find("rosterd_etcd_connected 1") != std::string::npos);
}

TEST_CASE("threads may call while connections come and go") {
  World world;
  Session session = world.MakeSession({"http://a:1", "http://b:1"});
  session.Step(world.clock.Now());
  std::atomic<bool> done = false;
  std::vector<std::jthread> callers;
  for (int i = 0; i < 3; ++i) {
    callers.emplace_back([&] {
      while (!done) {
        [[maybe_unused]] const auto answer = session.List("/", kTimeout);
        [[maybe_unused]] const Error end =
            session.Watch("/", 1, kTimeout, {}, [](const WatchBatch&) { return false; });
      }
    });
  }
  for (int i = 0; i < 200; ++i) {
    world.members["http://a:1"].Set(i / 5 % 2 == 0 ? std::optional(Down()) : std::nullopt);
    world.members["http://b:1"].Set(i / 7 % 2 == 0 ? std::optional(Down()) : std::nullopt);
    world.clock.Advance(seconds(1));
    session.Step(world.clock.Now());
  }
  session.Stop();
  done = true;
  callers.clear();
  CHECK(session.state().Get()->generation > 1);
}

}  // namespace
}  // namespace rosterd::etcd
