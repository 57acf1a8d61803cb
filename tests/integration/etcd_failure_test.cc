// SPDX-License-Identifier: Apache-2.0
// GrpcClient and Session when their etcd is killed, frozen or was never there.
#include <catch2/catch.hpp>
#include <functional>
#include <mutex>
#include <thread>

#include "base/step_thread.h"
#include "etcd/session.h"
#include "support/etcd_process.h"
#include "support/watch_run.h"

namespace rosterd::testing {
namespace {

using etcd::ErrorClass;
using etcd::GrpcClient;
using etcd::Session;

constexpr milliseconds kTimeout{1500};

bool Eventually(const std::function<bool()>& reached, Duration limit = seconds(10)) {
  const TimePoint end = BootClock::now() + limit;
  while (BootClock::now() < end) {
    if (reached()) return true;
    std::this_thread::sleep_for(milliseconds(5));
  }
  return reached();
}

// A session on its own thread, as the agent runs it.
class RunningSession {
 public:
  explicit RunningSession(const std::vector<std::string>& endpoints)
      : session_(endpoints, *etcd::MakeGrpcClientFactory(endpoints, {}), clock_, log_, metrics_,
                 Random(1)),
        thread_("session", clock_, [this](TimePoint now) { return session_.Step(now); }) {
    session_.SetWake([this] { thread_.Wake(); });
    thread_.Start();
  }
  ~RunningSession() {
    session_.Stop();
    thread_.Stop();
  }

  Session& operator*() { return session_; }
  Session* operator->() { return &session_; }
  EtcdState State() { return session_.state().Get()->state; }
  bool WaitConnected() {
    return Eventually([&] { return State() == EtcdState::kConnected; });
  }
  size_t LinesWith(const std::string& text) const {
    std::lock_guard lock(mutex_);
    size_t count = 0;
    for (const std::string& line : lines_) count += line.find(text) != std::string::npos ? 1 : 0;
    return count;
  }

 private:
  SystemClock clock_;
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;  // guarded by mutex_
  Log log_{LogLevel::kInfo, LogFormat::kText, [this](const std::string& line) {
             std::lock_guard lock(mutex_);
             lines_.push_back(line);
           }};
  Metrics metrics_;
  Session session_;
  StepThread thread_;
};

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
