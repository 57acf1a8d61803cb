// SPDX-License-Identifier: Apache-2.0
#include "catalog/catalog_keeper.h"

#include <catch2/catch.hpp>

#include "catalog/catalog_builder.h"
#include "support/fake_clock.h"
#include "support/temp_dir.h"
#include "values.h"

namespace rosterd {
namespace {

using namespace rosterd::testing;  // NOLINT

// Saving takes as long as a test says.
class SlowClock final : public Clock {
 public:
  TimePoint Now() const override {
    clock.Advance(per_look);
    return clock.Now();
  }
  WallTime WallNow() const override { return clock.WallNow(); }

  mutable FakeClock clock;
  Duration per_look{};
};

struct World {
  World() { Answer(); }

  void Publish() { catalogs.Publish(builder.Snapshot()); }
  void Change() {
    builder.Apply(BatchOf({PutOf(Kv("web", "a", ++revision))}));
    Publish();
  }
  void Answer() {
    auto snapshot = std::make_shared<EtcdSnapshot>();
    snapshot->last_answer = clock.clock.Now();
    etcd.Publish(std::move(snapshot));
  }
  // As the keeper's thread would, waking it at each `every`; counts the saves.
  int Run(Duration d, Duration every = milliseconds(100), bool change = false) {
    int saves = 0;
    for (const TimePoint end = clock.clock.Now() + d; clock.clock.Now() < end;) {
      if (change) Change();
      Answer();
      keeper.Step(clock.clock.Now());
      if (TookOver()) ++saves;
      clock.clock.Advance(every);
    }
    return saves;
  }
  // Whether the file was written since the last call.
  bool TookOver() {
    const std::string path = disk.dir->path() + "/catalog";
    if (!std::filesystem::exists(path)) return false;
    std::filesystem::rename(path, path + ".seen");
    return true;
  }
  std::optional<SavedCatalog> OnDisk() { return *CatalogFile(*disk.dir, kPrefix).Load(); }

  Disk disk;
  SlowClock clock;
  CatalogBuilder builder{kPrefix};
  int64_t revision = 20;
  Latest<Catalog> catalogs;
  Latest<EtcdSnapshot> etcd;
  CatalogKeeper keeper{CatalogFile(*disk.dir, kPrefix), catalogs, etcd, clock};
};

struct ListedWorld : World {
  ListedWorld() {
    builder.ReplaceAll({Kv("api", "a", 5)}, revision, 77);
    Publish();
  }
};

TEST_CASE("nothing is saved before etcd has told something, nor what came from disk") {
  World w;
  CHECK(w.keeper.Step(w.clock.Now()) == kNever);
  CatalogBuilder first(kPrefix);
  first.ReplaceAll({Kv("api", "a", 5)}, 20, 77);
  std::string body;
  EncodeCatalog(*first.Snapshot(), kPrefix, {}, [&](std::string_view p) { body += p; });
  w.builder.Restore(*DecodeCatalog(body), 0);
  w.Publish();
  CHECK(w.keeper.Step(w.clock.Now()) == kNever);
  w.keeper.Finish(seconds(1));
  CHECK_FALSE(w.OnDisk());
}

TEST_CASE("the first catalog is saved at once, changes at most once a second") {
  ListedWorld w;
  w.keeper.Step(w.clock.Now());
  REQUIRE(w.OnDisk());
  CHECK(w.OnDisk()->revision == 20);
  w.Change();
  const TimePoint then = w.keeper.Step(w.clock.Now());
  CHECK(w.OnDisk()->revision == 20);
  CHECK(then == w.clock.Now() + seconds(1));
  w.clock.clock.Advance(seconds(1));
  w.keeper.Step(w.clock.Now());
  CHECK(w.OnDisk()->revision == 21);
  CHECK(w.Run(seconds(10), milliseconds(10), /*change=*/true) <= 10);
}

TEST_CASE("a save that takes long is at most a twentieth of the time") {
  ListedWorld w;
  w.clock.per_look = milliseconds(200);
  w.keeper.Step(w.clock.clock.Now());
  const auto bytes = w.OnDisk();
  w.clock.per_look = Duration::zero();
  w.Change();
  const TimePoint saved = w.clock.Now();
  const TimePoint then = w.keeper.Step(saved);
  CHECK(then - saved >= seconds(3));
  CHECK(then - saved <= seconds(60));
}

TEST_CASE("while nothing changes the time of etcd's last answer is saved every 10 s") {
  ListedWorld w;
  CHECK(w.Run(seconds(60)) <= 7);
  CHECK(w.Run(seconds(60)) >= 5);
  SECTION("also when only the watch opens and breaks") {
    int saves = 0;
    for (int i = 0; i < 60; ++i) {
      w.builder.SetWatchOpen(i % 2 == 0);
      w.Publish();
      saves += w.Run(seconds(1));
    }
    CHECK(saves <= 7);
  }
  SECTION("and not at all while etcd does not answer") {
    int saves = 0;
    for (int i = 0; i < 100; ++i, w.clock.clock.Advance(seconds(1))) {
      w.keeper.Step(w.clock.Now());
      saves += w.TookOver() ? 1 : 0;
    }
    CHECK(saves <= 1);
  }
}

TEST_CASE("the time saved is that of etcd's last answer") {
  ListedWorld w;
  const WallTime answered = w.clock.WallNow();
  w.clock.clock.Advance(seconds(7));
  w.keeper.Step(w.clock.Now());
  CHECK(w.OnDisk()->answered == answered);
}

TEST_CASE("a full disk is tried again after 10 s") {
  ListedWorld w;
  FillDiskFor(w.disk.dir->path() + "/catalog");
  const TimePoint now = w.clock.Now();
  CHECK(w.keeper.Step(now) == now + seconds(10));
  CHECK(w.disk.Failures("catalog") == 1);
  CHECK(w.disk.Logged("state cannot be kept on disk") == 1);
  w.clock.clock.Advance(seconds(10));
  w.keeper.Step(w.clock.Now());
  CHECK(w.OnDisk());
}

TEST_CASE("a run ends with a save, unless the disk is too slow for that") {
  ListedWorld w;
  w.keeper.Step(w.clock.Now());
  SECTION("in time") {
    w.Change();
    w.keeper.Finish(seconds(1));
    CHECK(w.OnDisk()->revision == 21);
  }
  SECTION("no time left") {
    w.clock.clock.Advance(seconds(2));
    w.clock.per_look = milliseconds(100);
    w.Change();
    w.keeper.Step(w.clock.clock.Now());
    w.Change();
    w.keeper.Finish(milliseconds(50));
    CHECK(w.OnDisk()->revision == 21);
  }
  SECTION("too slow") {
    w.clock.clock.Advance(seconds(2));
    w.clock.per_look = milliseconds(501);
    w.Change();
    w.keeper.Step(w.clock.clock.Now());
    w.Change();
    w.keeper.Finish(seconds(10));
    CHECK(w.OnDisk()->revision == 21);
  }
}

}  // namespace
}  // namespace rosterd
