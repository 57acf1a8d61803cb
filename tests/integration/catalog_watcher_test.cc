// SPDX-License-Identifier: Apache-2.0
// The watcher against real etcd.
#include <catch2/catch.hpp>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "../unit/catalog/watcher_world.h"
#include "base/step_thread.h"
#include "etcd/session.h"
#include "support/etcd_process.h"

namespace rosterd {
namespace {

using namespace rosterd::testing;  // NOLINT
using Served = std::vector<std::string>;

TEST_CASE("a change in etcd is in the catalog, in whole revisions") {
  EtcdProcess etcd;
  etcd.Put(KeyOf("api", "a"), ValueOf("api", "a"));
  const auto client = etcd.NewClient();
  WatcherWorld world(*client);
  world.watcher().Start();
  REQUIRE(world.AwaitRevision(2) != nullptr);

  auto catalog = world.AwaitRevision(etcd.Put(KeyOf("api", "b"), "my-service 10.0.0.9:81"));
  REQUIRE(catalog != nullptr);
  CHECK(ServedOf(*catalog, "api") == Served{"a:8080", "b:81"});
  CHECK(catalog->IndexOf("api") == catalog->revision());

  etcd.Put("/elsewhere", "x");
  const int64_t end = etcd.Delete(KeyOf("api", "a"));
  catalog = world.AwaitRevision(end);
  REQUIRE(catalog != nullptr);
  CHECK(ServedOf(*catalog, "api") == Served{"b:81"});
  CHECK(catalog->IndexOf("api") == end);
}

TEST_CASE("a list of several pages is one revision") {
  EtcdProcess etcd;
  for (int i = 0; i < 7; ++i) etcd.Put(KeyOf("api", std::to_string(i)), "10.0.0.1:80");
  const auto client = etcd.NewClient({.keys_per_page = 3});
  WatcherWorld world(*client);
  world.watcher().Start();
  const auto catalog = world.AwaitRevision(8);
  REQUIRE(catalog != nullptr);
  CHECK(catalog->instances() == 7);
}

TEST_CASE("what was compacted while the watch was broken is found by a list") {
  EtcdProcess etcd;
  etcd.Put(KeyOf("api", "a"), ValueOf("api", "a"));
  etcd.Put(KeyOf("web", "a"), ValueOf("web", "a"));
  const auto client = etcd.NewClient();
  WatcherWorld world(*client);
  std::stop_source stop;
  int64_t wanted = 3;
  world.watcher().catalogs().Subscribe([&] {
    const auto catalog = world.catalog();
    if (catalog->watch_open() && catalog->revision() >= wanted) stop.request_stop();
  });
  world.watcher().RunOnce(stop.get_token());
  const auto before = world.catalog();
  REQUIRE(before != nullptr);
  REQUIRE(ServedOf(*before, "api") == Served{"a:8080"});

  etcd.Delete(KeyOf("api", "a"));
  wanted = etcd.Put(KeyOf("new", "a"), ValueOf("new", "a"));
  etcd.Compact(wanted);
  stop = std::stop_source();
  for (int i = 0; i < 10 && !stop.stop_requested(); ++i) {
    world.watcher().RunOnce(stop.get_token());
  }
  const auto catalog = world.catalog();
  CHECK(ServedOf(*catalog, "api").empty());
  CHECK(catalog->IndexOf("api") == wanted);
  CHECK(ServedOf(*catalog, "new") == Served{"a:8080"});
  CHECK(catalog->Find("web") == before->Find("web"));
  CHECK(world.HasMetric("rosterd_catalog_relists_total{reason=\"compacted\"} 1"));
}

TEST_CASE("an etcd that was killed and comes back is watched again, without a list") {
  EtcdProcess etcd;
  etcd.Put(KeyOf("api", "a"), ValueOf("api", "a"));
  SystemClock clock;
  Log quiet(LogLevel::kError, LogFormat::kText);
  Metrics metrics;
  auto factory = etcd::MakeGrpcClientFactory({etcd.endpoint()}, {});
  REQUIRE(factory.ok());
  etcd::Session session({etcd.endpoint()}, *factory, clock, quiet, metrics, Random(1));
  StepThread thread("session", clock, [&](TimePoint now) { return session.Step(now); });
  session.SetWake([&] { thread.Wake(); });
  WatcherWorld world(session, milliseconds(200));
  session.state().Subscribe([&] { world.session.Publish(session.state().Get()); });
  // First of all, however this test ends: who publishes into `world` stops before it goes.
  struct Ending {
    std::function<void()> run;
    ~Ending() { run(); }
  } const ending{[&] {
    session.Stop();
    thread.Stop();
  }};
  thread.Start();
  world.watcher().Start();
  REQUIRE(world.AwaitRevision(2) != nullptr);

  etcd.Kill();
  auto catalog = world.Await([](const Catalog& c) { return !c.watch_open(); });
  REQUIRE(catalog != nullptr);
  CHECK(ServedOf(*catalog, "api") == Served{"a:8080"});
  etcd.Restart();
  const int64_t revision = etcd.Put(KeyOf("api", "b"), ValueOf("api", "b"));
  catalog = world.AwaitRevision(revision);
  REQUIRE(catalog != nullptr);
  CHECK(ServedOf(*catalog, "api") == Served{"a:8080", "b:8080"});
  CHECK(world.HasMetric("rosterd_catalog_relists_total{reason=\"start\"} 1"));
  CHECK(world.HasMetric("rosterd_catalog_relists_total{reason=\"behind\"} 0"));
}

}  // namespace
}  // namespace rosterd
