// SPDX-License-Identifier: Apache-2.0
// What etcd's leases do rarely, against the real client, session and registrar.
#include <catch2/catch.hpp>

#include "scripted_agent.h"
#include "scripted_checker.h"
#include "scripted_etcd.h"

namespace rosterd::testing {
namespace {

const std::vector<std::string> kNames{"api", "web", "db"};

struct World {
  void Start(seconds ttl = seconds(5)) {
    ScriptedAgent::Options options;
    options.lease_ttl = ttl;
    agent = std::make_unique<ScriptedAgent>(std::vector{etcd.endpoint()}, options);
    std::map<std::string, HealthStatus> services;
    for (const std::string& name : kNames) services[name] = HealthStatus::kPassing;
    agent->Offer(services);
  }
  bool Registered(Duration limit) {
    return agent->Within(limit, [&] { return agent->Registered(*store, kNames); });
  }
  int64_t lease() const { return agent->registrations()->lease; }
  ~World() {
    if (agent == nullptr) return;
    for (const std::string& wrong : CheckPublished(agent->Published(), store->Eras())) {
      FAIL_CHECK(wrong);
    }
  }

  std::shared_ptr<ScriptedStore> store = std::make_shared<ScriptedStore>();
  ScriptedEtcd etcd{store, 1};
  std::unique_ptr<ScriptedAgent> agent;
};

Deed Lost(int code, const std::string& text) {
  Deed deed;
  deed.lose = ScriptedStatus{code, text};
  return deed;
}

TEST_CASE("TTL 0 from a member that does not know a young lease yet does not cost the lease") {
  World world;
  Deed zero;
  zero.ttl_zero = true;
  world.etcd.Next(ScriptedCall::kKeepAlive, zero);
  world.Start(seconds(3));  // the first keepalive comes after about a second
  REQUIRE(world.Registered(seconds(2)));
  const int64_t lease = world.lease();
  REQUIRE(world.agent->Within(seconds(3),
                              [&] { return world.etcd.Count(ScriptedCall::kKeepAlive) >= 2; }));
  CHECK(world.Registered(milliseconds(100)));
  CHECK(world.lease() == lease);
  CHECK(world.etcd.Count(ScriptedCall::kGrant) == 1);
  CHECK(world.etcd.Count(ScriptedCall::kTxn) == 1);
}

TEST_CASE("a lease that ended is replaced within 2 s, with every key once") {
  World world;
  world.Start();
  REQUIRE(world.Registered(seconds(2)));
  const int64_t lease = world.lease();
  world.store->Revoke(lease);
  CHECK(world.agent->Within(seconds(2), [&] {
    return world.lease() != lease && world.agent->Registered(*world.store, kNames);
  }));
  CHECK(world.store->Leases().size() == 1);
}

TEST_CASE("\"lease not found\" from a transaction ends the lease, though keepalives still answer") {
  World world;
  world.Start();
  REQUIRE(world.Registered(seconds(2)));
  const int64_t lease = world.lease();
  Deed no_lease;
  no_lease.refuse = ScriptedStatus{5, "etcdserver: requested lease not found"};
  world.etcd.Next(ScriptedCall::kTxn, no_lease);
  world.store->Delete(OwnKeyOf("web"));
  CHECK(world.agent->Within(milliseconds(2500), [&] {
    return world.lease() != lease && world.agent->Registered(*world.store, kNames);
  }));
  // The old one's keys have all moved to the new one: it holds nothing when it ends.
  for (const auto& [key, kv] : world.store->All()) CHECK(kv.lease == world.lease());
}

TEST_CASE("a grant that was carried out but not answered leaves one lease, not two") {
  World world;
  SECTION("answered with an error") {
    world.etcd.Next(ScriptedCall::kGrant, Lost(14, "etcdserver: request timed out"));
  }
  SECTION("answered after the deadline") {
    Deed late;
    late.after = milliseconds(2000);
    world.etcd.Next(ScriptedCall::kGrant, late);
  }
  world.Start();
  CHECK(world.Registered(seconds(5)));
  CHECK(world.store->Leases().size() == 1);
}

TEST_CASE("a keepalive without an answer costs no lease") {
  World world;
  world.Start(seconds(6));
  REQUIRE(world.Registered(seconds(2)));
  const int64_t lease = world.lease();
  world.etcd.Next(ScriptedCall::kKeepAlive, Lost(14, "etcdserver: leader changed"));
  Deed mute;
  mute.after = milliseconds(1700);
  world.etcd.Next(ScriptedCall::kKeepAlive, mute);
  REQUIRE(world.agent->Within(seconds(6),
                              [&] { return world.etcd.Count(ScriptedCall::kKeepAlive) >= 3; }));
  CHECK(world.Registered(milliseconds(500)));
  CHECK(world.lease() == lease);
  CHECK(world.etcd.Count(ScriptedCall::kGrant) == 1);
  CHECK(world.etcd.Count(ScriptedCall::kTxn) == 1);
}

TEST_CASE("in steady state nothing is written") {
  World world;
  world.Start(seconds(2));
  REQUIRE(world.Registered(seconds(2)));
  REQUIRE(world.agent->Within(seconds(2), [&] { return world.agent->Shows(*world.store); }));
  const size_t writes = world.etcd.Count(ScriptedCall::kTxn);
  CHECK(writes == 1);
  world.agent->Within(milliseconds(2500), [] { return false; });
  CHECK(world.etcd.Count(ScriptedCall::kTxn) == writes);
  CHECK(world.etcd.Count(ScriptedCall::kGrant) == 1);
}

}  // namespace
}  // namespace rosterd::testing
