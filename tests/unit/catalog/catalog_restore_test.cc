// SPDX-License-Identifier: Apache-2.0
// What one run leaves on disk and the next one makes of it: nothing shown is ever undercut.
#include <catch2/catch.hpp>

#include "catalog/catalog_builder.h"
#include "catalog/catalog_file.h"
#include "scripted_client.h"
#include "support/temp_dir.h"
#include "values.h"
#include "watcher_world.h"

namespace rosterd {
namespace {

using namespace rosterd::testing;  // NOLINT
using Served = std::vector<std::string>;

constexpr WallTime kAnswered{seconds(1'790'000'000)};

SavedCatalog ThroughDisk(const Catalog& catalog) {
  std::string body;
  EncodeCatalog(catalog, kPrefix, kAnswered, [&](std::string_view piece) { body += piece; });
  auto saved = DecodeCatalog(body);
  REQUIRE(saved.ok());
  return *std::move(saved);
}

// A builder that goes on from what `catalog` was when it was saved.
CatalogBuilder SuccessorOf(const Catalog& catalog) {
  CatalogBuilder builder(kPrefix);
  builder.Restore(ThroughDisk(catalog), 0);
  return builder;
}

CatalogBuilder FirstRun() {
  CatalogBuilder builder(kPrefix);
  builder.ReplaceAll({Kv("api", "a", 5), Kv("api", "b", 9), Kv("web", "a", 7),
                      RawKv(KeyOf("odd", "x"), "garbage", 8)},
                     20, 77);
  builder.Apply(BatchOf({PutOf(Kv("old", "a", 21)), DeleteOf("old", "a", 22)}));
  builder.SetWatchOpen(true);
  return builder;
}

TEST_CASE("a catalog comes back from disk as it was") {
  CatalogBuilder first = FirstRun();
  const auto before = first.Snapshot();
  CatalogBuilder second = SuccessorOf(*before);
  const auto after = second.Snapshot();
  CHECK(after->from_disk());
  CHECK_FALSE(after->watch_open());
  CHECK_FALSE(before->from_disk());
  CHECK(after->revision() == before->revision());
  CHECK(after->etcd_revision() == 22);
  CHECK(after->index() == before->index());
  CHECK(after->floor() == before->floor());
  CHECK(after->cluster_id() == 77);
  CHECK(after->services() == before->services());
  CHECK(after->instances() == before->instances());
  CHECK(second.unreadable() == 1);
  for (const char* name : {"api", "web", "odd", "old"}) {
    INFO(name);
    CHECK(after->IndexOf(name) == before->IndexOf(name));
    CHECK(ServedOf(*after, name) == ServedOf(*before, name));
    CHECK(after->Find(name)->body().json == before->Find(name)->body().json);
  }
  const CatalogKey& key = after->Find("api")->keys().at(1);
  CHECK(key.id == "b");
  CHECK(key.mod_revision == 9);
  CHECK(key.value_hash == HashValue(ValueOf("api", "b")));
}

TEST_CASE("all that an instance may hold survives, and so do strange ids and leases") {
  Instance instance;
  instance.service = "s";
  instance.id = "a/b \"c\"\n\xc3\xa9";
  instance.host = "2001:db8::1";
  instance.port = 65535;
  instance.weight = 0;
  instance.tags = {"t\"1", "\\"};
  instance.meta = {{"k\n", "v\t"}};
  instance.endpoints = {"http://[2001:db8::1]:65535"};
  instance.node = "n";
  instance.zone = "z";
  instance.agent = "u";
  instance.state = "draining";
  CatalogBuilder builder(kPrefix);
  builder.ReplaceAll({RawKv(KeyOf("s", instance.id), EncodeInstance(instance), 4, 0x7edcba98)}, 5);
  const SavedCatalog saved = ThroughDisk(*builder.Snapshot());
  REQUIRE(saved.services.size() == 1);
  REQUIRE(saved.services[0].keys.size() == 1);
  const CatalogKey& key = saved.services[0].keys[0];
  CHECK(key.id == instance.id);
  CHECK(key.lease == 0x7edcba98);
  REQUIRE(key.instance != nullptr);
  CHECK(*key.instance == instance);
  CHECK(saved.answered == kAnswered);
}

TEST_CASE("a body with a line missing or changed is not taken") {
  CatalogBuilder builder = FirstRun();
  std::string body;
  EncodeCatalog(*builder.Snapshot(), kPrefix, kAnswered, [&](std::string_view p) { body += p; });
  REQUIRE(DecodeCatalog(body).ok());
  size_t lines = 0;
  for (size_t at = 0; at < body.size(); at = body.find('\n', at) + 1, ++lines) {
    const bool instance = body[at] == '{' || body.compare(at, 4, "null") == 0;
    if (at != 0 && instance) continue;  // only that one is lost
    std::string bad = body;
    bad[at] = 'x';
    CHECK_FALSE(DecodeCatalog(bad).ok());
  }
  CHECK(lines > 8);
  CHECK_FALSE(DecodeCatalog(body.substr(0, body.size() - 1)).ok());
  CHECK_FALSE(DecodeCatalog("").ok());
}

TEST_CASE("nothing happened since: the first list keeps every entry and index") {
  CatalogBuilder first = FirstRun();
  const auto saved = first.Snapshot();
  CatalogBuilder builder = SuccessorOf(*saved);
  const auto disk = builder.Snapshot();
  const auto change = builder.ReplaceAll({Kv("api", "a", 5), Kv("api", "b", 9), Kv("web", "a", 7),
                                          RawKv(KeyOf("odd", "x"), "garbage", 8)},
                                         22, 77);
  const auto catalog = builder.Snapshot();
  CHECK(change.services == 0);
  CHECK(change.missed == 0);
  CHECK_FALSE(change.history_went_back);
  REQUIRE(change.unreadable.size() == 1);  // this process has not told of it yet
  CHECK(catalog != disk);
  CHECK_FALSE(catalog->from_disk());
  CHECK(catalog->revision() == 22);
  for (const char* name : {"api", "web", "odd", "old"}) {
    CHECK(catalog->Find(name) == disk->Find(name));
  }
  CHECK(catalog->floor() == 22);  // an unknown service may have been shown up to here
  CHECK(catalog->IndexOf("unknown") == 22);
}

TEST_CASE("a difference gets an index above everything shown") {
  CatalogBuilder first = FirstRun();
  CatalogBuilder builder = SuccessorOf(*first.Snapshot());
  const auto change = builder.ReplaceAll({Kv("api", "a", 5), Kv("api", "b", 25, 9000)}, 30, 77);
  const auto catalog = builder.Snapshot();
  CHECK(change.services == 3);
  CHECK(change.missed == 0);
  CHECK(catalog->revision() == 30);
  CHECK(catalog->IndexOf("api") == 30);
  CHECK(catalog->IndexOf("web") == 30);
  CHECK(ServedOf(*catalog, "api") == Served{"a:8080", "b:9000"});
  CHECK(ServedOf(*catalog, "web") == Served{});
}

TEST_CASE("what was shown after the last save is not undercut, though the list looks the same") {
  CatalogBuilder first = FirstRun();
  const auto saved = first.Snapshot();
  // Shown, and then a crash: one came and went, one came for good.
  first.Apply(BatchOf({PutOf(Kv("web", "b", 23)), DeleteOf("web", "b", 24),
                       PutOf(Kv("flash", "a", 25)), DeleteOf("flash", "a", 26)}));
  const auto shown = first.Snapshot();
  CatalogBuilder builder = SuccessorOf(*saved);
  builder.ReplaceAll({Kv("api", "a", 5), Kv("api", "b", 9), Kv("web", "a", 7)}, 26, 77);
  const auto catalog = builder.Snapshot();
  for (const char* name : {"api", "web", "old", "flash", "unknown"}) {
    INFO(name);
    CHECK(catalog->IndexOf(name) >= shown->IndexOf(name));
    CHECK(catalog->IndexOf(name) <= catalog->revision());
  }
  CHECK(catalog->index() >= shown->index());
  CHECK(catalog->revision() == 26);
}

TEST_CASE("a replaced history leaves room for what was shown after the last save") {
  CatalogBuilder first = FirstRun();
  const auto saved = first.Snapshot();
  first.Apply(BatchOf({PutOf(Kv("web", "b", 5000))}));
  const auto shown = first.Snapshot();
  CatalogBuilder builder = SuccessorOf(*saved);
  // It is behind; another cluster's that has overtaken; another's at the same revision.
  const auto [revision, cluster] =
      GENERATE(std::pair(10, 77), std::pair(40, 78), std::pair(22, 78));
  const auto change = builder.ReplaceAll({Kv("api", "a", 5), Kv("api", "b", 9), Kv("web", "a", 7)},
                                         revision, static_cast<uint64_t>(cluster));
  CHECK(change.history_went_back == (revision == 10));
  const auto catalog = builder.Snapshot();
  CHECK(catalog->revision() == 22 + CatalogBuilder::kUnsavedRoom);
  for (const char* name : {"api", "web", "old", "unknown"}) {
    INFO(name);
    CHECK(catalog->IndexOf(name) > shown->IndexOf(name));
  }
  // And that room is kept by the next successor.
  CatalogBuilder third = SuccessorOf(*catalog);
  third.ReplaceAll({}, catalog->etcd_revision() + 1, catalog->cluster_id());
  CHECK(third.Snapshot()->revision() == catalog->revision() + 1);
  CHECK(third.Snapshot()->IndexOf("api") > catalog->IndexOf("api"));
}

TEST_CASE("an index that nobody remembers a service of is not undercut") {
  CatalogBuilder first(kPrefix, /*max_ended=*/0);
  first.ReplaceAll({}, 5, 77);
  first.Apply(BatchOf({PutOf(Kv("old", "a", 21)), DeleteOf("old", "a", 22)}));
  CHECK(first.Snapshot()->index() == 22);
  CatalogBuilder builder = SuccessorOf(*first.Snapshot());
  CHECK(builder.Snapshot()->index() == 22);
  CHECK(builder.Snapshot()->IndexOf("old") == 22);
}

TEST_CASE("a value that this version reads differently is a difference") {
  CatalogBuilder first = FirstRun();
  SavedCatalog saved = ThroughDisk(*first.Snapshot());
  for (auto& service : saved.services) {
    if (service.name != "web") continue;
    Instance other = *service.keys.at(0).instance;
    other.zone = "as an older version read it";
    service.keys[0].instance = std::make_shared<const Instance>(other);
  }
  CatalogBuilder builder(kPrefix);
  builder.Restore(std::move(saved), 0);
  const auto change = builder.ReplaceAll({Kv("api", "a", 5), Kv("api", "b", 9), Kv("web", "a", 7),
                                          RawKv(KeyOf("odd", "x"), "garbage", 8)},
                                         22, 77);
  CHECK(change.services == 1);
  CHECK(builder.Snapshot()->Find("web")->keys()[0].instance->zone.empty());
  CHECK(builder.Snapshot()->IndexOf("web") > 22);
}

TEST_CASE("a file of another prefix is named; a body that is none, too") {
  Disk disk;
  CatalogBuilder first = FirstRun();
  CatalogFile file(*disk.dir, kPrefix);
  CHECK_FALSE((*file.Load()).has_value());
  REQUIRE(file.Save(*first.Snapshot(), kAnswered).ok());
  CHECK(file.bytes() > 100);
  CHECK((*file.Load())->services.size() == 4);
  const auto other = CatalogFile(*disk.dir, "/other/").Load();
  REQUIRE_FALSE(other.ok());
  CHECK_THAT(std::string(other.status().message()),
             Catch::Contains(disk.dir->path()) && Catch::Contains("/other/"));
  REQUIRE(StateFile(*disk.dir, {"catalog", 1, 1000}).Save("x\n").ok());
  CHECK_FALSE(file.Load().ok());
}

etcd::ListAnswer ListAt(int64_t revision, std::vector<etcd::KeyValue> kvs, uint64_t cluster = 77) {
  return {{cluster, 1, revision, 2}, std::move(kvs)};
}

TEST_CASE("a watcher shows the catalog of the last run until etcd is heard") {
  ScriptedClient client;
  WatcherWorld world(client);
  CatalogBuilder first = FirstRun();
  world.watcher().Restore(ThroughDisk(*first.Snapshot()), 0);
  REQUIRE(world.catalog() != nullptr);
  CHECK(world.catalog()->from_disk());
  world.watcher().RunOnce({});  // etcd does not answer
  CHECK(world.catalog()->from_disk());
  client.lists.push_back(ListAt(25, {Kv("api", "a", 5)}));
  world.watcher().RunOnce({});
  CHECK_FALSE(world.catalog()->from_disk());
  CHECK(world.CountLines("catalog listed") == 1);
  CHECK(world.CountLines("repaired") == 0);
  CHECK(world.CountLines("history was replaced") == 0);
  CHECK(world.HasMetric("rosterd_catalog_repairs_total 0"));
  CHECK(world.HasMetric("rosterd_catalog_relists_total{reason=\"start\"} 1"));
}

TEST_CASE("each revision is handed over before a catalog shows it") {
  ScriptedClient client;
  FakeClock clock;
  Latest<EtcdSnapshot> session;
  Metrics metrics;
  Log log(LogLevel::kError, LogFormat::kText, [](const std::string&) {});
  std::vector<int64_t> told;
  Watcher* watched = nullptr;
  Watcher watcher({.prefix = kPrefix,
                   .retry_base = Duration::zero(),
                   .retry_cap = Duration::zero(),
                   .before_showing =
                       [&](int64_t shown) {
                         const auto now = watched->catalogs().Get();
                         CHECK((now == nullptr || now->revision() <= shown));
                         told.push_back(shown);
                       }},
                  client, session, clock, log, metrics, Random(1));
  watched = &watcher;
  client.lists.push_back(ListAt(22, {Kv("api", "a", 5)}));
  client.watches.push_back([](std::stop_token, const ScriptedClient::OnBatch& on_batch) {
    on_batch(CreatedAt(22, 77));
    etcd::WatchBatch batch = BatchOf({PutOf(Kv("api", "b", 30))});
    batch.header.cluster_id = 77;
    on_batch(batch);
    return ScriptedClient::Cancelled();
  });
  watcher.RunOnce({});
  CHECK(told.front() == 22);
  CHECK(told.back() == 30);
}

TEST_CASE("what was shown after the last save is not undercut, with etcd or without") {
  CatalogBuilder first = FirstRun();
  const auto saved = first.Snapshot();
  const int64_t at_save = saved->revision();
  CatalogBuilder builder(kPrefix);
  builder.Restore(ThroughDisk(*saved), at_save + 7);
  const auto disk = builder.Snapshot();
  CHECK(disk->revision() == at_save + 7);
  CHECK(disk->IndexOf("unknown") == at_save + 7);
  for (const char* name : {"api", "web", "odd", "old"}) {
    CHECK(disk->Find(name)->index() == at_save + 7);
  }

  SECTION("the same history: etcd's own numbers again") {
    builder.ReplaceAll({Kv("api", "a", 5)}, at_save + 9, 77);
    CHECK(builder.Snapshot()->revision() == at_save + 9);
    CHECK(builder.Snapshot()->history() == 0);
  }
  SECTION("a history that does not reach that far is another one") {
    builder.ReplaceAll({Kv("api", "a", 5)}, at_save + 6, 77);
    CHECK(builder.Snapshot()->revision() >= at_save + 7);
    CHECK(builder.Snapshot()->history() == 1);
  }
}

TEST_CASE("without a saved catalog the number alone holds") {
  CatalogBuilder builder(kPrefix);
  builder.StartAbove(100);
  const bool back = GENERATE(true, false);
  builder.ReplaceAll({Kv("api", "a", 5)}, back ? 50 : 150, 77);
  const auto catalog = builder.Snapshot();
  CHECK(catalog->revision() >= (back ? 100 : 150));
  CHECK(catalog->IndexOf("api") >= 100);
  CHECK(catalog->IndexOf("unknown") >= 100);
}

}  // namespace
}  // namespace rosterd
