// SPDX-License-Identifier: Apache-2.0
// Histories that are replaced: another cluster, a restored backup, one that has overtaken us.
#include <catch2/catch.hpp>

#include "scripted_watch_world.h"

namespace rosterd::testing {
namespace {

TEST_CASE("another cluster in the same place is taken over, own keys included") {
  WatchWorld world;
  world.Start();
  world.agent->Offer({{"api", HealthStatus::kPassing}, {"web", HealthStatus::kPassing}});
  REQUIRE(world.agent->Within(seconds(2), [&] {
    return world.agent->Registered(*world.store, {"api", "web"});
  }));
  world.store->ReplaceCluster();
  world.store->Put(KeyOf("new", 1), kValue);
  CHECK(world.Shows());
  CHECK(world.agent->Within(seconds(4), [&] {
    return world.agent->Registered(*world.store, {"api", "web"}) &&
           world.agent->Shows(*world.store);
  }));
  CHECK(world.agent->catalog()->Find("api")->keys().size() == 1);
}

TEST_CASE("a restore to an older revision: nothing shown goes back, own keys stand again") {
  WatchWorld world;
  world.Start();
  world.agent->Offer({{"api", HealthStatus::kPassing}, {"web", HealthStatus::kPassing}});
  REQUIRE(world.agent->Within(seconds(2), [&] {
    return world.agent->Registered(*world.store, {"api", "web"});
  }));
  const auto backup = world.store->TakeBackup();
  for (int i = 0; i < 40; ++i) world.store->Put(KeyOf("api", 10 + i), kValue);
  SECTION("registered as in the backup") {}
  SECTION("under another lease than in the backup") {
    world.store->Revoke(world.agent->registrations()->lease);
    REQUIRE(world.agent->Within(seconds(3), [&] {
      return world.agent->Registered(*world.store, {"api", "web"});
    }));
  }
  REQUIRE(world.Shows());
  const auto before = world.agent->catalog();
  world.store->Restore(backup);
  CHECK(world.agent->Within(seconds(4), [&] {
    return world.agent->Registered(*world.store, {"api", "web"}) &&
           world.agent->Shows(*world.store);
  }));
  const auto after = world.agent->catalog();
  CHECK(after->etcd_revision() < before->etcd_revision());
  CHECK(after->revision() > before->revision());
  CHECK(after->IndexOf("api") > before->IndexOf("api"));
}

TEST_CASE("a restored history that has overtaken what was known is noticed within 5 s") {
  WatchWorld world;
  world.Start();
  REQUIRE(world.Shows());
  const auto backup = world.store->TakeBackup();
  world.store->Put(KeyOf("api", 10), kValue);
  REQUIRE(world.Shows());
  Deed away;
  away.before = milliseconds(300);
  away.refuse = ScriptedStatus{14, "etcdserver: server stopped"};
  world.etcd().Next(ScriptedCall::kWatch, away);
  world.store->Restore(backup);
  for (int i = 0; i < 10; ++i) world.store->Put(KeyOf("web", i), kValue);
  world.store->Delete(KeyOf("web", 0));
  CHECK(world.Shows(seconds(5)));
}

}  // namespace
}  // namespace rosterd::testing
