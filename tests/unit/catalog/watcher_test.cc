// SPDX-License-Identifier: Apache-2.0
// The watcher on its own thread against etcd in memory; every wait is for a condition.
#include "catalog/watcher.h"

#include <catch2/catch.hpp>
#include <chrono>
#include <string>
#include <vector>

#include "support/fake_etcd.h"
#include "values.h"
#include "watcher_world.h"

namespace rosterd {
namespace {

using namespace rosterd::testing;  // NOLINT
using etcd::ErrorClass;
using Served = std::vector<std::string>;

TEST_CASE("a running watcher shows what is put and deleted") {
  FakeClock clock;
  FakeEtcd etcd(clock);
  etcd.Put(KeyOf("api", "a"), ValueOf("api", "a"));
  WatcherWorld world(etcd);
  world.watcher().Start();

  auto catalog = world.AwaitRevision(etcd.revision());
  REQUIRE(catalog != nullptr);
  CHECK(ServedOf(*catalog, "api") == Served{"a:8080"});

  catalog = world.AwaitRevision(etcd.PutAll(
      {{KeyOf("api", "b"), "10.0.0.9:81"}, {KeyOf("web", "a"), ValueOf("web", "a", 82)}}));
  REQUIRE(catalog != nullptr);
  CHECK(ServedOf(*catalog, "api") == Served{"a:8080", "b:81"});
  CHECK(ServedOf(*catalog, "web") == Served{"a:82"});
  CHECK(catalog->IndexOf("web") == etcd.revision());

  catalog = world.AwaitRevision(etcd.Delete(KeyOf("api", "a")));
  REQUIRE(catalog != nullptr);
  CHECK(ServedOf(*catalog, "api") == Served{"b:81"});
  CHECK(etcd.CallCount(EtcdCall::kList) == 1);
}

TEST_CASE("a broken watch misses nothing and does not list again") {
  FakeClock clock;
  FakeEtcd etcd(clock);
  etcd.Put(KeyOf("api", "a"), ValueOf("api", "a"));
  WatcherWorld world(etcd);
  world.watcher().Start();
  REQUIRE(world.AwaitRevision(etcd.revision()) != nullptr);

  etcd.FailAll(EtcdCall::kWatch, MakeError(ErrorClass::kUnavailable));
  etcd.BreakWatches(MakeError(ErrorClass::kUnavailable));
  auto catalog = world.Await([](const Catalog& c) { return !c.watch_open(); });
  REQUIRE(catalog != nullptr);
  CHECK(ServedOf(*catalog, "api") == Served{"a:8080"});

  etcd.Put(KeyOf("api", "b"), ValueOf("api", "b"));
  etcd.Delete(KeyOf("api", "a"));
  etcd.FailAll(EtcdCall::kWatch, std::nullopt);
  catalog = world.AwaitRevision(etcd.revision());
  REQUIRE(catalog != nullptr);
  CHECK(ServedOf(*catalog, "api") == Served{"b:8080"});
  CHECK(etcd.CallCount(EtcdCall::kList) == 1);
}

TEST_CASE("what was compacted while the watch was broken is found by a list") {
  FakeClock clock;
  FakeEtcd etcd(clock);
  etcd.Put(KeyOf("api", "a"), ValueOf("api", "a"));
  etcd.Put(KeyOf("web", "a"), ValueOf("web", "a"));
  WatcherWorld world(etcd);
  world.watcher().Start();
  const auto before = world.AwaitRevision(etcd.revision());
  REQUIRE(before != nullptr);

  etcd.FailAll(EtcdCall::kWatch, MakeError(ErrorClass::kUnavailable));
  etcd.BreakWatches(MakeError(ErrorClass::kUnavailable));
  etcd.Delete(KeyOf("api", "a"));
  etcd.Put(KeyOf("new", "a"), ValueOf("new", "a"));
  etcd.Compact(etcd.revision());
  etcd.FailAll(EtcdCall::kWatch, std::nullopt);

  const auto catalog = world.AwaitRevision(etcd.revision());
  REQUIRE(catalog != nullptr);
  CHECK(ServedOf(*catalog, "api").empty());
  CHECK(catalog->IndexOf("api") == etcd.revision());
  CHECK(ServedOf(*catalog, "new") == Served{"a:8080"});
  CHECK(catalog->Find("web") == before->Find("web"));
  CHECK(etcd.CallCount(EtcdCall::kList) == 2);
}

TEST_CASE("an emptied new cluster is taken over, no index goes back") {
  FakeClock clock;
  FakeEtcd etcd(clock);
  for (int i = 0; i < 10; ++i) etcd.Put(KeyOf("api", "a"), ValueOf("api", "a"));
  WatcherWorld world(etcd);
  world.watcher().Start();
  const auto before = world.AwaitRevision(etcd.revision());
  REQUIRE(before != nullptr);

  etcd.ReplaceCluster();
  auto catalog =
      world.Await([](const Catalog& c) { return c.watch_open() && ServedOf(c, "api").empty(); });
  REQUIRE(catalog != nullptr);
  CHECK(catalog->IndexOf("api") > before->revision());

  etcd.Put(KeyOf("web", "a"), ValueOf("web", "a"));
  catalog = world.Await([](const Catalog& c) { return !ServedOf(c, "web").empty(); });
  REQUIRE(catalog != nullptr);
  CHECK(catalog->IndexOf("web") > catalog->IndexOf("api"));
}

TEST_CASE("a new connection ends the pause between attempts") {
  FakeClock clock;
  FakeEtcd etcd(clock);
  etcd.Put(KeyOf("api", "a"), ValueOf("api", "a"));
  WatcherWorld world(etcd, std::chrono::hours(1000));
  world.PublishSession(EtcdState::kConnected, 1);
  world.watcher().Start();
  REQUIRE(world.AwaitRevision(etcd.revision()) != nullptr);

  world.PublishSession(EtcdState::kLost, 1);
  etcd.BreakWatches(MakeError(ErrorClass::kUnavailable));
  REQUIRE(world.Await([](const Catalog& c) { return !c.watch_open(); }) != nullptr);
  world.PublishSession(EtcdState::kConnected, 2);
  const auto catalog = world.Await([](const Catalog& c) { return c.watch_open(); });
  CHECK(catalog != nullptr);
}

TEST_CASE("a stop is quick: in the watch, and in the pause between attempts") {
  FakeClock clock;
  FakeEtcd etcd(clock);
  WatcherWorld world(etcd, std::chrono::hours(1000));
  SECTION("in the watch") {
    world.watcher().Start();
    REQUIRE(world.AwaitRevision(1) != nullptr);
  }
  SECTION("in the pause") {
    etcd.FailAll(EtcdCall::kList, MakeError(ErrorClass::kUnavailable));
    world.watcher().Start();
  }
  SECTION("never started") {}
  const auto start = std::chrono::steady_clock::now();
  world.watcher().Stop();
  CHECK(std::chrono::steady_clock::now() - start < seconds(2));
}

}  // namespace
}  // namespace rosterd
