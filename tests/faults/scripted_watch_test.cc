// SPDX-License-Identifier: Apache-2.0
// What etcd's watch does rarely, against the real client, session and watcher.
#include <catch2/catch.hpp>

#include "scripted_watch_world.h"

namespace rosterd::testing {
namespace {

TEST_CASE("a watch created and cancelled at once is opened again, though its stream stays open") {
  const std::string reason = GENERATE(
      std::string("rpc error: code = Unauthenticated desc = etcdserver: invalid auth token"),
      std::string());
  WatchWorld world;
  world.etcd().Next(ScriptedCall::kWatch, WatchDeed(Deed::Watch::kCreatedAndCancelled, reason));
  world.Start();
  INFO(reason);
  CHECK(world.Shows());
  world.store->Delete(KeyOf("api", 1));
  CHECK(world.Shows());
  CHECK(world.Count(ScriptedCall::kRange) == 1);
}

TEST_CASE("a watch cancelled later is opened again where it stood, though its stream stays open") {
  WatchWorld world;
  world.etcd().Next(ScriptedCall::kWatch, WatchDeed(Deed::Watch::kCancelledLater));
  world.Start();
  REQUIRE(world.Shows());
  const int64_t told = world.store->Put(KeyOf("api", 7), kValue);
  REQUIRE(world.agent->Within(seconds(1),
                              [&] { return world.agent->catalog()->etcd_revision() == told; }));
  world.store->Put(KeyOf("api", 8), kValue);
  CHECK(world.Shows());
  CHECK(world.LastStart() == told + 1);
  CHECK(world.Count(ScriptedCall::kRange) == 1);
}

TEST_CASE("a member that lags behind what is known costs no entry and no revision") {
  WatchWorld world(2);
  world.Start();
  REQUIRE(world.Shows());
  const auto before = world.agent->catalog();
  for (const auto& etcd : world.etcds) {
    etcd->Next(ScriptedCall::kWatch, WatchDeed(Deed::Watch::kBehind));
    etcd->DropWatches();
  }
  world.store->Delete(KeyOf("api", 0));
  CHECK(world.Shows());
  CHECK(world.agent->catalog()->revision() >= before->revision());
}

TEST_CASE("what was compacted while the watch was away is listed; deletions are published") {
  WatchWorld world;
  world.Start();
  REQUIRE(world.Shows());
  const auto before = world.agent->catalog();
  Deed mute = WatchDeed(Deed::Watch::kDropped);
  mute.before = milliseconds(300);
  mute.refuse = ScriptedStatus{14, "etcdserver: server stopped"};
  world.etcd().Next(ScriptedCall::kWatch, mute);
  world.etcd().DropWatches();
  REQUIRE(world.agent->Within(seconds(1), [&] { return world.etcd().OpenWatches() == 0; }));
  world.store->Delete(KeyOf("api", 1));
  world.store->Put(KeyOf("web", 0), kValue);
  world.store->Compact(world.store->revision());
  // Its cancellation carries header.revision 0, which must not become what is known.
  CHECK(world.Shows());
  CHECK(world.agent->catalog()->Find("api")->served() == 2);
  CHECK(world.agent->catalog()->etcd_revision() == world.store->revision());
  CHECK(world.agent->catalog()->revision() > before->revision());
}

TEST_CASE("headers without a revision take nothing back") {
  WatchWorld world;
  Deed zero;
  zero.revision_zero = true;
  zero.progress = true;
  world.etcd().Next(ScriptedCall::kWatch, zero);
  world.etcd().Next(ScriptedCall::kPing, zero);
  world.etcd().Next(ScriptedCall::kGrant, zero);
  world.etcd().Next(ScriptedCall::kKeepAlive, zero);
  world.Start();
  world.agent->Offer({{"api", HealthStatus::kPassing}});
  CHECK(world.Shows());
  CHECK(world.agent->Within(seconds(2),
                            [&] { return world.agent->Registered(*world.store, {"api"}); }));
  world.etcd().Next(ScriptedCall::kWatch, zero);
  world.etcd().DropWatches();
  world.store->Delete(KeyOf("api", 1));
  CHECK(world.Shows());
}

TEST_CASE("an answer in fragments that split a revision is applied whole") {
  WatchWorld world;
  Deed pieces;
  pieces.fragment = 3;
  world.etcd().Next(ScriptedCall::kWatch, pieces);
  world.Start();
  REQUIRE(world.Shows());
  std::map<std::string, std::string> many;
  for (int i = 0; i < 50; ++i) many[KeyOf("api", 100 + i)] = kValue;
  world.store->PutAll(many);
  CHECK(world.Shows());
  std::set<size_t> seen;
  for (const auto& catalog : world.agent->Published()) seen.insert(catalog->instances());
  CHECK(seen == std::set<size_t>{3, 53});
}

TEST_CASE("a stream that breaks inside a fragmented answer loses nothing and shows no half") {
  WatchWorld world;
  Deed pieces = WatchDeed(Deed::Watch::kDroppedInside);
  pieces.fragment = 3;
  world.etcd().Next(ScriptedCall::kWatch, pieces);
  world.Start();
  REQUIRE(world.Shows());
  const int64_t known = world.agent->catalog()->etcd_revision();
  std::map<std::string, std::string> many;
  for (int i = 0; i < 50; ++i) many[KeyOf("api", 100 + i)] = kValue;
  world.store->PutAll(many);
  CHECK(world.Shows());
  CHECK(world.LastStart() == known + 1);
  CHECK(world.Count(ScriptedCall::kRange) == 1);
  std::set<size_t> seen;
  for (const auto& catalog : world.agent->Published()) seen.insert(catalog->instances());
  CHECK(seen == std::set<size_t>{3, 53});
}

TEST_CASE("a stream reset without a status is resumed where it stood, without a list") {
  WatchWorld world;
  world.Start();
  REQUIRE(world.Shows());
  for (int i = 0; i < 3; ++i) {
    const int64_t known = world.agent->catalog()->etcd_revision();
    world.etcd().DropWatches();
    REQUIRE(world.agent->Within(seconds(1), [&] { return !world.agent->catalog()->watch_open(); }));
    world.store->Put(KeyOf("api", 20 + i), kValue);
    CHECK(world.Shows());
    CHECK(world.LastStart() == known + 1);
  }
  CHECK(world.Count(ScriptedCall::kRange) == 1);
}

TEST_CASE("a progress notification moves the place to resume at past other people's keys") {
  WatchWorld world;
  Deed progress;
  progress.progress = true;
  world.etcd().Next(ScriptedCall::kWatch, progress);
  world.Start();
  REQUIRE(world.Shows());
  int64_t elsewhere = 0;
  for (int i = 0; i < 10; ++i) elsewhere = world.store->Put("/elsewhere", std::to_string(i));
  REQUIRE(world.agent->Within(
      seconds(2), [&] { return world.agent->catalog()->etcd_revision() == elsewhere; }));
  world.store->Compact(elsewhere);
  world.etcd().DropWatches();
  world.store->Put(KeyOf("api", 9), kValue);
  CHECK(world.Shows());
  CHECK(world.LastStart() == elsewhere + 1);
  CHECK(world.Count(ScriptedCall::kRange) == 1);
}

TEST_CASE("the header of an answer may be ahead of its events: resumed behind the events") {
  WatchWorld world;
  world.Start();
  REQUIRE(world.Shows());
  Deed away;
  away.before = milliseconds(200);
  away.refuse = ScriptedStatus{14, "etcdserver: server stopped"};
  world.etcd().Next(ScriptedCall::kWatch, away);
  Deed ahead = WatchDeed(Deed::Watch::kDropped);
  ahead.header_ahead = true;
  world.etcd().Next(ScriptedCall::kWatch, ahead);
  world.etcd().DropWatches();
  REQUIRE(world.agent->Within(seconds(1), [&] { return !world.agent->catalog()->watch_open(); }));
  const int64_t first = world.store->Put(KeyOf("api", 5), kValue);
  for (int i = 0; i < 5; ++i) world.store->Put(KeyOf("api", 10 + i), kValue);
  CHECK(world.agent->Within(seconds(3), [&] { return world.Count(ScriptedCall::kWatch) == 4; }));
  CHECK(world.Shows());
  CHECK(world.LastStart() == first + 1);
  CHECK(world.Count(ScriptedCall::kRange) == 1);
}

TEST_CASE("events that a member tells twice change nothing") {
  WatchWorld world;
  Deed twice;
  twice.repeats = true;
  world.etcd().Next(ScriptedCall::kWatch, twice);
  world.Start();
  REQUIRE(world.Shows());
  for (int i = 0; i < 4; ++i) {
    world.store->Put(KeyOf("api", 10), kValue + std::to_string(i));
    world.store->Delete(KeyOf("api", 10));
    world.store->Put(KeyOf("api", 11), kValue);
    CHECK(world.Shows());
  }
}

TEST_CASE("no answer to the creation of a watch costs one time-out and the endpoint") {
  WatchWorld world(2);
  world.Start();
  REQUIRE(world.Shows());
  const std::string first = world.agent->session()->endpoint;
  ScriptedEtcd& active = *world.etcds[first == world.endpoints[0] ? 0 : 1];
  ScriptedEtcd& other = *world.etcds[first == world.endpoints[0] ? 1 : 0];
  active.SetScript([](ScriptedCall call) {
    return call == ScriptedCall::kWatch ? WatchDeed(Deed::Watch::kMute) : Deed();
  });
  // The reset costs the connection already: the next one must not be answered either.
  other.Next(ScriptedCall::kWatch, WatchDeed(Deed::Watch::kMute));
  active.DropWatches();
  REQUIRE(world.agent->Within(seconds(1), [&] { return !world.agent->catalog()->watch_open(); }));
  world.store->Put(KeyOf("api", 9), kValue);
  CHECK(world.Shows(seconds(6)));
  CHECK(world.agent->session()->endpoint == other.endpoint());
  active.SetScript(nullptr);
}

TEST_CASE("a watch that stays silent while etcd moves on is noticed within 8 s") {
  WatchWorld world;
  world.etcd().Next(ScriptedCall::kWatch, WatchDeed(Deed::Watch::kSilent));
  world.Start();
  REQUIRE(world.Shows());
  world.store->Delete(KeyOf("api", 1));
  CHECK(world.Shows(seconds(8)));
}

TEST_CASE("a list in pages is read again smaller when a page is larger than can be received") {
  WatchWorld world;
  Deed large;
  large.refuse = ScriptedStatus{8, "Received message larger than max (70000000 vs. 67108864)"};
  world.etcd().Next(ScriptedCall::kRange, large);
  world.Start();
  CHECK(world.Shows());
  CHECK(world.agent->session()->generation == 1);
  std::vector<size_t> limits;
  for (const auto& record : world.etcd().Calls()) {
    if (record.call == ScriptedCall::kRange) limits.push_back(record.limit);
  }
  CHECK(limits == std::vector<size_t>{2000, 250});
}

}  // namespace
}  // namespace rosterd::testing
