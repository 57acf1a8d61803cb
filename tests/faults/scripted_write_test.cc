// SPDX-License-Identifier: Apache-2.0
// What etcd's transactions do rarely, against the real client, session and registrar.
#include <atomic>
#include <catch2/catch.hpp>

#include "scripted_agent.h"
#include "scripted_checker.h"
#include "scripted_etcd.h"

namespace rosterd::testing {
namespace {

const std::vector<std::string> kNames{"api", "web"};

struct World {
  explicit World(bool registered = true) {
    agent = std::make_unique<ScriptedAgent>(etcd);
    if (!registered) return;
    Offer();
    REQUIRE(Registered(seconds(3)));
    REQUIRE(agent->Within(seconds(2), [&] { return agent->Shows(*store); }));
  }
  void Offer(uint16_t weight = 100) {
    std::map<std::string, HealthStatus> services;
    for (const std::string& name : kNames) services[name] = HealthStatus::kPassing;
    agent->Offer(services, weight);
  }
  bool Registered(Duration limit) {
    return agent->Within(limit, [&] { return agent->Registered(*store, kNames); });
  }
  int64_t VersionOf(const std::string& name) const {
    const auto kv = store->Get(OwnKeyOf(name));
    return kv ? kv->version : 0;
  }
  ~World() {
    for (const std::string& wrong : CheckPublished(agent->Published(), store->Eras())) {
      FAIL_CHECK(wrong);
    }
  }

