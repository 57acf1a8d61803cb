// SPDX-License-Identifier: Apache-2.0
#include "registry/diff.h"

#include <algorithm>

namespace rosterd {

Verdict Judge(const DesiredKey& desired, const ActualKey* actual, const LeaseView& leases) {
  using Want = DesiredKey::Want;
  if (actual == nullptr) return desired.want == Want::kPut ? Verdict::kCreate : Verdict::kRight;
  const bool under_ours =
      actual->lease != 0 &&
      (actual->lease == leases.current || (leases.was_ours && leases.was_ours(actual->lease)));
  switch (desired.want) {
    case Want::kKeep:
      return Verdict::kRight;
    case Want::kGone:
      return under_ours ? Verdict::kDelete : Verdict::kRight;
    case Want::kPut:
      break;
  }
  // Without a lease it is nobody's: whoever wrote it will not keep it alive.
  if (!under_ours && actual->lease != 0) return Verdict::kConflict;
  return actual->lease == leases.current && actual->value_hash == desired.value_hash
             ? Verdict::kRight
             : Verdict::kReplace;
}

etcd::GuardedWrite MakeWrite(Verdict verdict, const DesiredKey& desired, const ActualKey* actual,
                             int64_t lease) {
  etcd::GuardedWrite write;
  write.key = std::string(desired.key);
  write.expected_mod_revision = actual == nullptr ? 0 : actual->mod_revision;
  if (verdict == Verdict::kDelete) {
    write.kind = etcd::GuardedWrite::Kind::kDelete;
  } else {
    write.value = std::string(desired.value);
    write.lease = lease;
  }
  return write;
}

Plan Diff(const std::vector<PlannedKey>& keys, const LeaseView& leases) {
  Plan plan;
  plan.verdicts.reserve(keys.size());
  for (const PlannedKey& key : keys) {
    const ActualKey* actual = key.actual ? &*key.actual : nullptr;
    const Verdict verdict = Judge(key.desired, actual, leases);
    plan.verdicts.push_back(verdict);
    if (verdict == Verdict::kRight || verdict == Verdict::kConflict) continue;
    plan.writes.push_back(MakeWrite(verdict, key.desired, actual, leases.current));
  }
  return plan;
}

size_t BatchLength(const std::vector<etcd::GuardedWrite>& writes, size_t first, size_t max_ops) {
  // A guard and both branches repeat the key; the rest is framing.
  constexpr size_t kFraming = 64;
  size_t bytes = 0;
  size_t count = 0;
  for (; first + count < writes.size() && count < max_ops; ++count) {
    const auto& write = writes[first + count];
    bytes += 3 * write.key.size() + write.value.size() + kFraming;
    if (bytes > kMaxBatchBytes && count > 0) break;
  }
  return count;
}

}  // namespace rosterd
