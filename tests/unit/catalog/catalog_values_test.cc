// SPDX-License-Identifier: Apache-2.0
// What the catalog makes of values, whoever wrote them.
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "catalog/catalog_builder.h"
#include "values.h"

namespace rosterd {
namespace {

using namespace rosterd::testing;  // NOLINT
using Served = std::vector<std::string>;

TEST_CASE("every form of value is served side by side, garbage is skipped") {
  CatalogBuilder builder(kPrefix);
  const auto change = builder.ReplaceAll(
      {RawKv("/services/my-service/a", ValueOf("my-service", "a"), 2),
       RawKv("/services/my-service/b", R"({"Addr":"10.0.0.6:8081"})", 3),
       RawKv("/services/my-service/c", "10.0.0.7:8082", 4),
       RawKv("/services/my-service/d/with/slashes", "my-service 10.0.0.8:8083", 5),
       RawKv("/services/my-service/e", "{\"host\":", 6), RawKv("/services/my-service/f", "", 7),
       RawKv("/services/my-service/g", ValueOf("my-service", "g", 8084, "draining"), 8)},
      9);
  const auto catalog = builder.Snapshot();
  CHECK(ServedOf(*catalog, "my-service") ==
        Served{"a:8080", "b:8081", "c:8082", "d/with/slashes:8083"});
  CHECK(catalog->instances() == 4);
  CHECK(catalog->Find("my-service")->keys().size() == 7);
  CHECK(catalog->Find("my-service")->FindKey("e")->instance == nullptr);
  CHECK(catalog->Find("my-service")->FindKey("e")->mod_revision == 6);
  CHECK(catalog->Find("my-service")->FindKey("g")->instance != nullptr);
  CHECK(builder.unreadable() == 2);
  REQUIRE(change.unreadable.size() == 2);
  CHECK(change.unreadable[0].key == "/services/my-service/e");
  CHECK_FALSE(change.unreadable[0].reason.empty());
  CHECK(change.unreadable[1].key == "/services/my-service/f");
}

TEST_CASE("an unreadable value is reported once, a different one again") {
  CatalogBuilder builder(kPrefix);
  const std::string key = KeyOf("api", "a");
  builder.ReplaceAll({}, 1);
  CHECK(builder.Apply(BatchOf({PutOf(RawKv(key, "???", 2))})).unreadable.size() == 1);
  CHECK(builder.Apply(BatchOf({PutOf(RawKv(key, "???", 3))})).unreadable.empty());
  CHECK(builder.ReplaceAll({RawKv(key, "???", 3), Kv("api", "b", 4)}, 5).unreadable.empty());
  CHECK(builder.Apply(BatchOf({PutOf(RawKv(key, "!!!", 6))})).unreadable.size() == 1);
  CHECK(builder.unreadable() == 1);

  SECTION("a good value ends it") {
    builder.Apply(BatchOf({PutOf(Kv("api", "a", 7))}));
    CHECK(builder.unreadable() == 0);
    CHECK(ServedOf(*builder.Snapshot(), "api") == Served{"a:8080", "b:8080"});
  }
  SECTION("a delete ends it") {
    builder.Apply(BatchOf({DeleteOf("api", "a", 7)}));
    CHECK(builder.unreadable() == 0);
  }
  SECTION("a list without it ends it") {
    builder.ReplaceAll({}, 8);
    CHECK(builder.unreadable() == 0);
  }
}

TEST_CASE("garbage over a good value takes the instance away and keeps the key") {
  CatalogBuilder builder(kPrefix);
  builder.ReplaceAll({Kv("api", "a", 2), Kv("api", "b", 3)}, 3);
  builder.Apply(BatchOf({PutOf(RawKv(KeyOf("api", "a"), "oops", 4, 0))}));
  const auto entry = builder.Snapshot()->Find("api");
  CHECK(entry->served() == 1);
  CHECK(entry->index() == 4);
  REQUIRE(entry->FindKey("a") != nullptr);
  CHECK(entry->FindKey("a")->mod_revision == 4);
  CHECK(entry->FindKey("a")->value_hash == HashValue("oops"));
}

TEST_CASE("a service of nothing but garbage is not counted as one") {
  CatalogBuilder builder(kPrefix);
  builder.ReplaceAll({RawKv(KeyOf("api", "a"), "oops", 4)}, 5);
  CHECK(builder.Snapshot()->services() == 0);
  CHECK(builder.Snapshot()->Find("api")->served() == 0);
}

}  // namespace
}  // namespace rosterd
