// SPDX-License-Identifier: Apache-2.0
// GrpcClient and Session when their etcd is killed, frozen or was never there.
#include <catch2/catch.hpp>
#include <functional>
#include <thread>

#include "etcd_running_session.h"
#include "support/etcd_process.h"
#include "support/watch_run.h"

namespace rosterd::testing {
namespace {

using etcd::ErrorClass;
using etcd::GrpcClient;

constexpr milliseconds kTimeout{1500};

// An address where nothing listens.
std::string DeadEndpoint() {
  EtcdProcess etcd;
  return etcd.endpoint();
}

TEST_CASE("nobody listening is unavailable at once and in words") {
  GrpcClient client(*etcd::ParseEndpoint(DeadEndpoint()));
  const TimePoint asked = BootClock::now();
  const auto answer = client.Ping(kTimeout);
  REQUIRE_FALSE(answer.ok());
  CHECK(answer.error().error_class == ErrorClass::kUnavailable);
  CHECK(BootClock::now() - asked < milliseconds(1000));
  const etcd::Error end =
      client.Watch("/", 1, kTimeout, {}, [](const etcd::WatchBatch&) { return true; });
  CHECK(end.error_class == ErrorClass::kUnavailable);
  CHECK_FALSE(client.KeepAlive(1, kTimeout).ok());
}

TEST_CASE("a watch that is merely quiet is asked for its progress and stays; a dead one ends") {
  EtcdProcess etcd;
  GrpcClient::Options options;
  options.watch_silence = milliseconds(100);
  options.watch_answer = milliseconds(1000);
  GrpcClient client(*etcd::ParseEndpoint(etcd.endpoint()), options);
  const auto started = client.Ping(kTimeout);
  REQUIRE(started.ok());
  WatchRun watch(client, "/quiet/", started->revision + 1);
  REQUIRE(watch.WaitForCreated());
  // Long enough to be asked some ten times.
  std::this_thread::sleep_for(milliseconds(1500));
  REQUIRE(client.Write({{.key = "/quiet/a", .value = "1"}}, kTimeout).ok());
  CHECK(watch.WaitForEvents(1));
  const TimePoint frozen = BootClock::now();
  etcd.Pause();
  CHECK(watch.End().error_class == ErrorClass::kTimeout);
  CHECK(BootClock::now() - frozen < seconds(3));
  etcd.Resume();
}

TEST_CASE("a frozen member costs a call its deadline and no more") {
  EtcdProcess etcd;
  const auto client = etcd.NewClient();
  REQUIRE(client->Ping(kTimeout).ok());
  REQUIRE(client->Grant(7, seconds(60), kTimeout).ok());
  etcd.Pause();
  const auto took = [](const std::function<ErrorClass()>& call) {
    const TimePoint start = BootClock::now();
    CHECK(call() == ErrorClass::kTimeout);
    return ToMilliseconds(BootClock::now() - start).count();
  };
  CHECK(took([&] { return client->Ping(milliseconds(300)).error().error_class; }) < 1000);
  CHECK(took([&] { return client->KeepAlive(7, milliseconds(300)).error().error_class; }) < 1000);
  CHECK(took([&] { return client->List("/", milliseconds(300)).error().error_class; }) < 1000);
  CHECK(took([&] {
          return client
              ->Watch("/", 1, milliseconds(300), {}, [](const etcd::WatchBatch&) { return true; })
              .error_class;
        }) < 1000);
  etcd.Resume();
  CHECK(Eventually([&] { return client->Ping(kTimeout).ok(); }));
}

TEST_CASE("cancelling ends every call in flight on a frozen member at once") {
  EtcdProcess etcd;
  const auto client = etcd.NewClient();
  WatchRun watch(*client, "/", 1);
  REQUIRE(watch.WaitForCreated());
  etcd.Pause();
  std::jthread pinger([&] {
    const auto answer = client->Ping(milliseconds(10'000));
    CHECK(answer.error().error_class == ErrorClass::kCancelled);
  });
  std::jthread keeper([&] {
    const auto answer = client->KeepAlive(1, milliseconds(10'000));
    CHECK(answer.error().error_class == ErrorClass::kCancelled);
  });
  std::this_thread::sleep_for(milliseconds(50));
  const TimePoint asked = BootClock::now();
  client->CancelAll();
  CHECK(watch.End().error_class == ErrorClass::kCancelled);
  pinger.join();
  keeper.join();
  CHECK(BootClock::now() - asked < seconds(1));
  CHECK(client->Ping(kTimeout).error().error_class == ErrorClass::kCancelled);
  CHECK(BootClock::now() - asked < seconds(1));
}

TEST_CASE("a session survives its etcd being killed and started again") {
  EtcdProcess etcd;
  RunningSession session({etcd.endpoint()});
  REQUIRE(session.WaitConnected());
  REQUIRE(session->Grant(7, seconds(60), kTimeout).ok());
  WatchRun watch(*session, "/", 1);
  REQUIRE(watch.WaitForCreated());

  const TimePoint killed = BootClock::now();
  etcd.Kill();
  CHECK(watch.End().error_class == ErrorClass::kUnavailable);
  CHECK(BootClock::now() - killed < seconds(1));
  REQUIRE(Eventually([&] { return session.State() == EtcdState::kLost; }));
  const TimePoint asked = BootClock::now();
  const auto refused = session->List("/", kTimeout);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().error_class == ErrorClass::kUnavailable);
  CHECK(BootClock::now() - asked < seconds(1));

  etcd.Restart();
  REQUIRE(session.WaitConnected());
  const auto kept = session->KeepAlive(7, kTimeout);
  REQUIRE(kept.ok());
  CHECK(kept->ttl > seconds(0));
  WatchRun again(*session, "/", 1);
  CHECK(again.WaitForCreated());
  CHECK(session.LinesWith("lost etcd") == 1);
  CHECK(session.LinesWith("connected to etcd again") == 1);
}

TEST_CASE("a session finds out that its etcd is frozen and cancels the silent watch") {
  EtcdProcess etcd;
  RunningSession session({etcd.endpoint()});
  REQUIRE(session.WaitConnected());
  WatchRun watch(*session, "/", 1);
  REQUIRE(watch.WaitForCreated());
  const TimePoint frozen = BootClock::now();
  etcd.Pause();
  CHECK(watch.End().error_class == ErrorClass::kUnavailable);
  CHECK(BootClock::now() - frozen < seconds(4));
  CHECK(session.State() == EtcdState::kLost);
  etcd.Resume();
  CHECK(session.WaitConnected());
}

TEST_CASE("of two endpoints the living one serves, and takes over from the other") {
  EtcdProcess living;
  const std::string dead = DeadEndpoint();
  for (const auto& endpoints : {std::vector<std::string>{dead, living.endpoint()},
                                std::vector<std::string>{living.endpoint(), dead}}) {
    RunningSession session(endpoints);
    REQUIRE(session.WaitConnected());
    CHECK(session->state().Get()->endpoint == living.endpoint());
  }
}

TEST_CASE("a frozen endpoint is replaced by the other within five seconds") {
  EtcdProcess one;
  EtcdProcess two;
  RunningSession session({one.endpoint(), two.endpoint()});
  REQUIRE(session.WaitConnected());
  const std::string first = session->state().Get()->endpoint;
  EtcdProcess& active = first == one.endpoint() ? one : two;
  const TimePoint frozen = BootClock::now();
  active.Pause();
  REQUIRE(Eventually([&] {
    const auto snapshot = session->state().Get();
    return snapshot->state == EtcdState::kConnected && snapshot->endpoint != first;
  }));
  CHECK(BootClock::now() - frozen < seconds(5));
}

TEST_CASE("a session stops at once while its etcd is frozen") {
  EtcdProcess etcd;
  auto session = std::make_unique<RunningSession>(std::vector<std::string>{etcd.endpoint()});
  REQUIRE(session->WaitConnected());
  WatchRun watch(**session, "/", 1);
  REQUIRE(watch.WaitForCreated());
  etcd.Pause();
  const TimePoint asked = BootClock::now();
  (**session).Stop();
  CHECK(watch.End().error_class == ErrorClass::kCancelled);
  session.reset();
  CHECK(BootClock::now() - asked < seconds(1));
}

}  // namespace
}  // namespace rosterd::testing
