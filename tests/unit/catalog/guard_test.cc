// SPDX-License-Identifier: Apache-2.0
// The guard against mass loss, told by what a catalog built from events serves: each clause of its
// promise, on both sides of the line.
#include "catalog/guard.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "catalog/catalog_builder.h"
#include "values.h"

namespace rosterd {
namespace {

using namespace rosterd::testing;  // NOLINT
using Ids = std::vector<std::string>;

constexpr seconds kTtl{15};
constexpr seconds kHold{30};

// Hosts 1, 2, ... with one lease each; `at` a revision and a time to write at.
class World {
 public:
  explicit World(GuardConfig config = {50, kHold})
      : builder(kPrefix, CatalogBuilder::kMaxEnded, Guard(config, kTtl)) {
    builder.ReplaceAll({}, revision);
  }

  // One instance per host, "h1", "h2", ...
  void Register(const std::string& service, int hosts) {
    for (int host = 1; host <= hosts; ++host) Put(service, host);
  }
  void Put(const std::string& service, int host) { Put(service, host, host); }
  void Put(const std::string& service, int host, int64_t lease) {
    const std::string id = "h" + std::to_string(host);
    builder.Apply(
        BatchOf({PutOf(RawKv(KeyOf(service, id), ValueOf(service, id), ++revision, lease))}), now);
  }
  // One revision, as when a lease ends.
  etcd::WatchBatch Ending(int host, const std::vector<std::string>& services = {"api"}) {
    ++revision;
    std::vector<etcd::WatchEvent> events;
    for (const std::string& service : services) {
      events.push_back(DeleteOf(service, "h" + std::to_string(host), revision));
    }
    return BatchOf(std::move(events));
  }
  void End(int host, const std::vector<std::string>& services = {"api"}) {
    builder.Apply(Ending(host, services), now);
  }
  void EndHosts(int first, int last, const std::vector<std::string>& services = {"api"}) {
    for (int host = first; host <= last; ++host) End(host, services);
  }
  void Pass(Duration time) {
    now += time;
    builder.Release(now);
  }

  std::shared_ptr<const ServiceEntry> Entry(const std::string& service = "api") {
    return builder.Snapshot()->Find(service);
  }
  Ids Held(const std::string& service = "api") {
    Ids held;
    for (const ServedInstance& served : Entry(service)->ServedInstances()) {
      if (served.held) held.push_back(served->id);
    }
    CHECK(Entry(service)->held() == held.size());
    return held;
  }

