// SPDX-License-Identifier: Apache-2.0
// The watcher, step by step on the test's thread, against what etcd does in its bad moments.
#include <catch2/catch.hpp>
#include <chrono>
#include <string>
#include <vector>

#include "catalog/watcher.h"
#include "scripted_client.h"
#include "values.h"
#include "watcher_world.h"

namespace rosterd {
namespace {

using namespace rosterd::testing;  // NOLINT
using Served = std::vector<std::string>;
using OnBatch = ScriptedClient::OnBatch;

etcd::ListAnswer ListOf(int64_t revision, std::vector<etcd::KeyValue> kvs, uint64_t cluster = 1) {
  return {{cluster, 1, revision, 2}, std::move(kvs)};
}

// A watch that hands over `batches` as long as they are wanted and then breaks.
ScriptedClient::WatchScript Breaking(std::vector<etcd::WatchBatch> batches) {
  return [batches = std::move(batches)](std::stop_token, const OnBatch& on_batch) {
    for (const auto& batch : batches) {
      if (!on_batch(batch)) return ScriptedClient::Cancelled();
    }
    return ScriptedClient::Broken();
  };
}

TEST_CASE("list, publish, watch from the next revision") {
  ScriptedClient client;
  WatcherWorld world(client);
  client.lists.push_back(ListOf(20, {Kv("api", "a", 5)}));
  client.watches.push_back([&](std::stop_token, const OnBatch& on_batch) {
    REQUIRE(world.catalog() != nullptr);
    CHECK_FALSE(world.catalog()->watch_open());
    CHECK(world.catalog()->revision() == 20);
    CHECK(on_batch(CreatedAt(20)));
    CHECK(world.catalog()->watch_open());
    CHECK(on_batch(BatchOf({PutOf(Kv("api", "b", 21))})));
    CHECK(world.catalog()->IndexOf("api") == 21);
    return ScriptedClient::Broken();
  });
  CHECK_FALSE(world.watcher().RunOnce({}));
  CHECK(client.watched_from == std::vector<int64_t>{21});
  CHECK_FALSE(world.catalog()->watch_open());
  CHECK(ServedOf(*world.catalog(), "api") == Served{"a:8080", "b:8080"});
  CHECK(world.HasMetric("rosterd_catalog_services 1"));
  CHECK(world.HasMetric("rosterd_catalog_instances 2"));
  CHECK(world.HasMetric("rosterd_catalog_revision 21"));
  CHECK(world.HasMetric("rosterd_catalog_events_total 1"));
  CHECK(world.HasMetric("rosterd_catalog_relists_total{reason=\"start\"} 1"));
}

TEST_CASE("without a complete list there is no catalog, and the failure is logged once") {
  ScriptedClient client;
  WatcherWorld world(client);
  for (int i = 0; i < 3; ++i) {
    client.lists.push_back(ScriptedClient::Broken("no leader"));
    CHECK_FALSE(world.watcher().RunOnce({}));
  }
  CHECK(world.catalog() == nullptr);
  CHECK(client.watched_from.empty());
  CHECK(world.CountLines("no leader") == 1);
}

TEST_CASE("without a connection only the session tells of it") {
  ScriptedClient client;
  WatcherWorld world(client);
  world.PublishSession(EtcdState::kConnecting, 1);
  client.lists.push_back(ScriptedClient::Broken("no connection yet"));
  world.watcher().RunOnce({});
  CHECK(world.CountLines("no connection yet") == 0);
}

TEST_CASE("a broken watch is resumed after its last event, without a list") {
  ScriptedClient client;
  WatcherWorld world(client);
  client.lists.push_back(ListOf(20, {Kv("api", "a", 5)}));
  client.watches.push_back(Breaking({CreatedAt(22), BatchOf({PutOf(Kv("api", "b", 22))})}));
  client.watches.push_back(Breaking({CreatedAt(22), ProgressAt(40)}));
  client.watches.push_back(Breaking({CreatedAt(40)}));
  for (int i = 0; i < 3; ++i) world.watcher().RunOnce({});
  CHECK(client.listed == 1);
  CHECK(client.watched_from == std::vector<int64_t>{21, 23, 41});
}

TEST_CASE("a watch that cannot be opened leaves what is known") {
  ScriptedClient client;
  WatcherWorld world(client);
  client.lists.push_back(ListOf(20, {Kv("api", "a", 5)}));
  for (int i = 0; i < 3; ++i) world.watcher().RunOnce({});
  CHECK(client.listed == 1);
  CHECK(client.watched_from == std::vector<int64_t>{21, 21, 21});
  CHECK(ServedOf(*world.catalog(), "api") == Served{"a:8080"});
  CHECK(world.CountLines("not in the script") == 1);
}

TEST_CASE("a compacted watch lists again and publishes the difference") {
  ScriptedClient client;
  WatcherWorld world(client);
  client.lists.push_back(ListOf(20, {Kv("api", "a", 5), Kv("web", "a", 6)}));
  client.watches.push_back(Breaking({CreatedAt(20)}));
  client.watches.push_back([](std::stop_token, const OnBatch&) {
    return etcd::Error{etcd::ErrorClass::kCompacted, 11, "compacted", "http://scripted", 30};
  });
  client.lists.push_back(ListOf(50, {Kv("web", "a", 6)}));
  client.watches.push_back(Breaking({CreatedAt(50)}));

  world.watcher().RunOnce({});
  const auto before = world.catalog();
  world.watcher().RunOnce({});
  CHECK(client.listed == 1);
  world.watcher().RunOnce({});
  CHECK(client.listed == 2);
  CHECK(client.watched_from == std::vector<int64_t>{21, 21, 51});
  CHECK(world.catalog()->Find("web") == before->Find("web"));
  CHECK(world.catalog()->Find("api")->served() == 0);
  CHECK(world.catalog()->IndexOf("api") == 50);
  CHECK(world.HasMetric("rosterd_catalog_relists_total{reason=\"compacted\"} 1"));
}

TEST_CASE("a member that lags is not believed: listed again, nothing changes") {
  ScriptedClient client;
  WatcherWorld world(client);
  client.lists.push_back(ListOf(20, {Kv("api", "a", 5)}));
  client.watches.push_back(Breaking({CreatedAt(15)}));
  client.lists.push_back(ListOf(22, {Kv("api", "a", 5)}));
  client.watches.push_back(Breaking({CreatedAt(22)}));
  world.watcher().RunOnce({});
  CHECK_FALSE(world.catalog()->watch_open());
  const auto entry = world.catalog()->Find("api");
  world.watcher().RunOnce({});
  CHECK(client.watched_from == std::vector<int64_t>{21, 23});
  CHECK(world.catalog()->Find("api") == entry);
  CHECK(world.HasMetric("rosterd_catalog_relists_total{reason=\"behind\"} 1"));
}

TEST_CASE("a restored backup is taken over, no shown index goes back") {
  ScriptedClient client;
  WatcherWorld world(client);
  client.lists.push_back(ListOf(80, {Kv("api", "a", 5), Kv("api", "b", 80)}));
  client.watches.push_back(Breaking({CreatedAt(20)}));
  client.lists.push_back(ListOf(20, {Kv("api", "a", 5)}));
  client.watches.push_back(Breaking({CreatedAt(20), BatchOf({PutOf(Kv("web", "a", 21))})}));
  world.watcher().RunOnce({});
  world.watcher().RunOnce({});
  CHECK(client.watched_from == std::vector<int64_t>{81, 21});
  CHECK(ServedOf(*world.catalog(), "api") == Served{"a:8080"});
  CHECK(world.catalog()->IndexOf("api") > 80);
  CHECK(world.catalog()->IndexOf("web") > world.catalog()->IndexOf("api"));
  CHECK(world.CountLines("history was replaced") == 1);
}

TEST_CASE("another cluster is listed, even where its revision is higher") {
  ScriptedClient client;
  WatcherWorld world(client);
  client.lists.push_back(ListOf(20, {Kv("api", "a", 5)}));
  client.watches.push_back(Breaking({CreatedAt(20)}));
  client.watches.push_back(Breaking({CreatedAt(70, 2)}));
  client.lists.push_back(ListOf(70, {Kv("web", "a", 60)}, 2));
  client.watches.push_back(Breaking({CreatedAt(70, 2)}));
  for (int i = 0; i < 3; ++i) world.watcher().RunOnce({});
  CHECK(client.listed == 2);
  CHECK(client.watched_from == std::vector<int64_t>{21, 21, 71});
  CHECK(world.catalog()->Find("api")->served() == 0);
  CHECK(ServedOf(*world.catalog(), "web") == Served{"a:8080"});
  CHECK(world.CountLines("history was replaced") == 1);
  CHECK(world.HasMetric("rosterd_catalog_relists_total{reason=\"replaced\"} 1"));
}

TEST_CASE("an unreadable value is logged once with key and reason") {
  ScriptedClient client;
  WatcherWorld world(client);
  client.lists.push_back(ListOf(20, {RawKv(KeyOf("api", "a"), "?!", 5), Kv("api", "b", 6)}));
  client.watches.push_back(
      Breaking({CreatedAt(20), BatchOf({PutOf(RawKv(KeyOf("api", "a"), "?!", 21))})}));
  world.watcher().RunOnce({});
  CHECK(world.CountLines("/services/api/a") == 1);
  CHECK(world.CountLines("the service's other instances are not affected") == 1);
  CHECK(ServedOf(*world.catalog(), "api") == Served{"b:8080"});
  CHECK(world.HasMetric("rosterd_catalog_unreadable_values 1"));
}

TEST_CASE("every ten minutes the catalog is compared with etcd and repaired") {
  ScriptedClient client;
  WatcherWorld world(client);
  client.lists.push_back(ListOf(20, {Kv("api", "a", 5), Kv("web", "a", 6)}));
  client.watches.push_back([&](std::stop_token stop, const OnBatch& on_batch) {
    CHECK(on_batch(CreatedAt(20)));
    world.clock.Advance(std::chrono::minutes(8));
    world.PublishSession(EtcdState::kConnected, 1);
    CHECK_FALSE(stop.stop_requested());
    world.clock.Advance(std::chrono::minutes(4));
    world.PublishSession(EtcdState::kConnected, 1);
    CHECK(stop.stop_requested());
    return ScriptedClient::Cancelled();
  });
  CHECK(world.watcher().RunOnce({}));  // go on at once
  CHECK(world.catalog()->watch_open());
  const auto before = world.catalog();

  SECTION("a difference is repaired, counted and logged") {
    client.lists.push_back(ListOf(20, {Kv("web", "a", 6)}));
    client.watches.push_back(Breaking({CreatedAt(20)}));
    world.watcher().RunOnce({});
    CHECK(ServedOf(*world.catalog(), "api").empty());
    CHECK(world.catalog()->IndexOf("api") > before->revision());
    CHECK(world.catalog()->Find("web") == before->Find("web"));
    CHECK(world.HasMetric("rosterd_catalog_repairs_total 1"));
    CHECK(world.CountLines("was repaired") == 1);
  }
  SECTION("what changed while it was made is no repair; what the watch should have told is") {
    client.lists.push_back(ListOf(23, {Kv("web", "a", 6), Kv("web", "b", 22), Kv("old", "a", 7)}));
    client.watches.push_back(Breaking({CreatedAt(23)}));
    world.watcher().RunOnce({});
    CHECK(ServedOf(*world.catalog(), "web") == Served{"a:8080", "b:8080"});
    CHECK(ServedOf(*world.catalog(), "api").empty());
    CHECK(world.HasMetric("rosterd_catalog_repairs_total 1"));
  }
  SECTION("no difference, no word") {
    client.lists.push_back(ListOf(20, {Kv("api", "a", 5), Kv("web", "a", 6)}));
    client.watches.push_back([&](std::stop_token, const OnBatch& on_batch) {
      CHECK(on_batch(CreatedAt(20)));
      CHECK(world.catalog() == before);
      return ScriptedClient::Broken();
    });
    world.watcher().RunOnce({});
    CHECK(world.HasMetric("rosterd_catalog_repairs_total 0"));
    CHECK(world.HasMetric("rosterd_catalog_relists_total{reason=\"check\"} 1"));
    CHECK(world.CountLines("watch open") == 1);
  }
  SECTION("one that fails is not insisted on: the watch goes on where it was") {
    client.lists.push_back(ScriptedClient::Broken());
    CHECK_FALSE(world.watcher().RunOnce({}));
    CHECK_FALSE(world.catalog()->watch_open());
    client.watches.push_back(Breaking({CreatedAt(20)}));
    world.watcher().RunOnce({});
    CHECK(client.listed == 2);
    CHECK(client.watched_from == std::vector<int64_t>{21, 21});
  }
  CHECK(client.watched_from.size() == 2);
}

TEST_CASE("a long break ends with a comparison within a minute") {
  ScriptedClient client;
  WatcherWorld world(client);
  client.lists.push_back(ListOf(20, {}));
  client.watches.push_back(Breaking({CreatedAt(20)}));
  world.watcher().RunOnce({});
  world.clock.Advance(seconds(61));
  client.watches.push_back([&](std::stop_token stop, const OnBatch& on_batch) {
    on_batch(CreatedAt(20));
    world.clock.Advance(seconds(61));
    world.PublishSession(EtcdState::kConnected, 1);
    CHECK(stop.stop_requested());
    return ScriptedClient::Cancelled();
  });
  CHECK(world.watcher().RunOnce({}));
  client.lists.push_back(ListOf(20, {}));
  world.watcher().RunOnce({});
  CHECK(client.listed == 2);
}

TEST_CASE("a new connection is asked for the newest key before the watch goes on") {
  ScriptedClient client;
  WatcherWorld world(client);
  world.PublishSession(EtcdState::kConnected, 1);
  client.lists.push_back(ListOf(20, {Kv("api", "a", 5), Kv("web", "a", 17)}));
  client.watches.push_back(Breaking({CreatedAt(20)}));
  world.watcher().RunOnce({});
  CHECK(client.read.empty());  // the list has told
  world.PublishSession(EtcdState::kConnected, 2);

  SECTION("it stands there as known: the watch goes on") {
    client.watches.push_back(Breaking({CreatedAt(20)}));
    client.watches.push_back(Breaking({CreatedAt(20)}));
    world.watcher().RunOnce({});
    world.watcher().RunOnce({});
    CHECK(client.read == std::vector<std::string>{KeyOf("web", "a")});
    CHECK(client.watched_from == std::vector<int64_t>{21, 21, 21});
    CHECK(client.listed == 1);
  }
  SECTION("it does not: the history was replaced and has overtaken what was known") {
    const bool gone = GENERATE(true, false);
    client.read_at = [&](const std::string& key, int64_t revision) {
      CHECK(revision == 20);
      return gone ? std::optional<etcd::KeyValue>()
                  : std::optional(etcd::KeyValue{key, "x", 3, 12, 2, 0});
    };
    client.lists.push_back(ListOf(40, {Kv("api", "a", 5), Kv("web", "a", 30)}));
    client.watches.push_back(Breaking({CreatedAt(40)}));
    world.watcher().RunOnce({});
    CHECK(client.watched_from == std::vector<int64_t>{21, 41});
    CHECK(world.catalog()->revision() == 40);
    CHECK(world.CountLines("history is not the one that was known") == 1);
  }
  SECTION("its revision is compacted: a deletion may be lost, so the list is read") {
    client.read_at = [](const std::string&, int64_t) {
      return etcd::Error{etcd::ErrorClass::kCompacted, 11, "compacted", "", 0};
    };
    client.lists.push_back(ListOf(21, {Kv("api", "a", 5)}));
    client.watches.push_back(Breaking({CreatedAt(21)}));
    world.watcher().RunOnce({});
    CHECK(ServedOf(*world.catalog(), "web").empty());
    CHECK(client.listed == 2);
  }
  SECTION("nobody answers: asked again, nothing is taken for granted") {
    client.read_at = [](const std::string&, int64_t) { return ScriptedClient::Broken(); };
    CHECK_FALSE(world.watcher().RunOnce({}));
    CHECK_FALSE(world.watcher().RunOnce({}));
    CHECK(client.read.size() == 2);
    CHECK(client.watched_from.size() == 1);
    CHECK_FALSE(world.catalog()->watch_open());
  }
}

TEST_CASE("a deletion that a replaced history does not know is noticed") {
  ScriptedClient client;
  WatcherWorld world(client);
  world.PublishSession(EtcdState::kConnected, 1);
  client.lists.push_back(ListOf(20, {Kv("api", "a", 5), Kv("web", "a", 17)}));
  client.watches.push_back(Breaking({CreatedAt(20), BatchOf({DeleteOf("web", "a", 22)})}));
  world.watcher().RunOnce({});
  world.PublishSession(EtcdState::kConnected, 2);
  const int64_t exists_until = GENERATE(22, 21, 16);
  client.read_at = [&](const std::string& key, int64_t revision) {
    return revision <= exists_until ? std::optional(etcd::KeyValue{key, "x", 3, 3, 1, 0})
                                    : std::optional<etcd::KeyValue>();
  };
  if (exists_until != 21) {
    client.lists.push_back(ListOf(40, {Kv("api", "a", 5), Kv("web", "a", 17)}));
  }
  client.watches.push_back(Breaking({CreatedAt(40)}));
  world.watcher().RunOnce({});
  CHECK(client.listed == (exists_until == 21 ? 1 : 2));
}

TEST_CASE("a stop during the watch ends it and is no failure") {
  ScriptedClient client;
  WatcherWorld world(client);
  client.lists.push_back(ListOf(20, {Kv("api", "a", 5)}));
  std::stop_source stop;
  client.watches.push_back([&](std::stop_token ending, const OnBatch& on_batch) {
    on_batch(CreatedAt(20));
    stop.request_stop();
    CHECK(ending.stop_requested());
    return ScriptedClient::Cancelled();
  });
  CHECK_FALSE(world.watcher().RunOnce(stop.get_token()));
  CHECK(world.CountLines("broke") == 0);
  CHECK(ServedOf(*world.catalog(), "api") == Served{"a:8080"});
}

}  // namespace
}  // namespace rosterd
