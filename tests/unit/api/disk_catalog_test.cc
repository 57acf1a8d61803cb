// SPDX-License-Identifier: Apache-2.0
// A catalog that an earlier run left: served as stale, as old as etcd's last answer to that run.
#include <catch2/catch.hpp>

#include "catalog/catalog_builder.h"
#include "world.h"

namespace rosterd::api::testing {
namespace {

// That run heard etcd 130.5 s ago; this one came up 100 s ago.
World FromDisk() {
  SavedCatalog saved;
  saved.prefix = "/services/";
  saved.revision = saved.floor = saved.index = 57;
  CatalogKey key{"web-1", 57, 0, 1, nullptr};
  key.instance = std::make_shared<const Instance>(MakeInstance("web", "web-1", "10.0.0.1", 8080));
  saved.services.push_back({"web", 57, {key}});
  CatalogBuilder builder("/services/");
  builder.Restore(std::move(saved), 0);
  World world;
  world.views.catalog = builder.Snapshot();
  world.views.disk_answer = world.views.now - milliseconds(130'500);
  world.etcd = EtcdSnapshot{};
  return world;
}

TEST_CASE("a catalog from disk is stale, ready, and shows its age") {
  World world = FromDisk();
  const http::Answer answer = world.Get("/services/web");
  CHECK(answer.status == 200);
  CHECK(HeaderOf(answer, "X-Rosterd-State") == "stale");
  CHECK(HeaderOf(answer, "X-Rosterd-Index") == "57");
  CHECK(HeaderOf(answer, "Age") == "130");
  CHECK(BodyOf(answer).find("10.0.0.1") != std::string::npos);
  CHECK(HeaderOf(world.Get("/services"), "Age") == "130");
  CHECK(
      BodyOf(world.Get("/agent"))
          .find(
              R"("catalog":{"state":"stale","index":57,"services":1,"instances":1,"age_ms":130500})") !=
      std::string::npos);
  CHECK(world.Get("/readyz").status == 200);
}

TEST_CASE("it is no younger because etcd answers something, as long as it is from disk") {
  World world = FromDisk();
  world.etcd.state = EtcdState::kConnected;
  world.etcd.last_answer = world.views.now;
  const http::Answer answer = world.Get("/services/web");
  CHECK(HeaderOf(answer, "X-Rosterd-State") == "stale");
  CHECK(HeaderOf(answer, "Age") == "130");
}

TEST_CASE("its age is never negative") {
  World world = FromDisk();
  world.views.disk_answer = world.views.now + seconds(5);
  CHECK(HeaderOf(world.Get("/services/web"), "Age") == "0");
}

}  // namespace
}  // namespace rosterd::api::testing
