// SPDX-License-Identifier: Apache-2.0
// Certificates that change while the session runs, over made-up members, in made-up time.
#include <catch2/catch.hpp>

#include "session_world.h"
#include "support/watch_run.h"

namespace rosterd::etcd {
namespace {

using testing::WatchRun;

constexpr milliseconds kTimeout{1000};
const std::string kOnly = "https://a:1";

struct Running {
  World world;
  std::shared_ptr<MadeUpCredentials> credentials = std::make_shared<MadeUpCredentials>();
  Session session = world.MakeSession({kOnly}, credentials);
  Member& member = world.members[kOnly];

  Running() { world.Run(session, seconds(5)); }
  EtcdState state() { return session.state().Get()->state; }
  uint64_t generation() { return session.state().Get()->generation; }
};

TEST_CASE("changed certificates make a new connection within four seconds, and only one") {
  Running run;
  REQUIRE(run.generation() == 1);
  bool always_connected = true;
  run.session.state().Subscribe(
      [&] { always_connected = always_connected && run.state() == EtcdState::kConnected; });
  WatchRun watch(run.session, "/", 1);
  REQUIRE(watch.WaitForCreated());
  run.credentials->next.tls = true;
  run.world.Run(run.session, seconds(4));
  CHECK(run.generation() == 2);
  CHECK(watch.End().error_class == ErrorClass::kUnavailable);
  WatchRun again(run.session, "/", 1);
  CHECK(again.WaitForCreated());
  CHECK(run.member.alive() == 1);
  CHECK(always_connected);
  run.world.Run(run.session, seconds(60));
  CHECK(run.generation() == 2);
  CHECK(run.world.LinesWith("certificate files of etcd.tls changed") == 1);
  CHECK(run.world.LinesWith("lost etcd") == 0);
}

TEST_CASE("credentials are looked at every two seconds") {
  Running run;
  const int before = run.credentials->looks;
  run.world.Run(run.session, seconds(60));
  CHECK(run.credentials->looks - before >= 28);
  CHECK(run.credentials->looks - before <= 31);
}

TEST_CASE("certificates that cannot be used are said and change nothing") {
  Running run;
  run.credentials->next.warning = "etcd.tls.key is not the key of the certificate";
  run.world.Run(run.session, seconds(60));
  CHECK(run.generation() == 1);
  CHECK(run.world.LinesWith("is not the key") == 1);
  CHECK(run.member.alive() == 1);
}

TEST_CASE("certificates that etcd does not accept leave the old connection in use") {
  Running run;
  if (GENERATE(false, true)) {
    run.member.to_bad_clients = MakeError(ErrorClass::kDenied, "etcdserver: permission denied");
  }
  run.member.good_clients = 1;
  run.credentials->next.tls = true;
  run.world.Run(run.session, seconds(60));
  CHECK(run.generation() == 1);
  CHECK(run.state() == EtcdState::kConnected);
  CHECK(run.session.KeepAlive(1, kTimeout).ok());
  CHECK(run.member.alive() == 1);
  CHECK(run.world.LinesWith("keeping the old connection") == 1);
  CHECK(run.member.clients_made >= 4);
  CHECK(run.member.clients_made <= 22);
  run.member.good_clients = 1000;
  run.world.Run(run.session, seconds(16));
  CHECK(run.generation() == 2);
}

TEST_CASE("a connection that is lost anyway comes back with the new certificates") {
  Running run;
  run.member.Set(Down());
  run.world.Run(run.session, seconds(5));
  REQUIRE(run.state() == EtcdState::kLost);
  run.credentials->next.tls = true;
  run.world.Run(run.session, seconds(5));
  run.member.Set(std::nullopt);
  run.world.Run(run.session, seconds(60));
  CHECK(run.generation() == 2);
}

TEST_CASE("a stop under a call in flight is no warning") {
  Running run;
  run.member.SetSilent();
  run.world.lines.clear();
  std::jthread pinger(
      [&] { CHECK(run.session.Ping(kTimeout).error().error_class == ErrorClass::kCancelled); });
  run.member.WaitForSilentPing();
  run.session.Stop();
  pinger.join();
  CHECK(run.session.Step(run.world.clock.Now()) == kNever);
  CHECK(run.world.lines.empty());
}

}  // namespace
}  // namespace rosterd::etcd
