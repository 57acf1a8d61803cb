// SPDX-License-Identifier: Apache-2.0
// Two agents with one id: one holds it, the other says so and waits; never a war.
#include <catch2/catch.hpp>

#include "agent_host.h"
#include "registry/registrar.h"

namespace rosterd::testing {
namespace {

using Catch::Matchers::Contains;

struct TwoHosts {
  FakeClock clock;
  FakeEtcd etcd{clock};
  AgentHost first{etcd, clock};
  AgentHost second{etcd, clock, {.node = "web-02", .agent = "uuid-2", .seed = 8}};

  void RunBothFor(Duration d) {
    for (Duration done{}; done < d; done += milliseconds(100)) {
      first.Settle();
      second.Settle();
      etcd.Advance(milliseconds(100));
    }
    first.Settle();
    second.Settle();
  }
};

TEST_CASE("the loser says who holds the key, once, and writes nothing") {
  TwoHosts t;
  t.first.Set("web");
  t.first.Settle();
  const int64_t revision = t.etcd.revision();
  t.second.Set("web");
  t.RunBothFor(seconds(60));
  CHECK(t.etcd.revision() == revision);
  CHECK(t.first.IsRegistered("web"));
  CHECK(t.first.Logged("conflict") == 0);
  const Registration shown = t.second.Shown("web");
  CHECK(shown.state == RegistrationState::kConflict);
  CHECK_THAT(shown.reason,
             Contains(LeaseText(t.first.Lease())) && Contains("web-01") && Contains("uuid-1"));
  CHECK(t.second.Logged("conflict") == 1);
  CHECK(t.second.Metric("rosterd_registrations{state=\"conflict\"}") == 1);
}

TEST_CASE("two that register in the same moment: one wins by the guard") {
  TwoHosts t;
  t.first.with_catalog = t.second.with_catalog = false;
  t.first.Set("web");
  t.second.Set("web");
  for (int i = 0; i < 5; ++i) {
    t.first.registrar.Step(t.clock.Now());
    t.second.registrar.Step(t.clock.Now());
  }
  CHECK(t.first.IsRegistered("web"));
  CHECK(t.second.Shown("web").state == RegistrationState::kConflict);
}

TEST_CASE("the loser takes the key when the winner's lease ends") {
  TwoHosts t;
  t.first.Set("web");
  t.first.Settle();
  t.second.Set("web");
  t.second.Settle();
  const int64_t before = t.etcd.revision();

  SECTION("told by the catalog: at once") {
    t.etcd.RevokeLease(t.first.Lease());
    t.second.Settle();
  }
  SECTION("without news of the catalog: within a lease time") {
    t.second.with_catalog = false;
    t.etcd.RevokeLease(t.first.Lease());
    t.second.RunFor(seconds(15));
  }
  CHECK(t.second.IsRegistered("web"));
  CHECK(t.etcd.revision() == before + 2);
  // The old winner comes back and yields.
  t.RunBothFor(seconds(30));
  CHECK(t.first.Shown("web").state == RegistrationState::kConflict);
  CHECK(t.second.IsRegistered("web"));
}

TEST_CASE("a conflict costs only itself") {
  TwoHosts t;
  t.first.Set("s42");
  t.first.Settle();
  t.second.with_catalog = false;
  for (int i = 0; i < 100; ++i) t.second.Set("s" + std::to_string(i));
  t.second.Settle();
  CHECK(t.etcd.Calls(EtcdCall::kWrite).back().writes.size() == 100);
  for (int i = 0; i < 100; ++i) {
    const std::string name = "s" + std::to_string(i);
    if (i == 42) {
      CHECK(t.second.Shown(name).state == RegistrationState::kConflict);
      CHECK(t.first.IsRegistered(name));
    } else {
      CHECK(t.second.IsRegistered(name));
    }
  }
}

TEST_CASE("a key taken over with another agent's lease is left to it") {
  TwoHosts t;
  t.first.Set("web");
  t.first.Settle();
  t.etcd.Put(KeyOf("web"), "what a value", 4711);
  t.first.Settle();
  const int64_t revision = t.etcd.revision();
  CHECK(t.first.Shown("web").state == RegistrationState::kConflict);
  CHECK_THAT(t.first.Shown("web").reason, Contains("1267") && Contains("cannot be read"));
  t.first.RunFor(seconds(60));
  CHECK(t.etcd.revision() == revision);
  t.first.Set("web", HealthStatus::kFailing);
  t.first.Settle();
  CHECK(t.etcd.Get(KeyOf("web"))->lease == 4711);
}

}  // namespace
}  // namespace rosterd::testing
