// SPDX-License-Identifier: Apache-2.0
// Diff: what ought to stand under a key against what stands there, and the guarded write that makes
// the second the first. Every write names the revision it was planned against, so a stale plan or a
// late duplicate does nothing. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "etcd/client.h"
#include "model/instance.h"

namespace rosterd {

// etcd refuses requests above 1.5 MiB.
inline constexpr size_t kMaxBatchBytes = 1'000'000;

// What stands under a key.
struct ActualKey {
  int64_t mod_revision = 0;
  int64_t lease = 0;
  uint64_t value_hash = 0;
  std::shared_ptr<const Instance> instance;  // null: the value cannot be read
};

struct DesiredKey {
  enum class Want {
    kPut,   // this value, under our lease
    kKeep,  // undecided: what is ours stays as it is, nothing is made
    kGone,  // nothing of ours
  };
  Want want = Want::kGone;
  std::string_view key;
  std::string_view value;   // kPut
  uint64_t value_hash = 0;  // kPut
};

// Whose keys are ours.
struct LeaseView {
  int64_t current = 0;                          // 0: none, nothing can be put
  std::function<bool(int64_t lease)> was_ours;  // our earlier leases and an adopted predecessor's
};

enum class Verdict {
  kRight,     // nothing to do
  kCreate,    // there is none
  kReplace,   // ours or nobody's, with a wrong value or lease
  kDelete,    // ours, and wanted no more
  kConflict,  // another agent's live lease holds it: hands off
};

// `actual`: null when there is no such key.
Verdict Judge(const DesiredKey& desired, const ActualKey* actual, const LeaseView& leases);

// The write for kCreate, kReplace or kDelete.
etcd::GuardedWrite MakeWrite(Verdict verdict, const DesiredKey& desired, const ActualKey* actual,
                             int64_t lease);

struct PlannedKey {
  DesiredKey desired;
  std::optional<ActualKey> actual;
};

// All verdicts at once, in order; those that need a write are in `writes`.
struct Plan {
  std::vector<Verdict> verdicts;
  std::vector<etcd::GuardedWrite> writes;
};
Plan Diff(const std::vector<PlannedKey>& keys, const LeaseView& leases);

// How many of `writes`, from `first` on, fit into one transaction: at most `max_ops` and
// kMaxBatchBytes, but at least one when there is one.
size_t BatchLength(const std::vector<etcd::GuardedWrite>& writes, size_t first = 0,
                   size_t max_ops = etcd::kMaxTxnOps);

}  // namespace rosterd
