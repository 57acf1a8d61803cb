// SPDX-License-Identifier: Apache-2.0
// The fake passes the contract of etcd::Client, and its extras do what they say.
#include "support/fake_etcd.h"

#include <catch2/catch.hpp>

#include "support/etcd_contract.h"
#include "support/watch_run.h"

namespace rosterd::testing {
namespace {

using etcd::ErrorClass;

constexpr milliseconds kTimeout{1000};

TEST_CASE("the fake keeps the contract") {
  for (const ContractCase& one : EtcdContract()) {
    DYNAMIC_SECTION(one.name) {
      FakeClock clock;
      FakeEtcd etcd(clock);
      one.run({.client = etcd,
               .prefix = "/contract/",
               .pass_time = [&](Duration d) { etcd.Advance(d); },
               .compact = [&](int64_t revision) { etcd.Compact(revision); },
               .first_lease = 100});
    }
  }
}

TEST_CASE("failures are used up in order, per kind of call") {
  FakeClock clock;
  FakeEtcd etcd(clock);
  etcd.FailNext(EtcdCall::kPing, MakeError(ErrorClass::kTimeout));
  etcd.FailAll(EtcdCall::kPing, MakeError(ErrorClass::kNoSpace));
  CHECK(etcd.Ping(kTimeout).error().error_class == ErrorClass::kTimeout);
  CHECK(etcd.Ping(kTimeout).error().error_class == ErrorClass::kNoSpace);
  CHECK(etcd.List("", kTimeout).ok());
  etcd.FailAll(std::nullopt);
  CHECK(etcd.Ping(kTimeout).ok());
  CHECK(etcd.CallCount(EtcdCall::kPing) == 3);
  CHECK(etcd.CallCount() == 4);
}

TEST_CASE("an answer can be lost after the effect") {
  FakeClock clock;
  FakeEtcd etcd(clock);
  etcd.FailNextAfterEffect(EtcdCall::kGrant, MakeError(ErrorClass::kTimeout));
  CHECK_FALSE(etcd.Grant(7, seconds(10), kTimeout).ok());
  CHECK(etcd.LeaseExists(7));
  CHECK(etcd.Grant(7, seconds(10), kTimeout).error().error_class == ErrorClass::kLeaseExists);
}

TEST_CASE("a lease ends when its time is over, in one revision for all its keys") {
  FakeClock clock;
  FakeEtcd etcd(clock);
  REQUIRE(etcd.Grant(7, seconds(10), kTimeout).ok());
  const int64_t put = etcd.PutAll({{"a", "1"}, {"b", "2"}}, 7);
  CHECK(etcd.LeaseKeys(7) == std::set<std::string>{"a", "b"});
  etcd.Advance(seconds(9));
  CHECK(etcd.LeaseExists(7));
  etcd.Advance(seconds(1));
  CHECK_FALSE(etcd.LeaseExists(7));
  CHECK(etcd.Values().empty());
  CHECK(etcd.revision() == put + 1);
}

TEST_CASE("open watches can be broken, and a replaced cluster breaks them") {
  FakeClock clock;
  FakeEtcd etcd(clock);
  WatchRun first(etcd, "", 1);
  REQUIRE(etcd.WaitForWatches(1));
  etcd.BreakWatches(MakeError(ErrorClass::kUnavailable, "cut"));
  CHECK(first.End().text == "cut");
  WatchRun second(etcd, "", 1);
  REQUIRE(etcd.WaitForWatches(1));
  const uint64_t cluster = etcd.Ping(kTimeout)->cluster_id;
  etcd.Put("a", "1");
  etcd.ReplaceCluster();
  CHECK(second.End().connection_is_bad());
  CHECK(etcd.revision() == 1);
  CHECK(etcd.Ping(kTimeout)->cluster_id != cluster);
}

TEST_CASE("progress reaches open watches as an empty batch") {
  FakeClock clock;
  FakeEtcd etcd(clock);
  WatchRun watch(etcd, "/a/", 2);
  REQUIRE(etcd.WaitForWatches(1));
  etcd.Put("/elsewhere", "1");
  etcd.NotifyProgress();
  REQUIRE(etcd.WaitForWatches(1));
  watch.Stop();
  const auto batches = watch.Batches();
  REQUIRE(batches.size() == 2);
  CHECK(batches[1].events.empty());
  CHECK(batches[1].header.revision == 2);
}

}  // namespace
}  // namespace rosterd::testing
