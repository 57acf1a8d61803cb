// SPDX-License-Identifier: Apache-2.0
#include "catalog/lease_losses.h"

namespace rosterd {

void LeaseLosses::Reset() { *this = LeaseLosses(); }

void LeaseLosses::AddListed(int64_t lease) {
  if (lease != 0) ++keys_[lease];
}

void LeaseLosses::OnPut(int64_t revision, const std::string& service, const std::string& id,
                        const CatalogKey* before, int64_t lease) {
  Open(revision);
  if (!gone_.empty()) gone_.erase({service, id});
  const int64_t old_lease = before == nullptr ? 0 : before->lease;
  if (old_lease == lease) return;
  // A key that goes over to another lease is no loss, but it was one of those that the lease had.
  if (old_lease != 0) {
    Touch(old_lease);
    RemoveFrom(old_lease);
  }
  if (lease != 0) {
    Touch(lease);
    ++keys_[lease];
  }
}

void LeaseLosses::OnDelete(int64_t revision, const std::string& service, const CatalogKey& before) {
  Open(revision);
  if (before.lease == 0) return;
  ++Touch(before.lease).deleted;
  RemoveFrom(before.lease);
  gone_.insert_or_assign({service, before.id}, GoneKey{service, before, revision});
}

LeaseLosses::Found LeaseLosses::Take() {
  Open(0);
  Found found;
  found.losses = std::exchange(losses_, {});
  found.gone.reserve(gone_.size());
  for (auto& [name, gone] : gone_) found.gone.push_back(std::move(gone));
  gone_.clear();
  return found;
}

// Closes the revision before.
void LeaseLosses::Open(int64_t revision) {
  if (revision == revision_) return;
  for (const auto& [lease, touched] : touched_) {
    if (touched.deleted == 0) continue;
    const bool whole = touched.deleted == touched.before && !keys_.contains(lease);
    losses_.push_back({lease, revision_, whole});
  }
  touched_.clear();
  revision_ = revision;
}

LeaseLosses::Touched& LeaseLosses::Touch(int64_t lease) {
  const auto [it, added] = touched_.try_emplace(lease);
  if (added) {
    const auto known = keys_.find(lease);
    it->second.before = known == keys_.end() ? 0 : known->second;
  }
  return it->second;
}

void LeaseLosses::RemoveFrom(int64_t lease) {
  const auto it = keys_.find(lease);
  if (it != keys_.end() && --it->second == 0) keys_.erase(it);
}

}  // namespace rosterd
