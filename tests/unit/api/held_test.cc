// SPDX-License-Identifier: Apache-2.0
// Answers with instances that the guard against mass loss keeps.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "catalog/catalog_builder.h"
#include "world.h"

namespace rosterd::api::testing {
namespace {

using nlohmann::json;

// "web" of six hosts, of which four lost their leases; 1 and 2 were in eu-1a, the others in eu-1b.
std::shared_ptr<const Catalog> CatalogWithHeld() {
  CatalogBuilder builder("/services/");
  std::vector<etcd::KeyValue> kvs;
  for (int64_t host = 1; host <= 6; ++host) {
    Instance instance = MakeInstance("web", "web-" + std::to_string(host), "10.0.0.1", 8080);
    instance.zone = host <= 2 ? "eu-1a" : "eu-1b";
    instance.tags = {host == 6 ? "live" : "any"};
    kvs.push_back({FormatKey("/services/", "web", instance.id), EncodeInstance(instance), host,
                   host, 1, host});
  }
  builder.ReplaceAll(kvs, 20);
  builder.SetWatchOpen(true);
  for (int64_t host = 1; host <= 4; ++host) {
    etcd::WatchEvent event{etcd::WatchEvent::Kind::kDelete, {}};
    event.kv.key = kvs[static_cast<size_t>(host - 1)].key;
    event.kv.mod_revision = 20 + host;
    builder.Apply({{1, 1, 20 + host, 2}, false, {event}});
  }
  return builder.Snapshot();
}

World WithHeld() {
  World world;
  world.views.catalog = CatalogWithHeld();
  return world;
}

std::string HeldIn(const http::Answer& answer) {
  std::string ids;
  const json body = json::parse(BodyOf(answer));
  for (const json& instance : body.at("instances")) {
    if (!instance.contains("held")) continue;
    CHECK(instance["held"] == true);
    ids += instance.at("id").get<std::string>() + " ";
  }
  return ids;
}

TEST_CASE("held instances are marked and counted, the others are as ever") {
  World world = WithHeld();
  const http::Answer answer = world.Get("/services/web");
  CHECK(answer.status == 200);
  CHECK(json::parse(BodyOf(answer)).at("instances").size() == 6);
  CHECK(HeldIn(answer) == "web-1 web-2 web-3 web-4 ");
  CHECK(HeaderOf(answer, "X-Rosterd-Held") == "4");
  CHECK(HeaderOf(answer, "X-Rosterd-Index") == "23");
}

TEST_CASE("an answer that did not change says how many it holds too") {
  World world = WithHeld();
  const std::string etag = HeaderOf(world.Get("/services/web"), "ETag");
  const http::Answer answer = world.Get("/services/web", {}, {{"if-none-match", etag}});
  CHECK(answer.status == 304);
  CHECK(HeaderOf(answer, "X-Rosterd-Held") == "4");
}

TEST_CASE("filters apply to held instances, and only those of the answer are counted") {
  World world = WithHeld();
  const http::Answer zone = world.Get("/services/web", {{"zone", "eu-1a"}});
  CHECK(HeldIn(zone) == "web-1 web-2 ");
  CHECK(HeaderOf(zone, "X-Rosterd-Held") == "2");
  const http::Answer none = world.Get("/services/web", {{"tag", "live"}});
  CHECK(json::parse(BodyOf(none)).at("instances").size() == 1);
  CHECK(HeaderOf(none, "X-Rosterd-Held") == "(none)");
}

TEST_CASE("counts of instances include held ones") {
  World world = WithHeld();
  CHECK(BodyOf(world.Get("/services")).find(R"({"name":"web","instances":6})") !=
        std::string::npos);
  CHECK(HeaderOf(world.Get("/services"), "X-Rosterd-Held") == "(none)");
  const json page = json::parse(BodyOf(world.Get("/agent"))).at("catalog");
  CHECK(page.at("instances") == 6);
  CHECK(page.size() == 5);
}

TEST_CASE("without held instances there is no such header") {
  World world;
  world.views.catalog = MakeCatalog(57, {{MakeInstance("web", "w", "10.0.0.1", 80), 40}});
  const http::Answer answer = world.Get("/services/web");
  CHECK(HeaderOf(answer, "X-Rosterd-Held") == "(none)");
  CHECK(BodyOf(answer).find("held") == std::string::npos);
}

}  // namespace
}  // namespace rosterd::api::testing
