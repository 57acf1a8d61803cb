// SPDX-License-Identifier: Apache-2.0
#include "registry/registrar.h"

#include <catch2/catch.hpp>

#include "agent_host.h"

namespace rosterd::testing {
namespace {

using Catch::Matchers::Contains;
using etcd::ErrorClass;

TEST_CASE("a passing instance is registered at once, under the lease, as the contract says") {
  OneHost t;
  t.host.Set("web");
  t.host.Settle();
  const auto kv = t.etcd.Get("/services/web/web-1");
  REQUIRE(kv);
  CHECK(kv->lease == t.host.Lease());
  const auto instance = DecodeInstance({"web", "web-1"}, kv->value);
  REQUIRE(instance.ok());
  CHECK(instance->host == "10.0.0.5");
  CHECK(instance->port == 8080);
  CHECK(instance->endpoints == std::vector<std::string>{"http://10.0.0.5:8080"});
  CHECK(instance->node == "web-01");
  CHECK(instance->agent == "uuid-1");
  CHECK(instance->passing());

  CHECK(t.host.Shown("web").state == RegistrationState::kRegistered);
  CHECK(t.host.Shown("web").reason.empty());
  CHECK(t.host.Logged("registered") == 1);
  CHECK(t.host.Logged("lease granted") == 1);
  CHECK(t.host.Metric("rosterd_registrations{state=\"registered\"}") == 1);
  CHECK(t.host.Metric("rosterd_registration_writes_total{kind=\"create\"}") == 1);
}

TEST_CASE("one Step makes at most one call, none longer than 1.5 s") {
  OneHost t;
  t.host.with_catalog = false;
  for (int i = 0; i < 300; ++i) t.host.Set("s" + std::to_string(i));
  for (int i = 0; i < 100; ++i) {
    const size_t before = t.etcd.CallCount();
    t.host.registrar.Step(t.clock.Now());
    CHECK(t.etcd.CallCount() <= before + 1);
    t.etcd.Advance(milliseconds(200));
  }
  for (const EtcdCall kind : {EtcdCall::kGrant, EtcdCall::kKeepAlive, EtcdCall::kWrite}) {
    CHECK(t.etcd.CallCount(kind) > 0);
    for (const RecordedCall& call : t.etcd.Calls(kind)) CHECK(call.timeout <= etcd::kCallTimeout);
  }
}

TEST_CASE("only passing instances are registered") {
  OneHost t;
  t.host.Set("starting", HealthStatus::kStarting);
  t.host.Set("failing", HealthStatus::kFailing);
  t.host.Settle();
  CHECK(t.etcd.Values(kPrefix).empty());
  CHECK(t.etcd.CallCount(EtcdCall::kWrite) == 0);
  t.host.Set("starting");
  t.host.Settle();
  CHECK(t.host.IsRegistered("starting"));
}

TEST_CASE("an instance that fails or is configured no more is taken out, the others stay") {
  OneHost t;
  t.host.Set("a");
  t.host.Set("b");
  t.host.Settle();
  const int64_t b = t.etcd.Get(KeyOf("b"))->mod_revision;
  SECTION("it fails") { t.host.Set("a", HealthStatus::kFailing); }
  SECTION("it is gone from the configuration") { t.host.Forget("a"); }
  t.host.Settle();
  CHECK_FALSE(t.etcd.Get(KeyOf("a")));
  CHECK(t.etcd.Get(KeyOf("b"))->mod_revision == b);
  CHECK(t.host.Logged("deregistered") == 1);
  CHECK(t.host.Metric("rosterd_registration_writes_total{kind=\"delete\"}") == 1);
  t.host.Set("a");
  t.host.Settle();
  CHECK(t.host.IsRegistered("a"));
}

TEST_CASE("changed tags are one put; an equal configuration is none") {
  OneHost t;
  t.host.Set("web");
  t.host.Settle();
  const int64_t revision = t.etcd.revision();
  t.host.Set("web");  // another object, the same text
  t.host.Settle();
  CHECK(t.etcd.revision() == revision);

  auto changed = std::make_shared<ServiceConfig>(*MakeService("web", 8080));
  changed->tags = {"v2"};
  t.host.Set(changed);
  t.host.Settle();
  CHECK(t.etcd.revision() == revision + 1);
  CHECK_THAT(t.etcd.Get(KeyOf("web"))->value, Contains("v2"));
  CHECK(t.host.Logged("registration updated") == 1);
  CHECK(t.host.Shown("web").state == RegistrationState::kRegistered);
}

TEST_CASE("1000 instances that pass together are ten transactions of 100") {
  OneHost t;
  t.host.with_catalog = false;
  for (int i = 0; i < 1000; ++i) t.host.Set("s" + std::to_string(i));
  t.host.Settle();
  CHECK(t.etcd.Values(kPrefix).size() == 1000);
  CHECK(t.etcd.CallCount(EtcdCall::kWrite) == 10);
  for (const RecordedCall& call : t.etcd.Calls(EtcdCall::kWrite)) CHECK(call.writes.size() == 100);
  CHECK(t.host.Metric("rosterd_registrations{state=\"registered\"}") == 1000);
}

TEST_CASE("when nothing changes nothing is written and one keepalive serves all") {
  OneHost t;
  for (int i = 0; i < 50; ++i) t.host.Set("s" + std::to_string(i));
  t.host.Settle();
  const int64_t revision = t.etcd.revision();
  t.etcd.ForgetCalls();
  t.host.RunFor(seconds(600));
  CHECK(t.etcd.revision() == revision);
  CHECK(t.etcd.CallCount(EtcdCall::kWrite) == 0);
  CHECK(t.etcd.CallCount(EtcdCall::kGrant) == 0);
  CHECK(t.etcd.CallCount(EtcdCall::kKeepAlive) >= 600 / 5.5 - 1);
  CHECK(t.etcd.CallCount(EtcdCall::kKeepAlive) <= 600 / 4.5 + 1);
}

TEST_CASE("without a catalog the guards tell what stands there") {
  OneHost t;
  t.host.with_catalog = false;
  t.etcd.Put(KeyOf("web"), "what is this");
  t.host.Set("web");
  t.host.Settle();
  CHECK(t.host.IsRegistered("web"));
  CHECK(t.etcd.CallCount(EtcdCall::kWrite) == 2);
}

TEST_CASE("a catalog that lags behind our own writes is not believed") {
  OneHost t;
  t.host.with_catalog = false;
  t.host.SyncCatalog();  // empty, and it stays so
  t.host.Set("web");
  t.host.Settle();
  CHECK(t.host.IsRegistered("web"));
  t.host.Set("other");
  t.host.Settle();
  t.host.Set("web", HealthStatus::kFailing);
  t.host.Settle();
  CHECK_FALSE(t.etcd.Get(KeyOf("web")));
  CHECK(t.etcd.CallCount(EtcdCall::kWrite) == 3);
}

TEST_CASE("without a connection nothing is asked, and everything is done once there is one") {
  OneHost t;
  t.host.Connect(EtcdState::kConnecting);
  t.host.with_catalog = false;
  t.host.Set("web");
  CHECK(t.host.Settle() == kNever);
  CHECK(t.etcd.CallCount() == 0);
  CHECK(t.host.Shown("web").state == RegistrationState::kAbsent);
  CHECK_THAT(t.host.Shown("web").reason, Contains("cut off"));
  t.host.Connect();
  t.host.Settle();
  CHECK(t.host.IsRegistered("web"));
  CHECK(t.host.registrar.registrations().Get()->error.empty());
}

TEST_CASE("a connection lost for less than the TTL costs no registration") {
  OneHost t;
  t.host.Set("web");
  t.host.Settle();
  const int64_t revision = t.etcd.revision();
  t.host.Connect(EtcdState::kLost);
  t.host.with_catalog = false;
  t.host.RunFor(seconds(9));
  CHECK(t.host.Shown("web").state == RegistrationState::kRegistered);
  CHECK_THAT(t.host.registrar.registrations().Get()->error, Contains("cut off"));
  t.host.Connect();
  t.host.RunFor(seconds(60));
  CHECK(t.etcd.revision() == revision);
  CHECK(t.host.IsRegistered("web"));
}

TEST_CASE("stopping with deregister ends the lease and every key in one revision") {
  OneHost t;
  t.host.Set("a");
  t.host.Set("b");
  t.host.Settle();
  SECTION("as usual") {}
  SECTION("even when a write has just timed out") {
    t.host.Set("c");
    t.etcd.FailNextAfterEffect(EtcdCall::kWrite, MakeError(ErrorClass::kTimeout));
    t.host.registrar.Step(t.clock.Now());
    CHECK(t.etcd.Get(KeyOf("c")));
  }
  const int64_t revision = t.etcd.revision();
  t.host.registrar.Stop(OnStop::kDeregister);
  CHECK(t.etcd.Values(kPrefix).empty());
  CHECK(t.etcd.revision() == revision + 1);
  const auto calls = t.etcd.Calls(EtcdCall::kRevoke);
  REQUIRE(calls.size() == 1);
  CHECK(calls[0].timeout <= seconds(1));
  CHECK(t.host.Logged("deregistered everything") == 1);
}

TEST_CASE("a revoke that fails is told, and the TTL does it") {
  OneHost t;
  t.host.Set("a");
  t.host.Settle();
  t.etcd.FailNext(EtcdCall::kRevoke, MakeError(ErrorClass::kTimeout));
  t.host.registrar.Stop(OnStop::kDeregister);
  CHECK(t.host.Logged("could not be ended") == 1);
  CHECK(t.etcd.Get(KeyOf("a")));
  t.etcd.Advance(seconds(16));
  CHECK(t.etcd.Values(kPrefix).empty());
}

TEST_CASE("a grant that timed out is revoked as well") {
  OneHost t;
  t.etcd.FailNextAfterEffect(EtcdCall::kGrant, MakeError(ErrorClass::kTimeout));
  t.host.registrar.Step(t.clock.Now());
  const int64_t lease = t.etcd.Calls(EtcdCall::kGrant).at(0).lease;
  REQUIRE(t.etcd.LeaseExists(lease));
  t.host.registrar.Stop(OnStop::kDeregister);
  CHECK_FALSE(t.etcd.LeaseExists(lease));
}

TEST_CASE("stopping with keep leaves everything, with a whole TTL ahead") {
  OneHost t;
  t.host.Set("a");
  t.host.RunFor(seconds(4));
  t.host.registrar.Stop(OnStop::kKeep);
  t.etcd.Advance(seconds(14));
  CHECK(t.etcd.Get(KeyOf("a")));
  CHECK(t.etcd.CallCount(EtcdCall::kRevoke) == 0);
}

}  // namespace
}  // namespace rosterd::testing
