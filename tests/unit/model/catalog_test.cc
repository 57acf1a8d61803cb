// SPDX-License-Identifier: Apache-2.0
// One service of the catalog, and the catalog before anything is known.
#include "model/catalog.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <thread>

#include "model/service_body.h"

namespace rosterd {
namespace {

CatalogKey Key(const std::string& id, const std::string& state = "passing") {
  auto instance = std::make_shared<Instance>();
  instance->service = "s";
  instance->id = id;
  instance->host = "10.0.0.5";
  instance->port = 80;
  instance->state = state;
  CatalogKey key;
  key.id = id;
  key.mod_revision = 7;
  key.instance = std::move(instance);
  return key;
}

CatalogKey Unreadable(const std::string& id) {
  CatalogKey key;
  key.id = id;
  key.value_hash = HashValue("garbage");
  return key;
}

TEST_CASE("only readable instances in state passing are served, in order of id") {
  const ServiceEntry entry("s", 57, {Key("a"), Unreadable("b"), Key("c", "draining"), Key("d")});
  CHECK(entry.name() == "s");
  CHECK(entry.index() == 57);
  CHECK(entry.keys().size() == 4);
  CHECK(entry.served() == 2);
  const auto served = entry.ServedInstances();
  REQUIRE(served.size() == 2);
  CHECK(served[0]->id == "a");
  CHECK(served[1]->id == "d");
}

TEST_CASE("every key is found by its id, those that cannot be read too") {
  const ServiceEntry entry("s", 57, {Key("a"), Unreadable("b"), Key("c", "draining")});
  REQUIRE(entry.FindKey("b") != nullptr);
  CHECK(entry.FindKey("b")->instance == nullptr);
  CHECK(entry.FindKey("b")->value_hash == HashValue("garbage"));
  REQUIRE(entry.FindKey("c") != nullptr);
  CHECK_FALSE(entry.FindKey("c")->served());
  CHECK(entry.FindKey("a")->mod_revision == 7);
  for (const std::string id : {"", "aa", "d", "A"}) CHECK(entry.FindKey(id) == nullptr);
  CHECK(ServiceEntry("s", 1, {}).FindKey("a") == nullptr);
}

TEST_CASE("what is held is served in its place, but is no key") {
  const HeldInstances held{{Key("a").instance, Key("c").instance, Key("z").instance}, 58};
  const ServiceEntry entry("s", 57, {Key("b"), Key("bb", "failing"), Key("d")}, held);
  CHECK(entry.served() == 5);
  CHECK(entry.held() == 3);
  CHECK(entry.keys().size() == 3);
  CHECK(entry.FindKey("c") == nullptr);
  CHECK(entry.index() == 57);
  CHECK(entry.last_change() == 58);
  std::string seen;
  for (const ServedInstance& served : entry.ServedInstances()) {
    seen += served->id + (served.held ? "! " : " ");
  }
  CHECK(seen == "a! b c! d z! ");
  CHECK(entry.body().json == RenderService("s", 57, entry.ServedInstances()));
  CHECK(ServiceEntry("s", 57, {Key("b")}).last_change() == 57);
}

TEST_CASE("the body shows what is served, and its tag is the body's") {
  const ServiceEntry entry("s", 57, {Key("a"), Unreadable("b"), Key("c", "failing")});
  CHECK(entry.body().json == RenderService("s", 57, entry.ServedInstances()));
  CHECK(entry.body().etag == EntityTag(entry.body().json));
  CHECK(nlohmann::json::parse(entry.body().json).at("instances").size() == 1);
}

TEST_CASE("a service that ended has an empty body with the index of its end") {
  const ServiceEntry entry("s", 60, {});
  CHECK(entry.served() == 0);
  CHECK(entry.body().json == R"({"service":"s","index":60,"instances":[]})");
}

TEST_CASE("the body is rendered once, whoever asks first") {
  const ServiceEntry entry("s", 57, {Key("a")});
  std::vector<const ServiceEntry::Body*> seen(4);
  {
    std::vector<std::jthread> readers;
    for (auto& place : seen) readers.emplace_back([&entry, &place] { place = &entry.body(); });
  }
  for (const auto* body : seen) CHECK(body == &entry.body());
}

TEST_CASE("an empty catalog knows nobody") {
  const Catalog catalog;
  CHECK(catalog.Find("s") == nullptr);
  CHECK(catalog.IndexOf("s") == catalog.floor());
  CHECK(catalog.services() == 0);
  CHECK(catalog.instances() == 0);
  CHECK(catalog.revision() == 0);
  CHECK_FALSE(catalog.watch_open());
  int visited = 0;
  catalog.ForEach([&](const ServiceEntry&) { ++visited; });
  CHECK(visited == 0);
}

TEST_CASE("services spread over the shards, each always to the same one") {
  std::vector<int> load(Catalog::kShards);
  for (int i = 0; i < 10'000; ++i) {
    const std::string name = "service-" + std::to_string(i);
    const size_t shard = Catalog::ShardOf(name);
    if (shard != Catalog::ShardOf(std::string_view(name))) FAIL("moved: " << name);
    ++load.at(shard);
  }
  CHECK(*std::max_element(load.begin(), load.end()) < 100);  // 39 on average
  CHECK(*std::min_element(load.begin(), load.end()) > 5);
}

TEST_CASE("values that differ have hashes that differ") {
  CHECK(HashValue("a") == HashValue(std::string("a")));
  CHECK(HashValue("a") != HashValue("b"));
  CHECK(HashValue("") != HashValue(std::string(1, '\0')));
}

}  // namespace
}  // namespace rosterd
