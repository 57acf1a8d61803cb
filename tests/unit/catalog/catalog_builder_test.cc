// SPDX-License-Identifier: Apache-2.0
#include "catalog/catalog_builder.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "values.h"

namespace rosterd {
namespace {

using namespace rosterd::testing;  // NOLINT
using Served = std::vector<std::string>;

TEST_CASE("the first list gives each service its highest modification revision") {
  CatalogBuilder builder(kPrefix);
  builder.ReplaceAll({Kv("api", "a", 5), Kv("api", "b", 9), Kv("web", "a", 7)}, 20);
  const auto catalog = builder.Snapshot();

  CHECK(catalog->revision() == 20);
  CHECK(catalog->Find("api")->index() == 9);
  CHECK(catalog->IndexOf("web") == 7);
  CHECK(catalog->index() == 9);
  CHECK(catalog->floor() == 20);
  CHECK(catalog->IndexOf("unknown") == 20);
  CHECK(catalog->services() == 2);
  CHECK(catalog->instances() == 3);
  CHECK_FALSE(catalog->watch_open());
  CHECK(ServedOf(*catalog, "api") == Served{"a:8080", "b:8080"});
}

TEST_CASE("an empty first list shows its revision as index") {
  CatalogBuilder builder(kPrefix);
  builder.ReplaceAll({}, 20);
  CHECK(builder.Snapshot()->index() == 20);
  builder.Apply(BatchOf({PutOf(Kv("api", "a", 21))}));
  CHECK(builder.Snapshot()->index() == 21);
}

TEST_CASE("a list in any order gives sorted keys") {
  CatalogBuilder builder(kPrefix);
  builder.ReplaceAll({Kv("b", "2", 2), Kv("a", "1", 3), Kv("b-c", "1", 4), Kv("b", "1", 5)}, 9);
  const auto catalog = builder.Snapshot();
  CHECK(ServedOf(*catalog, "b") == Served{"1:8080", "2:8080"});
  CHECK(catalog->services() == 3);
}

TEST_CASE("an event changes its service alone; all others keep their entry") {
  CatalogBuilder builder(kPrefix);
  builder.ReplaceAll({Kv("api", "a", 5), Kv("web", "a", 7)}, 20);
  const auto before = builder.Snapshot();
  const auto change = builder.Apply(BatchOf({PutOf(Kv("api", "b", 21))}));
  const auto after = builder.Snapshot();

  CHECK(change.services == 1);
  CHECK(after->Find("web") == before->Find("web"));
  CHECK(after->Find("api")->index() == 21);
  CHECK(after->index() == 21);
  CHECK(after->revision() == 21);
  CHECK(ServedOf(*after, "api") == Served{"a:8080", "b:8080"});
  CHECK(after->Find("api")->FindKey("a")->instance == before->Find("api")->FindKey("a")->instance);

  SECTION("and an older snapshot stays as it was") {
    CHECK(ServedOf(*before, "api") == Served{"a:8080"});
    CHECK(before->revision() == 20);
  }
}

TEST_CASE("a batch is applied whole; a service's index is that of its last event") {
  CatalogBuilder builder(kPrefix);
  builder.ReplaceAll({Kv("api", "a", 5), Kv("web", "a", 7)}, 20);
  builder.Apply(BatchOf({PutOf(Kv("api", "b", 21)), DeleteOf("api", "a", 22),
                         PutOf(Kv("web", "a", 23, 9090)), DeleteOf("web", "unknown", 24)}));
  const auto catalog = builder.Snapshot();
  CHECK(catalog->IndexOf("api") == 22);
  CHECK(catalog->IndexOf("web") == 23);
  CHECK(catalog->revision() == 24);
  CHECK(ServedOf(*catalog, "api") == Served{"b:8080"});
  CHECK(ServedOf(*catalog, "web") == Served{"a:9090"});
}

TEST_CASE("several events of one revision count all") {
  CatalogBuilder builder(kPrefix);
  builder.ReplaceAll({}, 20);
  builder.Apply(BatchOf({PutOf(Kv("api", "b", 21)), PutOf(Kv("api", "a", 21))}));
  CHECK(ServedOf(*builder.Snapshot(), "api") == Served{"a:8080", "b:8080"});
}

TEST_CASE("the last delete leaves the index of the service's end") {
  CatalogBuilder builder(kPrefix);
  builder.ReplaceAll({Kv("api", "a", 5)}, 20);
  builder.Apply(BatchOf({DeleteOf("api", "a", 30)}));
  const auto catalog = builder.Snapshot();
  REQUIRE(catalog->Find("api") != nullptr);
  CHECK(catalog->Find("api")->served() == 0);
  CHECK(catalog->IndexOf("api") == 30);
  CHECK(catalog->index() == 30);
  CHECK(catalog->services() == 0);
  CHECK(catalog->instances() == 0);
}

TEST_CASE("what is not newer than what is known is ignored") {
  CatalogBuilder builder(kPrefix);
  builder.ReplaceAll({Kv("api", "a", 5)}, 20);
  builder.Apply(BatchOf({PutOf(Kv("api", "a", 30, 9000)), PutOf(Kv("api", "b", 31))}));
  builder.Apply(BatchOf({DeleteOf("api", "b", 32)}));
  const auto before = builder.Snapshot();

  SECTION("a repeated put") { builder.Apply(BatchOf({PutOf(Kv("api", "a", 30, 1234))})); }
  SECTION("an older put") { builder.Apply(BatchOf({PutOf(Kv("api", "a", 25, 1234))})); }
  SECTION("an older delete") { builder.Apply(BatchOf({DeleteOf("api", "a", 29)})); }
  SECTION("a delete of an unknown key") {
    builder.Apply(BatchOf({DeleteOf("api", "x", 32), DeleteOf("none", "x", 32)}));
  }
  SECTION("the put of a key deleted since") { builder.Apply(BatchOf({PutOf(Kv("api", "b", 31))})); }
  SECTION("a put from before the list") { builder.Apply(BatchOf({PutOf(Kv("old", "b", 20))})); }
  CHECK(builder.Snapshot() == before);
}

TEST_CASE("the same value put again moves revision and index, and keeps the instance") {
  CatalogBuilder builder(kPrefix);
  builder.ReplaceAll({Kv("api", "a", 5)}, 20);
  const auto before = builder.Snapshot()->Find("api");
  builder.Apply(BatchOf({PutOf(RawKv(KeyOf("api", "a"), ValueOf("api", "a"), 21, 77))}));
  const auto after = builder.Snapshot()->Find("api");
  CHECK(after->index() == 21);
  CHECK(after->FindKey("a")->mod_revision == 21);
  CHECK(after->FindKey("a")->lease == 77);
  CHECK(after->FindKey("a")->instance == before->FindKey("a")->instance);
}

TEST_CASE("progress moves the revision only, a watch's creation nothing") {
  CatalogBuilder builder(kPrefix);
  builder.ReplaceAll({Kv("api", "a", 5)}, 20);
  builder.Apply(CreatedAt(99));
  CHECK(builder.revision() == 20);
  builder.Apply(ProgressAt(40));
  CHECK(builder.Snapshot()->revision() == 40);
  CHECK(builder.Snapshot()->index() == 5);
  builder.Apply(ProgressAt(30));
  CHECK(builder.revision() == 40);
}

TEST_CASE("without a change the snapshot is the same") {
  CatalogBuilder builder(kPrefix);
  builder.ReplaceAll({Kv("api", "a", 5)}, 20);
  const auto first = builder.Snapshot();
  CHECK(builder.Snapshot() == first);
  builder.SetWatchOpen(false);
  CHECK(builder.Snapshot() == first);
  builder.SetWatchOpen(true);
  CHECK(builder.Snapshot()->watch_open());
  CHECK(builder.Snapshot()->Find("api") == first->Find("api"));
}

TEST_CASE("a later list publishes the difference at its revision") {
  CatalogBuilder builder(kPrefix);
  builder.ReplaceAll({Kv("gone", "a", 4), Kv("less", "a", 5), Kv("less", "b", 6),
                      Kv("moved", "a", 7), Kv("same", "a", 8)},
                     20);
  const auto before = builder.Snapshot();
  const auto change = builder.ReplaceAll(
      {Kv("less", "b", 6), Kv("moved", "a", 33, 9090), Kv("new", "a", 34), Kv("same", "a", 8)}, 50);
  const auto after = builder.Snapshot();
  CHECK(change.services == 4);
  CHECK_FALSE(change.history_went_back);
  CHECK(after->Find("same") == before->Find("same"));
  for (const char* service : {"gone", "less", "moved", "new"}) {
    CHECK(after->IndexOf(service) == 50);
  }
  CHECK(after->Find("gone")->served() == 0);
  CHECK(ServedOf(*after, "less") == Served{"b:8080"});
  CHECK(ServedOf(*after, "moved") == Served{"a:9090"});
  CHECK(after->floor() == 20);
  CHECK(after->index() == 50);
  CHECK(after->instances() == 4);
}

TEST_CASE("the same list again shares everything") {
  CatalogBuilder builder(kPrefix);
  const std::vector<etcd::KeyValue> kvs{Kv("api", "a", 5), Kv("web", "a", 7)};
  builder.ReplaceAll(kvs, 20);
  const auto before = builder.Snapshot();
  CHECK(builder.ReplaceAll(kvs, 60).services == 0);
  const auto after = builder.Snapshot();
  CHECK(after->Find("api") == before->Find("api"));
  CHECK(after->Find("web") == before->Find("web"));
  CHECK(after->revision() == 60);
  CHECK(after->index() == before->index());
}

TEST_CASE("a key that differs only in its lease is a difference") {
  CatalogBuilder builder(kPrefix);
  builder.ReplaceAll({RawKv(KeyOf("api", "a"), "10.0.0.1:80", 5, 7)}, 20);
  CHECK(builder.ReplaceAll({RawKv(KeyOf("api", "a"), "10.0.0.1:80", 5, 8)}, 30).services == 1);
  CHECK(builder.Snapshot()->Find("api")->FindKey("a")->lease == 8);
}

TEST_CASE("a history that goes back never lowers what was shown") {
  CatalogBuilder builder(kPrefix);
  builder.ReplaceAll({Kv("api", "a", 5), Kv("web", "a", 7)}, 20);
  builder.Apply(BatchOf({PutOf(Kv("api", "b", 80)), PutOf(Kv("api", "c", 81))}));
  const auto before = builder.Snapshot();

  const auto change = builder.ReplaceAll({Kv("api", "a", 5), Kv("web", "a", 7)}, 21);
  const auto restored = builder.Snapshot();
  CHECK(change.history_went_back);
  CHECK(change.services == 1);
  CHECK(builder.revision() == 21);
  CHECK(before->etcd_revision() == 81);
  CHECK(restored->etcd_revision() == 21);
  CHECK(restored->Find("web") == before->Find("web"));
  CHECK(ServedOf(*restored, "api") == Served{"a:8080"});
  // Above all that was shown: who waits at 81 must see it.
  CHECK(restored->IndexOf("api") > before->revision());
  CHECK(restored->revision() >= restored->IndexOf("api"));

  builder.Apply(BatchOf({PutOf(Kv("web", "b", 22))}));
  const auto after = builder.Snapshot();
  CHECK(builder.revision() == 22);
  CHECK(after->IndexOf("web") > restored->revision());
  CHECK(after->Find("web")->FindKey("b")->mod_revision == 22);
  CHECK(ServedOf(*after, "web") == Served{"a:8080", "b:8080"});
}

TEST_CASE("a difference found at a revision already shown gets an index of its own") {
  CatalogBuilder builder(kPrefix);
  builder.ReplaceAll({Kv("api", "a", 5), Kv("api", "b", 6)}, 20);
  builder.ReplaceAll({Kv("api", "a", 5)}, 20);
  CHECK(builder.Snapshot()->IndexOf("api") == 21);
  CHECK(builder.Snapshot()->revision() == 21);
  CHECK(builder.revision() == 20);
}

TEST_CASE("ended services are remembered up to a limit, the floor covers the others") {
  CatalogBuilder builder(kPrefix, 2);
  builder.ReplaceAll({Kv("a", "1", 1), Kv("b", "1", 2), Kv("c", "1", 3), Kv("d", "1", 4)}, 10);
  builder.Apply(BatchOf({DeleteOf("b", "1", 11), DeleteOf("a", "1", 12)}));
  CHECK(builder.Snapshot()->floor() == 10);
  builder.Apply(BatchOf({DeleteOf("c", "1", 13)}));
  auto catalog = builder.Snapshot();
  CHECK(catalog->Find("b") == nullptr);
  CHECK(catalog->floor() == 11);
  CHECK(catalog->IndexOf("b") == 11);
  CHECK(catalog->IndexOf("a") == 12);

  SECTION("an old put of a forgotten one is ignored") {
    builder.Apply(BatchOf({DeleteOf("d", "1", 15)}));
    REQUIRE(builder.Snapshot()->Find("a") == nullptr);
    builder.Apply(BatchOf({PutOf(Kv("a", "1", 11))}));
    CHECK(builder.Snapshot()->Find("a") == nullptr);
  }
  SECTION("one that comes back is no longer among them") {
    builder.Apply(BatchOf({PutOf(Kv("a", "1", 14)), DeleteOf("d", "1", 15)}));
    catalog = builder.Snapshot();
    CHECK(catalog->floor() == 11);
    CHECK(ServedOf(*catalog, "a") == Served{"1:8080"});
    CHECK(catalog->IndexOf("c") == 13);
  }
}

TEST_CASE("keys that are no instance are skipped") {
  CatalogBuilder builder(kPrefix);
  const auto change = builder.ReplaceAll({RawKv("/services/loose", "x", 5), Kv("api", "a", 6)}, 9);
  CHECK(change.unreadable.empty());
  builder.Apply(BatchOf({PutOf(RawKv("/services//x", "x", 10))}));
  CHECK(builder.Snapshot()->services() == 1);
  CHECK(builder.revision() == 10);
}

}  // namespace
}  // namespace rosterd