  CatalogBuilder builder;
  int64_t revision = 20;
  TimePoint now{seconds(1000)};
};

TEST_CASE("what three leases take along is held, marked, and goes after the hold") {
  World world;
  world.Register("api", 5);
  world.EndHosts(1, 3);
  CHECK(world.Held() == Ids{"h1", "h2", "h3"});
  CHECK(world.Entry()->served() == 5);
  CHECK(world.builder.Snapshot()->instances() == 5);
  CHECK(world.builder.guard().held() == 3);
  CHECK(world.builder.guard().next_release() == world.now + kHold);

  const auto body = nlohmann::json::parse(world.Entry()->body().json);
  REQUIRE(body.at("instances").size() == 5);
  CHECK(body["instances"][0].at("id") == "h1");
  CHECK(body["instances"][0].at("held") == true);
  CHECK_FALSE(body["instances"][3].contains("held"));

  world.Pass(kHold - milliseconds(1));
  CHECK(world.Held().size() == 3);
  world.Pass(milliseconds(1));
  CHECK(world.Held().empty());
  CHECK(ServedOf(*world.builder.Snapshot(), "api") == Ids{"h4:8080", "h5:8080"});
  CHECK(world.builder.Snapshot()->instances() == 2);
  CHECK(world.builder.guard().next_release() == kNever);
}

TEST_CASE("the registrar's keys never contain what is held") {
  World world;
  world.Register("api", 4);
  world.EndHosts(1, 4);
  CHECK(world.Held().size() == 4);
  CHECK(world.Entry()->keys().empty());
  CHECK(world.Entry()->FindKey("h1") == nullptr);
  CHECK(world.builder.Snapshot()->services() == 1);
  world.Pass(kHold);
  CHECK(world.Entry()->served() == 0);
  CHECK(world.builder.Snapshot()->services() == 0);
}

TEST_CASE("two leases hold nothing") {
  World world;
  world.Register("api", 4);
  world.EndHosts(1, 2);
  CHECK(world.Held().empty());
  SECTION("nor do two of which one ends twice") {
    world.Put("api", 1);
    world.End(1);
    CHECK(world.Held().empty());
  }
}

TEST_CASE("losses count together within one time to live, the end included") {
  World world;
  world.Register("api", 4);
  world.End(1);
  world.Pass(seconds(8));
  world.End(2);
  SECTION("within") {
    world.Pass(seconds(7));
    world.End(3);
    CHECK(world.Held() == Ids{"h1", "h2", "h3"});
  }
  SECTION("beyond") {
    world.Pass(seconds(7) + milliseconds(1));
    world.End(3);
    CHECK(world.Held().empty());
    world.End(4);
    CHECK(world.Held().empty());  // of four instances, the first was lost too long ago
  }
}

TEST_CASE("the share lost has to be more than max_drop") {
  World world;
  world.Register("api", 6);
  world.EndHosts(1, 3);
  CHECK(world.Held().empty());
  SECTION("a further loss within the window extends it to all") {
    world.End(4);
    CHECK(world.Held() == Ids{"h1", "h2", "h3", "h4"});
  }
  SECTION("a further one after the window does not") {
    world.Pass(kTtl + seconds(1));
    world.End(4);
    CHECK(world.Held().empty());
  }
}

TEST_CASE("later losses within the window are held for their own time") {
  World world;
  world.Register("api", 6);
  world.EndHosts(1, 4);
  world.Pass(seconds(10));
  world.End(5);
  CHECK(world.Held() == Ids{"h1", "h2", "h3", "h4", "h5"});
  world.Pass(kHold - seconds(10));
  CHECK(world.Held() == Ids{"h5"});
  world.Pass(seconds(10));
  CHECK(world.Held().empty());
}

TEST_CASE("a service of three instances is never held") {
  World world;
  world.Register("api", 3);
  world.Register("big", 4);
  world.EndHosts(1, 3, {"api", "big"});
  CHECK(world.Held("api").empty());
  CHECK(world.Entry("api")->served() == 0);
  CHECK(world.Held("big") == Ids{"h1", "h2", "h3"});
}

TEST_CASE("the death of one host with everything on it holds nothing") {
  World world;
  for (int port = 1; port <= 8; ++port) world.Put("api", port, 77);
  std::vector<etcd::WatchEvent> events;
  ++world.revision;
  for (int port = 1; port <= 8; ++port) {
    events.push_back(DeleteOf("api", "h" + std::to_string(port), world.revision));
  }
  world.builder.Apply(BatchOf(std::move(events)), world.now);
  CHECK(world.Held().empty());
}

TEST_CASE("a lease that keeps a key is not lost") {
  World world;
  world.Register("api", 4);
  world.Register("web", 3);
  world.EndHosts(1, 2, {"api", "web"});
  world.End(3, {"api"});
  CHECK(world.Held().empty());
}

TEST_CASE("a lease whose keys went in two revisions is not lost whole") {
  World world;
  world.Register("api", 4);
  world.Register("web", 3);
  world.EndHosts(1, 2, {"api", "web"});
  world.End(3, {"web"});
  SECTION("within the window") {
    world.End(3, {"api"});
    CHECK(world.Held().empty());
  }
  SECTION("within the same answer of the watch") {
    World other;
    other.Register("api", 4);
    other.Put("web", 3);
    other.EndHosts(1, 2);
    auto batch = other.Ending(3, {"web"});
    const auto second = other.Ending(3, {"api"});
    batch.events.insert(batch.events.end(), second.events.begin(), second.events.end());
    other.builder.Apply(batch, other.now);
    CHECK(other.Held().empty());
  }
  SECTION("but the first one may be long ago") {
    world.Pass(kTtl + seconds(1));
    world.Put("api", 1);
    world.Put("api", 2);
    world.EndHosts(1, 3);
    CHECK(world.Held() == Ids{"h1", "h2", "h3"});
  }
}

TEST_CASE("what was deleted by itself is not held with the others") {
  World world;
  world.Register("api", 6);
  world.Put("web", 6);
  world.End(6);  // its host keeps "web"
  world.EndHosts(1, 3);
  CHECK(world.Held() == Ids{"h1", "h2", "h3"});
}

TEST_CASE("keys without a lease are never held") {
  World world;
  for (int i = 1; i <= 5; ++i) world.Put("api", i, 0);
  world.EndHosts(1, 5);
  CHECK(world.Entry()->served() == 0);
}

TEST_CASE("a loss elsewhere makes the third lease") {
  World world;
  world.Register("api", 3);
  world.Put("api", 4, 3);
  world.Put("web", 9);
  world.EndHosts(1, 2);
  world.End(9, {"web"});
  CHECK(world.Held().empty());  // 2 of 4 is not more than half
  World other({40, kHold});
  other.Register("api", 3);
  other.Put("api", 4, 3);
  other.Put("web", 9);
  other.EndHosts(1, 2);
  const int64_t before = other.Entry()->index();
  other.builder.Apply(ProgressAt(other.revision += 5), other.now);
  other.End(9, {"web"});
  CHECK(other.Held() == Ids{"h1", "h2"});
  CHECK(other.Entry()->index() > before);
}

TEST_CASE("several leases lost in one answer of the watch count each") {
  World world;
  world.Register("api", 4);
  auto batch = world.Ending(1);
  for (const int host : {2, 3}) {
    const auto more = world.Ending(host);
    batch.events.insert(batch.events.end(), more.events.begin(), more.events.end());
  }
  world.builder.Apply(batch, world.now);
  CHECK(world.Held() == Ids{"h1", "h2", "h3"});
  CHECK(world.Entry()->index() == world.revision - 1);
}

TEST_CASE("what is put again is held no more, whoever puts it") {
  World world;
  world.Register("api", 4);
  world.EndHosts(1, 3);
  world.Put("api", 2, 99);
  CHECK(world.Held() == Ids{"h1", "h3"});
  CHECK(world.Entry()->served() == 4);
  SECTION("also with a value that is not served") {
    ++world.revision;
    world.builder.Apply(BatchOf({PutOf(RawKv(KeyOf("api", "h1"), "garbage", world.revision, 98))}),
                        world.now);
    CHECK(world.Held() == Ids{"h3"});
    CHECK(world.Entry()->served() == 3);
  }
  SECTION("and its own end later is an ordinary one") {
    world.builder.Apply(BatchOf({DeleteOf("api", "h2", ++world.revision)}), world.now);
    // The fourth lease within the window: lost, and held again.
    CHECK(world.Held() == Ids{"h1", "h2", "h3"});
    world.Pass(kHold);
    CHECK(world.Held().empty());
  }
}

TEST_CASE("one who comes back within the same answer is not held") {
  World world;
  world.Register("api", 5);
  world.EndHosts(1, 2);
  auto batch = world.Ending(3);
  batch.events.push_back(
      PutOf(RawKv(KeyOf("api", "h3"), ValueOf("api", "h3"), ++world.revision, 33)));
  const auto fourth = world.Ending(4);
  batch.events.insert(batch.events.end(), fourth.events.begin(), fourth.events.end());
  world.builder.Apply(batch, world.now);
  CHECK(world.Held() == Ids{"h1", "h2", "h4"});
}

TEST_CASE("nobody is held twice for one loss") {
  World world({50, seconds(5)});
  world.Register("api", 6);
  world.EndHosts(1, 4);
  world.Pass(seconds(5));
  CHECK(world.Held().empty());
  world.End(5);
  CHECK(world.Held() == Ids{"h5"});
}

TEST_CASE("a list ends the hold of what it shows, and no other") {
  World world;
  world.Register("api", 5);
  world.EndHosts(1, 3);
  const int64_t shown = world.Entry()->index();
  world.revision += 10;
  const auto back = [&](int host) {
    const std::string id = "h" + std::to_string(host);
    return RawKv(KeyOf("api", id), ValueOf("api", id), 25, host);
  };
  SECTION("as it was") {
    world.builder.ReplaceAll({RawKv(KeyOf("api", "h4"), ValueOf("api", "h4"), 24, 4), back(5)},
                             world.revision);
    CHECK(world.Held() == Ids{"h1", "h2", "h3"});
    CHECK(world.Entry()->index() == shown);
  }
  SECTION("with one of them back") {
    world.builder.ReplaceAll({back(2), back(4), back(5)}, world.revision);
    CHECK(world.Held() == Ids{"h1", "h3"});
    CHECK(world.Entry()->index() > shown);
  }
  SECTION("empty: what the list misses is not held, what was held is") {
    world.builder.ReplaceAll({}, world.revision);
    CHECK(world.Held() == Ids{"h1", "h2", "h3"});
    CHECK(world.Entry()->served() == 3);
  }
  world.Pass(kHold);
  CHECK(world.Held().empty());
  CHECK(world.Entry()->index() > shown);
  CHECK(world.Entry()->index() <= world.builder.Snapshot()->revision());
}

TEST_CASE("leases that a list does not show any more are not lost") {
  World world;
  world.Register("api", 8);
  std::vector<etcd::KeyValue> kvs;
  for (int host = 5; host <= 8; ++host) {
    const std::string id = "h" + std::to_string(host);
    kvs.push_back(RawKv(KeyOf("api", id), ValueOf("api", id), 20 + host, host));
  }
  world.revision += 10;
  world.builder.ReplaceAll(kvs, world.revision);
  CHECK(world.Held().empty());
  SECTION("but the events after it are counted by it") {
    world.EndHosts(5, 7);
    CHECK(world.Held() == Ids{"h5", "h6", "h7"});
  }
}

TEST_CASE("100 % and a hold of nothing switch it off") {
  const auto config = GENERATE(GuardConfig{100, kHold}, GuardConfig{50, seconds(0)});
  World world(config);
  world.Register("api", 8);
  world.EndHosts(1, 8);
  CHECK(world.Entry()->served() == 0);
}

TEST_CASE("other settings hold from the next loss on") {
  World world({100, kHold});
  world.Register("api", 8);
  world.EndHosts(1, 5);
  CHECK(world.Held().empty());
  world.builder.guard().Set({50, seconds(60)});
  CHECK(world.Held().empty());
  world.End(6);
  CHECK(world.Held().size() == 6);
  world.builder.guard().Set({100, kHold});
  world.Pass(seconds(59));
  CHECK(world.Held().size() == 6);
  world.Pass(seconds(1));
  CHECK(world.Held().empty());
}

TEST_CASE("an ended service that is held is not forgotten") {
  CatalogBuilder builder(kPrefix, 1, Guard({50, kHold}, kTtl));
  builder.ReplaceAll({}, 20);
  std::vector<etcd::WatchEvent> events;
  for (int i = 1; i <= 4; ++i) {
    const std::string id = std::to_string(i);
    events.push_back(PutOf(RawKv(KeyOf("api", id), ValueOf("api", id), 20 + i, i)));
    events.push_back(PutOf(RawKv(KeyOf("s" + id, id), ValueOf("s", id), 20 + i, 0)));
  }
  builder.Apply(BatchOf(events));
  for (int i = 1; i <= 4; ++i) builder.Apply(BatchOf({DeleteOf("api", std::to_string(i), 30 + i)}));
  for (int i = 1; i <= 4; ++i) {
    const std::string id = std::to_string(i);
    builder.Apply(BatchOf({DeleteOf("s" + id, id, 40 + i)}));
  }
  REQUIRE(builder.Snapshot()->Find("api") != nullptr);
  CHECK(builder.Snapshot()->Find("api")->held() == 4);
}

// --- The index

TEST_CASE("the index stands before the last change while something is held") {
  CHECK(NextIndex(20, 31, 31, false).index == 31);
  CHECK(NextIndex(40, 31, 50, false).index == 40);  // never back
  CHECK(NextIndex(20, 31, 31, true).index == 30);
  CHECK(NextIndex(20, 31, 31, true).last_change == 31);
  // No event of its own, but others moved the catalog on: one step now, one for the end.
  CHECK(NextIndex(20, 20, 31, true).index == 21);
  CHECK(NextIndex(20, 20, 31, true).last_change == 22);
  CHECK(NextIndex(30, 31, 40, true).index == 31);
  CHECK(NextIndex(30, 31, 40, true).last_change == 32);
  // No room: the end is a step all the same.
  CHECK(NextIndex(30, 31, 31, true).index == 30);
  CHECK(NextIndex(30, 31, 31, true).last_change == 31);
}

TEST_CASE("who waits for a larger index sees the end of the hold") {
  World world;
  world.Register("api", 5);
  world.EndHosts(1, 3);
  const int64_t held = world.Entry()->index();
  CHECK(held == world.revision - 1);
  CHECK(world.Entry()->last_change() == world.revision);
  SECTION("by time") {
    world.Pass(kHold);
    CHECK(world.Entry()->index() == world.revision);
  }
  SECTION("because the last one is back") {
    for (int host = 1; host <= 3; ++host) {
      const int64_t before = world.Entry()->index();
      world.Put("api", host);
      CHECK(world.Entry()->index() > before);
    }
    CHECK(world.Held().empty());
    CHECK(world.Entry()->index() == world.revision);
  }
  SECTION("after changes meanwhile") {
    world.Put("api", 4);
    CHECK(world.Entry()->index() == world.revision - 1);
    world.Pass(kHold);
    CHECK(world.Entry()->index() == world.revision);
  }
}

TEST_CASE("an old put that comes again while its service is held raises nobody") {
  World world;
  world.Register("api", 5);
  world.EndHosts(1, 2);
  const auto old =
      BatchOf({PutOf(RawKv(KeyOf("api", "h3"), ValueOf("api", "h3", 9090), ++world.revision, 3))});
  world.builder.Apply(old, world.now);
  world.End(3);
  const auto entry = world.Entry();
  CHECK(entry->held() == 3);
  world.builder.Apply(old, world.now);
  CHECK(world.Entry() == entry);
}

}  // namespace
}  // namespace rosterd