  std::shared_ptr<ScriptedStore> store = std::make_shared<ScriptedStore>();
  ScriptedEtcd etcd{store, 1};
  std::unique_ptr<ScriptedAgent> agent;
};

Deed Refused(int code, const std::string& text) {
  Deed deed;
  deed.refuse = ScriptedStatus{code, text};
  return deed;
}

TEST_CASE("a write carried out but answered UNAVAILABLE is not written twice") {
  World world(false);
  Deed lost;
  lost.lose = ScriptedStatus{14, "etcdserver: request timed out"};
  world.etcd.Next(ScriptedCall::kTxn, lost);
  world.Offer();
  CHECK(world.Registered(seconds(3)));
  CHECK(world.agent->Within(seconds(2), [&] { return world.agent->Shows(*world.store); }));
  for (const std::string& name : kNames) CHECK(world.VersionOf(name) == 1);
}

TEST_CASE("a write answered after the deadline is not written twice") {
  World world(false);
  Deed late;
  SECTION("carried out in time") { late.after = milliseconds(1800); }
  SECTION("carried out after the deadline") { late.before = milliseconds(1800); }
  world.etcd.Next(ScriptedCall::kTxn, late);
  world.Offer();
  CHECK(world.Registered(seconds(5)));
  world.agent->Within(seconds(1), [] { return false; });
  CHECK(world.Registered(milliseconds(100)));
  for (const std::string& name : kNames) CHECK(world.VersionOf(name) == 1);
}

TEST_CASE("a deletion carried out long after it was given up hits no newer key") {
  World world;
  Deed late;
  late.before = milliseconds(2000);
  world.etcd.Next(ScriptedCall::kTxn, late);
  world.agent->Offer({{"api", HealthStatus::kFailing}, {"web", HealthStatus::kPassing}});
  REQUIRE(
      world.agent->Within(seconds(2), [&] { return world.etcd.Count(ScriptedCall::kTxn) == 2; }));
  world.Offer();
  CHECK(world.Registered(seconds(3)));
  REQUIRE(world.agent->Within(seconds(3), [&] { return world.etcd.Delayed() == 0; }));
  CHECK(world.Registered(seconds(2)));
}

TEST_CASE("the answer to a write that comes after the watch has told of what followed it") {
  World world;
  Deed late;
  late.after = milliseconds(500);
  world.etcd.Next(ScriptedCall::kTxn, late);
  world.Offer(50);
  REQUIRE(world.agent->Within(seconds(1), [&] { return world.VersionOf("api") == 2; }));
  SECTION("deleted by somebody else") { world.store->Delete(OwnKeyOf("api")); }
  SECTION("overwritten by somebody else") { world.store->Put(OwnKeyOf("api"), "garbage"); }
  SECTION("its lease ended") { world.store->Revoke(world.agent->registrations()->lease); }
  CHECK(world.agent->Within(milliseconds(2700), [&] {
    return world.agent->Registered(*world.store, kNames) && world.agent->Shows(*world.store);
  }));
}

TEST_CASE("deleted and overwritten keys are back within 2 s") {
  World world;
  for (int i = 0; i < 2; ++i) {
    world.store->Delete(OwnKeyOf("api"));
    world.store->Put(OwnKeyOf("web"), "garbage");
    CHECK(world.Registered(seconds(2)));
    REQUIRE(world.agent->Within(seconds(1), [&] { return world.agent->Shows(*world.store); }));
  }
}

TEST_CASE("another agent's live lease wins; its end is noticed at once") {
  World world;
  world.store->Put(OwnKeyOf("api"), "10.0.0.9:80", 4711);
  REQUIRE(world.agent->Within(seconds(2), [&] {
    const auto& instances = world.agent->registrations()->instances;
    const auto it = instances.find("api-own");
    return it != instances.end() && it->second.state == RegistrationState::kConflict;
  }));
  CHECK(world.store->Get(OwnKeyOf("api"))->lease == 4711);
  world.store->Revoke(4711);
  CHECK(world.Registered(seconds(2)));
}

TEST_CASE("NOSPACE costs neither connection nor lease; what is new comes after it") {
  World world;
  const auto generation = world.agent->session()->generation;
  const int64_t lease = world.agent->registrations()->lease;
  std::atomic<bool> full{true};
  world.etcd.SetScript([&](ScriptedCall call) {
    const bool refused = call == ScriptedCall::kTxn || call == ScriptedCall::kGrant;
    return full && refused ? Refused(8, "etcdserver: mvcc: database space exceeded") : Deed();
  });
  const size_t before = world.etcd.Count(ScriptedCall::kTxn);
  world.Offer(50);
  world.agent->Within(milliseconds(800), [] { return false; });
  CHECK(world.etcd.Count(ScriptedCall::kTxn) - before <= 3);
  CHECK_FALSE(world.agent->registrations()->error.empty());
  full = false;
  CHECK(world.agent->Within(seconds(5), [&] { return world.VersionOf("api") == 2; }));
  CHECK(world.agent->session()->generation == generation);
  CHECK(world.agent->registrations()->lease == lease);
  world.etcd.SetScript(nullptr);
}

TEST_CASE("overload is answered with patience, on the same member") {
  World world;
  const auto generation = world.agent->session()->generation;
  const int64_t lease = world.agent->registrations()->lease;
  world.etcd.SetScript([](ScriptedCall) { return Refused(8, "etcdserver: too many requests"); });
  const size_t before = world.etcd.Calls().size();
  world.Offer(50);
  world.agent->Within(milliseconds(1200), [] { return false; });
  CHECK(world.etcd.Calls().size() - before <= 12);
  world.etcd.SetScript(nullptr);
  CHECK(world.agent->Within(seconds(5), [&] { return world.VersionOf("api") == 2; }));
  CHECK(world.agent->session()->generation == generation);
  CHECK(world.agent->registrations()->lease == lease);
}

TEST_CASE("a restore that only transactions have noticed so far causes no storm of writes") {
  World world(false);
  const auto backup = world.store->TakeBackup();
  for (int i = 0; i < 60; ++i) world.store->Put("/services/other/" + std::to_string(i), "h:1");
  world.Offer();
  REQUIRE(world.agent->Within(seconds(3), [&] {
    return world.agent->Registered(*world.store, kNames) && world.agent->Shows(*world.store);
  }));
  world.etcd.SetScript([](ScriptedCall call) {
    const bool read = call == ScriptedCall::kWatch || call == ScriptedCall::kRange;
    return read ? Refused(8, "etcdserver: too many requests") : Deed();
  });
  world.store->Restore(backup);
  REQUIRE(world.Registered(seconds(4)));
  const size_t before = world.etcd.Count(ScriptedCall::kTxn);
  auto one = std::map<std::string, HealthStatus>{{"api", HealthStatus::kPassing}};
  world.agent->Offer(one);
  world.agent->Within(milliseconds(500), [] { return false; });
  world.Offer();
  world.agent->Within(seconds(1), [] { return false; });
  CHECK(world.etcd.Count(ScriptedCall::kTxn) - before <= 10);
  world.etcd.SetScript(nullptr);
  CHECK(world.agent->Within(seconds(5), [&] {
    return world.agent->Registered(*world.store, kNames) && world.agent->Shows(*world.store);
  }));
}

TEST_CASE("a service that fails goes while its first write has an unknown outcome") {
  World world(false);
  Deed lost;
  lost.before = milliseconds(1600);
  world.etcd.Next(ScriptedCall::kTxn, lost);
  world.Offer();
  REQUIRE(
      world.agent->Within(seconds(2), [&] { return world.etcd.Count(ScriptedCall::kTxn) == 1; }));
  world.agent->Offer({{"api", HealthStatus::kFailing}, {"web", HealthStatus::kFailing}});
  REQUIRE(world.agent->Within(seconds(3), [&] { return world.etcd.Delayed() == 0; }));
  world.agent->Within(milliseconds(200), [] { return false; });
  CHECK(world.agent->Within(seconds(2), [&] { return world.store->All().empty(); }));
}

}  // namespace
}  // namespace rosterd::testing
