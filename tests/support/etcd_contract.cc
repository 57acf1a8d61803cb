// SPDX-License-Identifier: Apache-2.0
#include "support/etcd_contract.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

#include "support/watch_run.h"

namespace rosterd::testing {
namespace {

using etcd::ErrorClass;
using etcd::GuardedWrite;
using etcd::KeyValue;
using etcd::WatchEvent;

constexpr milliseconds kTimeout{5000};

GuardedWrite Put(const std::string& key, const std::string& value, int64_t lease = 0,
                 int64_t expected = 0) {
  return {GuardedWrite::Kind::kPut, key, value, lease, expected};
}

GuardedWrite Delete(const std::string& key, int64_t expected) {
  return {GuardedWrite::Kind::kDelete, key, "", 0, expected};
}

etcd::WriteBatchAnswer MustWrite(const ContractTarget& t, const std::vector<GuardedWrite>& writes) {
  auto answer = t.client.Write(writes, kTimeout);
  if (!answer.ok()) FAIL(answer.error().Describe());
  REQUIRE(answer->answers.size() == writes.size());
  return *answer;
}

std::vector<KeyValue> MustList(const ContractTarget& t, const std::string& prefix) {
  auto answer = t.client.List(prefix, kTimeout);
  if (!answer.ok()) FAIL(answer.error().Describe());
  return answer->kvs;
}

std::vector<KeyValue> MustList(const ContractTarget& t) { return MustList(t, t.prefix); }

void MustGrant(const ContractTarget& t, int64_t lease, seconds ttl) {
  const auto answer = t.client.Grant(lease, ttl, kTimeout);
  if (!answer.ok()) FAIL(answer.error().Describe());
  REQUIRE(answer->lease == lease);
  REQUIRE(answer->ttl >= ttl);
}

int64_t MustPing(const ContractTarget& t) {
  const auto answer = t.client.Ping(kTimeout);
  if (!answer.ok()) FAIL(answer.error().Describe());
  return answer->revision;
}

bool Eventually(const ContractTarget& t, Duration limit, const std::function<bool()>& reached) {
  const milliseconds step(50);
  for (Duration passed{}; passed < limit; passed += step) {
    if (reached()) return true;
    t.pass_time(step);
  }
  return reached();
}

std::string Numbered(const std::string& prefix, int i) {
  std::string digits = std::to_string(i);
  return prefix + std::string(6 - digits.size(), '0') + digits;
}

// No revision is spread over two batches, and revisions never go back.
void CheckWholeRevisions(const std::vector<etcd::WatchBatch>& batches) {
  int64_t last = 0;
  for (const etcd::WatchBatch& batch : batches) {
    if (batch.events.empty()) continue;
    CHECK(batch.events.front().kv.mod_revision > last);
    for (const WatchEvent& event : batch.events) {
      CHECK(event.kv.mod_revision >= last);
      last = event.kv.mod_revision;
    }
    CHECK(batch.header.revision >= last);
  }
}

// --- Leases

void GrantTwice(const ContractTarget& t) {
  MustGrant(t, t.first_lease, seconds(60));
  const auto again = t.client.Grant(t.first_lease, seconds(60), kTimeout);
  REQUIRE_FALSE(again.ok());
  CHECK(again.error().error_class == ErrorClass::kLeaseExists);
  const auto kept = t.client.KeepAlive(t.first_lease, kTimeout);
  REQUIRE(kept.ok());
  CHECK(kept->ttl >= seconds(60));
}

void KeepAliveOfNoLease(const ContractTarget& t) {
  const auto answer = t.client.KeepAlive(t.first_lease, kTimeout);
  REQUIRE(answer.ok());
  CHECK(answer->ttl <= seconds(0));
}

void RevokeTakesKeysInOneRevision(const ContractTarget& t) {
  MustGrant(t, t.first_lease, seconds(60));
  const auto written =
      MustWrite(t, {Put(t.prefix + "a", "1", t.first_lease),
                    Put(t.prefix + "b", "2", t.first_lease), Put(t.prefix + "c", "3")});
  WatchRun watch(t.client, t.prefix, written.header.revision + 1);
  REQUIRE(watch.WaitForCreated());
  REQUIRE(t.client.Revoke(t.first_lease, kTimeout).ok());
  REQUIRE(watch.WaitForEvents(2));
  watch.Stop();
  const auto events = watch.Events();
  REQUIRE(events.size() == 2);
  CHECK(events[0].kind == WatchEvent::Kind::kDelete);
  CHECK(events[0].kv.mod_revision == written.header.revision + 1);
  CHECK(events[1].kv.mod_revision == written.header.revision + 1);
  REQUIRE(MustList(t).size() == 1);
  CHECK(MustList(t)[0].key == t.prefix + "c");
  const auto again = t.client.Revoke(t.first_lease, kTimeout);
  REQUIRE_FALSE(again.ok());
  CHECK(again.error().error_class == ErrorClass::kLeaseNotFound);
}

void LeaseLivesWhileRenewedAndExpiresAfter(const ContractTarget& t) {
  MustGrant(t, t.first_lease, seconds(2));
  MustWrite(t, {Put(t.prefix + "a", "1", t.first_lease), Put(t.prefix + "b", "2", t.first_lease)});
  for (int i = 0; i < 8; ++i) {
    t.pass_time(milliseconds(400));
    const auto kept = t.client.KeepAlive(t.first_lease, kTimeout);
    REQUIRE(kept.ok());
    REQUIRE(kept->ttl >= seconds(2));
  }
  REQUIRE(MustList(t).size() == 2);
  REQUIRE(Eventually(t, seconds(10), [&] { return MustList(t).empty(); }));
  const auto kept = t.client.KeepAlive(t.first_lease, kTimeout);
  REQUIRE(kept.ok());
  CHECK(kept->ttl <= seconds(0));
}

void KeyMovesBetweenLeases(const ContractTarget& t) {
  MustGrant(t, t.first_lease, seconds(60));
  MustGrant(t, t.first_lease + 1, seconds(60));
  const auto one = MustWrite(t, {Put(t.prefix + "moved", "1", t.first_lease),
                                 Put(t.prefix + "freed", "1", t.first_lease)});
  const int64_t revision = one.header.revision;
  MustWrite(t, {Put(t.prefix + "moved", "2", t.first_lease + 1, revision),
                Put(t.prefix + "freed", "2", 0, revision)});
  REQUIRE(t.client.Revoke(t.first_lease, kTimeout).ok());
  const auto kvs = MustList(t);
  REQUIRE(kvs.size() == 2);
  CHECK(kvs[0].lease == 0);
  CHECK(kvs[1].lease == t.first_lease + 1);
  REQUIRE(t.client.Revoke(t.first_lease + 1, kTimeout).ok());
  REQUIRE(MustList(t).size() == 1);
}

// --- Guarded writes

void CreateOnlyWhereNothingStands(const ContractTarget& t) {
  const auto first = MustWrite(t, {Put(t.prefix + "k", "mine")});
  REQUIRE(first.answers[0].done);
  CHECK_FALSE(first.answers[0].current.has_value());
  const auto second = MustWrite(t, {Put(t.prefix + "k", "other")});
  REQUIRE_FALSE(second.answers[0].done);
  REQUIRE(second.answers[0].current.has_value());
  CHECK(second.answers[0].current->key == t.prefix + "k");
  CHECK(second.answers[0].current->value == "mine");
  CHECK(second.answers[0].current->mod_revision == first.header.revision);
  CHECK(second.answers[0].current->create_revision == first.header.revision);
  CHECK(second.answers[0].current->version == 1);
  CHECK(second.header.revision == first.header.revision);
}

void ChangeAndDeleteOnlyWhatWasSeen(const ContractTarget& t) {
  const std::string key = t.prefix + "k";
  const int64_t created = MustWrite(t, {Put(key, "1")}).header.revision;
  const int64_t changed = MustWrite(t, {Put(key, "2", 0, created)}).header.revision;
  CHECK(changed == created + 1);
  const auto stale = MustWrite(t, {Put(key, "3", 0, created)});
  CHECK_FALSE(stale.answers[0].done);
  CHECK(stale.answers[0].current->value == "2");
  CHECK(stale.answers[0].current->version == 2);
  const auto stale_delete = MustWrite(t, {Delete(key, created)});
  CHECK_FALSE(stale_delete.answers[0].done);
  CHECK(stale_delete.answers[0].current->mod_revision == changed);
  const auto deleted = MustWrite(t, {Delete(key, changed)});
  CHECK(deleted.answers[0].done);
  CHECK(deleted.header.revision == changed + 1);
  CHECK(MustList(t).empty());
  const auto gone = MustWrite(t, {Put(key, "4", 0, changed), Delete(t.prefix + "never", 5)});
  CHECK_FALSE(gone.answers[0].done);
  CHECK_FALSE(gone.answers[0].current.has_value());
  CHECK_FALSE(gone.answers[1].done);
  CHECK_FALSE(gone.answers[1].current.has_value());
}

void OneConflictCostsOnlyItself(const ContractTarget& t) {
  std::vector<GuardedWrite> foreign;
  for (int i = 0; i < 100; i += 3) foreign.push_back(Put(Numbered(t.prefix, i), "foreign"));
  const int64_t before = MustWrite(t, foreign).header.revision;
  std::vector<GuardedWrite> writes;
  for (int i = 0; i < 100; ++i) writes.push_back(Put(Numbered(t.prefix, i), "mine"));
  const auto answer = MustWrite(t, writes);
  CHECK(answer.header.revision == before + 1);
  for (int i = 0; i < 100; ++i) {
    const auto& one = answer.answers[static_cast<size_t>(i)];
    INFO("write " << i);
    REQUIRE(one.done == (i % 3 != 0));
    if (!one.done) CHECK(one.current->value == "foreign");
  }
  for (const KeyValue& kv : MustList(t)) {
    CHECK(kv.mod_revision == (kv.value == "mine" ? before + 1 : before));
  }
}

void MissingLeaseRefusesTheBatch(const ContractTarget& t) {
  MustWrite(t, {Put(t.prefix + "taken", "foreign")});
  const auto answer =
      t.client.Write({Put(t.prefix + "a", "1"), Put(t.prefix + "b", "2", t.first_lease)}, kTimeout);
  REQUIRE_FALSE(answer.ok());
  CHECK(answer.error().error_class == ErrorClass::kLeaseNotFound);
  CHECK(MustList(t).size() == 1);
  // A write whose guard fails does not look at its lease.
  const auto guarded = MustWrite(t, {Put(t.prefix + "taken", "2", t.first_lease)});
  CHECK_FALSE(guarded.answers[0].done);
}

void MalformedBatches(const ContractTarget& t) {
  const auto twice = t.client.Write({Put(t.prefix + "a", "1"), Put(t.prefix + "a", "2")}, kTimeout);
  REQUIRE_FALSE(twice.ok());
  CHECK(twice.error().error_class == ErrorClass::kInvalid);
  std::vector<GuardedWrite> many;
  for (int i = 0; i < 101; ++i) many.push_back(Put(Numbered(t.prefix, i), "x"));
  const auto too_many = t.client.Write(many, kTimeout);
  REQUIRE_FALSE(too_many.ok());
  CHECK(too_many.error().error_class == ErrorClass::kInvalid);
  const auto no_key = t.client.Write({Put("", "1")}, kTimeout);
  REQUIRE_FALSE(no_key.ok());
  CHECK(no_key.error().error_class == ErrorClass::kInvalid);
  CHECK(MustList(t).empty());
  const int64_t before = MustPing(t);
  CHECK(MustWrite(t, {}).header.revision == before);
}

// --- Lists

void ListOfManyPages(const ContractTarget& t) {
  constexpr int kKeys = 4300;
  int64_t last = 0;
  for (int i = 0; i < kKeys; i += 100) {
    std::vector<GuardedWrite> writes;
    for (int k = i; k < std::min(i + 100, kKeys); ++k) {
      writes.push_back(Put(Numbered(t.prefix, k), std::to_string(k)));
    }
    last = MustWrite(t, writes).header.revision;
  }
  const auto list = t.client.List(t.prefix, kTimeout);
  REQUIRE(list.ok());
  CHECK(list->header.revision == last);
  REQUIRE(list->kvs.size() == kKeys);
  for (int i = 0; i < kKeys; ++i) {
    const KeyValue& kv = list->kvs[static_cast<size_t>(i)];
    if (kv.key != Numbered(t.prefix, i) || kv.value != std::to_string(i)) FAIL("at " << i);
  }
}

void ListKeepsToItsPrefix(const ContractTarget& t) {
  MustWrite(t, {Put(t.prefix + "a/1", "in"), Put(t.prefix + "a0", "out"),
                Put(t.prefix + "a", "out"), Put(t.prefix + "b/1", "out")});
  const auto kvs = MustList(t, t.prefix + "a/");
  REQUIRE(kvs.size() == 1);
  CHECK(kvs[0].value == "in");
  CHECK(MustList(t, t.prefix + "nothing/").empty());
}

void BinaryKeysAndValues(const ContractTarget& t) {
  const std::string high = t.prefix + "\xff\xff";
  const std::string zero = t.prefix + std::string("\0x", 2);
  std::string every;
  for (int c = 0; c < 256; ++c) every += static_cast<char>(c);
  const auto written = MustWrite(t, {Put(high, every), Put(zero, ""), Put(high + "more", "m")});
  const auto kvs = MustList(t);
  REQUIRE(kvs.size() == 3);
  CHECK(kvs[0].key == zero);
  CHECK(kvs[0].value.empty());
  CHECK(kvs[1].key == high);
  CHECK(kvs[1].value == every);
  CHECK(MustList(t, high).size() == 2);
  WatchRun watch(t.client, high, written.header.revision);
  REQUIRE(watch.WaitForEvents(2));
  watch.Stop();
  for (const WatchEvent& event : watch.Events()) CHECK(event.kv.key.starts_with(high));
}

void PingAgreesWithList(const ContractTarget& t) {
  const auto ping = t.client.Ping(kTimeout);
  REQUIRE(ping.ok());
  const auto list = t.client.List(t.prefix, kTimeout);
  REQUIRE(list.ok());
  CHECK(ping->revision == list->header.revision);
  CHECK(ping->cluster_id != 0);
  CHECK(ping->cluster_id == list->header.cluster_id);
  CHECK(ping->member_id == list->header.member_id);
}

// --- Watches

void WatchFromTheListOn(const ContractTarget& t) {
  MustWrite(t, {Put(t.prefix + "old", "0")});
  const auto list = t.client.List(t.prefix, kTimeout);
  REQUIRE(list.ok());
  WatchRun watch(t.client, t.prefix, list->header.revision + 1);
  REQUIRE(watch.WaitForCreated());
  CHECK(watch.Batches()[0].header.revision >= list->header.revision);
  CHECK(watch.Batches()[0].events.empty());
  std::vector<GuardedWrite> writes;
  for (int i = 0; i < 100; ++i) writes.push_back(Put(Numbered(t.prefix, i), "v"));
  const auto written = MustWrite(t, writes);
  MustWrite(t, {Put(t.prefix + "last", "v")});
  REQUIRE(watch.WaitForEvents(101));
  CHECK(watch.Stop().error_class == ErrorClass::kCancelled);
  const auto events = watch.Events();
  REQUIRE(events.size() == 101);
  for (size_t i = 0; i < 100; ++i) {
    CHECK(events[i].kind == WatchEvent::Kind::kPut);
    CHECK(events[i].kv.mod_revision == written.header.revision);
    CHECK(events[i].kv.value == "v");
  }
  CheckWholeRevisions(watch.Batches());
}

void WatchReplaysHistory(const ContractTarget& t) {
  const int64_t first = MustWrite(t, {Put(t.prefix + "k", "1")}).header.revision;
  const int64_t second = MustWrite(t, {Put(t.prefix + "k", "2", 0, first)}).header.revision;
  const int64_t third = MustWrite(t, {Delete(t.prefix + "k", second)}).header.revision;
  WatchRun watch(t.client, t.prefix, second);
  REQUIRE(watch.WaitForEvents(2));
  watch.Stop();
  const auto events = watch.Events();
  REQUIRE(events.size() == 2);
  CHECK(events[0].kv.value == "2");
  CHECK(events[0].kv.create_revision == first);
  CHECK(events[1].kind == WatchEvent::Kind::kDelete);
  CHECK(events[1].kv.key == t.prefix + "k");
  CHECK(events[1].kv.mod_revision == third);
  CHECK(events[1].kv.create_revision == 0);
  CHECK(events[1].kv.lease == 0);
  CHECK(events[1].kv.value.empty());
  CheckWholeRevisions(watch.Batches());
}

void WatchOfCompactedHistory(const ContractTarget& t) {
  const std::string key = t.prefix + "k";
  const int64_t first = MustWrite(t, {Put(key, "1")}).header.revision;
  const int64_t second = MustWrite(t, {Put(key, "2", 0, first)}).header.revision;
  const int64_t third = MustWrite(t, {Put(key, "3", 0, second)}).header.revision;
  t.compact(third);
  WatchRun watch(t.client, t.prefix, first);
  const etcd::Error end = watch.End();
  CHECK(end.error_class == ErrorClass::kCompacted);
  CHECK(end.compact_revision == third);
  CHECK(watch.Events().empty());
  WatchRun later(t.client, t.prefix, third);
  CHECK(later.WaitForEvents(1));
  CHECK(later.Stop().error_class == ErrorClass::kCancelled);
}

void WatchStopsAtOnce(const ContractTarget& t) {
  // The quickest of several: a busy machine may delay one.
  Duration quickest = seconds(60);
  for (int i = 0; i < 5; ++i) {
    WatchRun watch(t.client, t.prefix, MustPing(t) + 1);
    REQUIRE(watch.WaitForCreated());
    const TimePoint asked = BootClock::now();
    CHECK(watch.Stop().error_class == ErrorClass::kCancelled);
    quickest = std::min(quickest, BootClock::now() - asked);
  }
  CHECK(quickest < milliseconds(100));

  std::stop_source stopped;
  stopped.request_stop();
  const etcd::Error end = t.client.Watch(t.prefix, MustPing(t) + 1, kTimeout, stopped.get_token(),
                                         [](const etcd::WatchBatch&) { return true; });
  CHECK(end.error_class == ErrorClass::kCancelled);

  int batches = 0;
  const etcd::Error enough =
      t.client.Watch(t.prefix, MustPing(t) + 1, kTimeout, {}, [&](const etcd::WatchBatch&) {
        ++batches;
        return false;
      });
  CHECK(enough.error_class == ErrorClass::kCancelled);
  CHECK(batches == 1);
}

}  // namespace

std::vector<ContractCase> EtcdContract() {
  return {
      {"a lease is granted once", GrantTwice},
      {"renewing no lease answers a TTL of 0", KeepAliveOfNoLease},
      {"revoking takes a lease's keys in one revision", RevokeTakesKeysInOneRevision},
      {"a lease lives while it is renewed and its keys go after",
       LeaseLivesWhileRenewedAndExpiresAfter},
      {"a key moves from one lease to another and to none", KeyMovesBetweenLeases},
      {"a key is created only where nothing stands", CreateOnlyWhereNothingStands},
      {"a key is changed and deleted only as it was seen", ChangeAndDeleteOnlyWhatWasSeen},
      {"in a batch of 100 a conflict costs only itself", OneConflictCostsOnlyItself},
      {"a missing lease refuses the batch and writes nothing", MissingLeaseRefusesTheBatch},
      {"malformed batches are refused, an empty one is not", MalformedBatches},
      {"a list of many pages is whole, sorted and of one revision", ListOfManyPages},
      {"a list keeps to its prefix", ListKeepsToItsPrefix},
      {"keys and values may hold any bytes", BinaryKeysAndValues},
      {"a ping tells the revision that a list tells", PingAgreesWithList},
      {"a watch from the list on sees every change in whole revisions", WatchFromTheListOn},
      {"a watch replays history and a delete carries key and revision", WatchReplaysHistory},
      {"a watch of compacted history says so and from where to go on", WatchOfCompactedHistory},
      {"a watch stops at once", WatchStopsAtOnce},
  };
}

}  // namespace rosterd::testing
