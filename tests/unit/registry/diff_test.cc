// SPDX-License-Identifier: Apache-2.0
#include "registry/diff.h"

#include <catch2/catch.hpp>

namespace rosterd {
namespace {

using Want = DesiredKey::Want;
using Kind = etcd::GuardedWrite::Kind;

constexpr int64_t kOurs = 10;
constexpr int64_t kPredecessors = 9;
constexpr int64_t kForeign = 66;

LeaseView Leases() {
  return {kOurs, [](int64_t lease) { return lease == kPredecessors; }};
}

DesiredKey Wanted(Want want) { return {want, "/services/a/a-1", "value", 1}; }

ActualKey Standing(int64_t lease, uint64_t hash = 1) {
  return {42, lease, hash, std::make_shared<Instance>()};
}

etcd::GuardedWrite OnlyWrite(const DesiredKey& desired, std::optional<ActualKey> actual) {
  const Plan plan = Diff({{desired, std::move(actual)}}, Leases());
  REQUIRE(plan.writes.size() == 1);
  return plan.writes[0];
}

Verdict OnlyVerdict(Want want, std::optional<ActualKey> actual) {
  const Plan plan = Diff({{Wanted(want), std::move(actual)}}, Leases());
  const bool writes = plan.verdicts[0] != Verdict::kRight && plan.verdicts[0] != Verdict::kConflict;
  CHECK(plan.writes.size() == (writes ? 1 : 0));
  return plan.verdicts[0];
}

TEST_CASE("what is absent is created, guarded by its absence") {
  const auto write = OnlyWrite(Wanted(Want::kPut), std::nullopt);
  CHECK(write.kind == Kind::kPut);
  CHECK(write.key == "/services/a/a-1");
  CHECK(write.value == "value");
  CHECK(write.lease == kOurs);
  CHECK(write.expected_mod_revision == 0);
}

TEST_CASE("what is right is left alone") {
  CHECK(OnlyVerdict(Want::kPut, Standing(kOurs)) == Verdict::kRight);
}

TEST_CASE("ours or nobody's with a wrong value or lease is replaced, guarded by its revision") {
  ActualKey garbage{42, 0, 5, nullptr};
  for (const ActualKey& actual :
       {Standing(kOurs, 2), Standing(kPredecessors), Standing(0), Standing(0, 2), garbage}) {
    const auto write = OnlyWrite(Wanted(Want::kPut), actual);
    CHECK(write.kind == Kind::kPut);
    CHECK(write.lease == kOurs);
    CHECK(write.expected_mod_revision == 42);
  }
}

TEST_CASE("a foreign live lease is a conflict and nothing is written") {
  CHECK(OnlyVerdict(Want::kPut, Standing(kForeign)) == Verdict::kConflict);
  CHECK(OnlyVerdict(Want::kPut, Standing(kForeign, 2)) == Verdict::kConflict);
  CHECK(OnlyVerdict(Want::kPut, ActualKey{42, kForeign, 5, nullptr}) == Verdict::kConflict);
}

TEST_CASE("what is ours and wanted no more is deleted, guarded by its revision") {
  for (const int64_t lease : {kOurs, kPredecessors}) {
    const auto write = OnlyWrite(Wanted(Want::kGone), Standing(lease));
    CHECK(write.kind == Kind::kDelete);
    CHECK(write.expected_mod_revision == 42);
  }
  CHECK(OnlyVerdict(Want::kGone, std::nullopt) == Verdict::kRight);
  CHECK(OnlyVerdict(Want::kGone, Standing(kForeign)) == Verdict::kRight);
  CHECK(OnlyVerdict(Want::kGone, Standing(0)) == Verdict::kRight);
}

TEST_CASE("what is undecided stays as it is") {
  CHECK(OnlyVerdict(Want::kKeep, Standing(kOurs, 2)) == Verdict::kRight);
  CHECK(OnlyVerdict(Want::kKeep, std::nullopt) == Verdict::kRight);
}

TEST_CASE("a batch holds at most 100 operations and about one megabyte") {
  std::vector<etcd::GuardedWrite> writes(250);
  for (auto& write : writes) write.key = "/services/a/a-1";
  CHECK(BatchLength(writes) == 100);
  CHECK(BatchLength(writes, 200) == 50);
  CHECK(BatchLength(writes, 0, 7) == 7);
  CHECK(BatchLength({}) == 0);

  for (auto& write : writes) write.value.assign(100'000, 'x');
  CHECK(BatchLength(writes) == 9);
  writes[0].value.assign(2'000'000, 'x');  // etcd will refuse it, the others must not wait for it
  CHECK(BatchLength(writes) == 1);
}

}  // namespace
}  // namespace rosterd
