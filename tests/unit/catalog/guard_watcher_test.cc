// SPDX-License-Identifier: Apache-2.0
// The guard on the watcher's own thread: its holds end although nothing happens in etcd, with and
// without a connection, and a person hears of them once.
#include <atomic>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "catalog/guard_log.h"
#include "support/fake_etcd.h"
#include "values.h"
#include "watcher_world.h"

namespace rosterd {
namespace {

using namespace rosterd::testing;  // NOLINT
using etcd::ErrorClass;

// Five hosts with "api", of which three ended; the watcher has seen it.
struct LostHosts {
  LostHosts() : etcd(clock), world(etcd) {
    for (int host = 1; host <= 5; ++host) {
      etcd.Put(KeyOf("api", std::to_string(host)), ValueOf("api", std::to_string(host)), host);
    }
    world.PublishSession(EtcdState::kConnected, 1);
    world.watcher().Start();
    REQUIRE(world.AwaitRevision(etcd.revision()) != nullptr);
    REQUIRE(etcd.WaitForWatches(1));
    for (int host = 1; host <= 3; ++host) etcd.RevokeLease(host);
    REQUIRE(AwaitHeld(3) != nullptr);
    REQUIRE(etcd.WaitForWatches(1));
  }

  std::shared_ptr<const Catalog> AwaitHeld(size_t held) {
    return world.Await([&](const Catalog& c) { return c.Find("api")->held() == held; });
  }

  FakeClock clock;
  FakeEtcd etcd;
  WatcherWorld world;
};

TEST_CASE("a hold ends by its time while nothing happens in etcd") {
  LostHosts hosts;
  WatcherWorld& world = hosts.world;
  CHECK(world.HasMetric("rosterd_catalog_held_instances 3"));
  CHECK(world.HasMetric("rosterd_catalog_holds_total 1"));
  CHECK(world.HasMetric("rosterd_catalog_instances 5"));
  CHECK(world.CountLines("vanished with their hosts' leases") == 1);
  CHECK(world.CountLines("services=api") == 1);

  std::atomic<bool> was_stale = false;
  world.watcher().catalogs().Subscribe(
      [&] { was_stale = was_stale || !world.catalog()->watch_open(); });
  world.clock.Advance(seconds(29));
  world.PublishSession(EtcdState::kConnected, 1);
  CHECK(world.catalog()->Find("api")->held() == 3);
  world.clock.Advance(seconds(1));
  world.PublishSession(EtcdState::kConnected, 1);
  const auto catalog = hosts.AwaitHeld(0);
  REQUIRE(catalog != nullptr);
  CHECK(ServedOf(*catalog, "api") == std::vector<std::string>{"4:8080", "5:8080"});
  CHECK(catalog->IndexOf("api") == hosts.etcd.revision());

  // The watch goes on where it was ended, unseen.
  REQUIRE(world.AwaitRevision(hosts.etcd.Put(KeyOf("api", "6"), "10.0.0.6:80")) != nullptr);
  CHECK_FALSE(was_stale);
  CHECK(hosts.etcd.CallCount(EtcdCall::kList) == 1);
  CHECK(hosts.etcd.Calls(EtcdCall::kWatch).size() == 2);
  CHECK(world.CountLines("watch open") == 1);
  CHECK(world.CountLines("no vanished instance is held any more") == 1);
  CHECK(world.HasMetric("rosterd_catalog_held_instances 0"));
  world.watcher().Stop();
}

TEST_CASE("a hold ends while etcd is away") {
  LostHosts hosts;
  hosts.etcd.FailAll(MakeError(ErrorClass::kUnavailable));
  hosts.etcd.BreakWatches(MakeError(ErrorClass::kUnavailable));
  REQUIRE(hosts.world.Await([](const Catalog& c) { return !c.watch_open(); }) != nullptr);
  CHECK(hosts.world.catalog()->Find("api")->held() == 3);
  hosts.world.clock.Advance(seconds(30));
  CHECK(hosts.AwaitHeld(0) != nullptr);
  hosts.world.watcher().Stop();
}

TEST_CASE("other settings of the guard reach the watcher") {
  LostHosts hosts;
  hosts.world.watcher().SetGuard({100, seconds(30)});
  REQUIRE(hosts.world.AwaitRevision(hosts.etcd.RevokeLease(4)) != nullptr);
  CHECK(hosts.world.catalog()->Find("api")->held() == 3);
  CHECK(hosts.world.catalog()->Find("api")->served() == 4);
  hosts.world.watcher().Stop();
}

TEST_CASE("a few names stand for many") {
  CHECK(NameAFew({"a"}) == "a");
  CHECK(NameAFew({"a", "b"}) == "a and b");
  CHECK(NameAFew({"a", "b", "c"}) == "a, b and c");
  CHECK(NameAFew({"a", "b", "c", "d", "e"}) == "a, b, c and 2 more");
}

}  // namespace
}  // namespace rosterd
