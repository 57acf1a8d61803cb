// SPDX-License-Identifier: Apache-2.0
#include "registry/own_keys.h"

#include <algorithm>
#include <utility>

namespace rosterd {
namespace {

bool SameServices(const HealthSnapshot& a, const HealthSnapshot& b) {
  return std::equal(a.instances.begin(), a.instances.end(), b.instances.begin(), b.instances.end(),
                    [](const auto& x, const auto& y) { return x->service == y->service; });
}

}  // namespace

OwnKey& OwnKeys::Remember(const std::string& service, const std::string& id) {
  std::string key = FormatKey(identity_.prefix, service, id);
  const auto it = keys_.find(key);
  if (it != keys_.end()) return it->second;
  return keys_.try_emplace(key, service, id, key).first->second;
}

bool OwnKeys::SetHealth(const std::shared_ptr<const HealthSnapshot>& health) {
  if (health == health_ || health == nullptr) return false;
  const auto before = std::exchange(health_, health);
  const bool changed = before != nullptr && SameServices(*before, *health)
                           ? WantChanged(*before, *health)
                           : WantAll(*health);
  if (changed) dirty_ = true;
  return changed || before == nullptr;
}

bool OwnKeys::WantChanged(const HealthSnapshot& before, const HealthSnapshot& now) {
  bool changed = false;
  for (size_t i = 0; i < now.instances.size(); ++i) {
    if (before.instances[i] == now.instances[i]) continue;
    OwnKey* key = FindFor(*now.instances[i]);
    if (key != nullptr && key->WantAs(now.instances[i], identity_, keep_starting_)) changed = true;
  }
  return changed;
}

bool OwnKeys::WantAll(const HealthSnapshot& now) {
  bool changed = false;
  std::vector<const OwnKey*> configured;
  configured.reserve(now.instances.size());
  for (const auto& instance : now.instances) {
    OwnKey* key = FindFor(*instance);
    if (key == nullptr) continue;
    configured.push_back(key);
    if (key->WantAs(instance, identity_, keep_starting_)) changed = true;
  }
  std::sort(configured.begin(), configured.end());
  for (auto& [name, key] : keys_) {
    const bool is_configured = std::binary_search(configured.begin(), configured.end(), &key);
    if (!is_configured && key.WantGone("not configured any more")) changed = true;
  }
  return changed;
}

// Only what may be in etcd is worth remembering.
OwnKey* OwnKeys::FindFor(const InstanceHealth& instance) {
  const ServiceConfig& config = *instance.service;
  if (IsProvenPassing(instance)) return &Remember(config.name, config.id);
  const auto it = keys_.find(FormatKey(identity_.prefix, config.name, config.id));
  return it == keys_.end() ? nullptr : &it->second;
}

bool OwnKeys::SetCatalog(const std::shared_ptr<const Catalog>& catalog) {
  // What an earlier run left on disk tells nothing about what stands in etcd now.
  if (catalog == catalog_ || catalog == nullptr || catalog->from_disk()) return false;
  // What etcd told us is of a history that is no more.
  if (catalog_ != nullptr && catalog->history() != catalog_->history()) {
    const bool went_back = catalog->etcd_revision() < catalog_->etcd_revision();
    ForgetAnswers(went_back ? catalog->etcd_revision() : 0);
    newest_answer_ = 0;
    catalog_distrusted_until_ = {};
  }
  catalog_ = catalog;
  return true;
}

void OwnKeys::ForgetAnswers(int64_t revision) {
  for (auto& [name, key] : keys_) key.ForgetAnswer(revision);
}

void OwnKeys::Scan(const LeaseView& leases) {
  if (catalog_ == nullptr || health_ == nullptr) return;
  catalog_->ForEach([&](const ServiceEntry& service) {
    for (const CatalogKey& found : service.keys()) {
      if (found.lease == 0) continue;
      if (found.lease != leases.current && !leases.was_ours(found.lease)) continue;
      if (keys_.contains(FormatKey(identity_.prefix, service.name(), found.id))) continue;
      OwnKey& key = Remember(service.name(), found.id);
      key.FoundRegistered();
      const auto health = health_->Find(found.id);
      if (health != nullptr && health->service->name == service.name()) {
        key.WantAs(health, identity_, keep_starting_);
      }
    }
  });
}

void OwnKeys::Evaluate(TimePoint now, WallTime wall, const LeaseView& leases) {
  const bool trusted = now >= catalog_distrusted_until_;
  pending_.clear();
  next_due_ = trusted ? kNever : catalog_distrusted_until_;
  const OwnKey::Outlook outlook{now, wall, trusted ? catalog_.get() : nullptr, leases,
                                identity_.lease_ttl};
  const bool as_before = trusted && evaluated_ != nullptr && evaluated_lease_ == leases.current;
  for (auto it = keys_.begin(); it != keys_.end();) {
    OwnKey& key = it->second;
    if (as_before && key.settled() && catalog_->SharesWith(*evaluated_, key.service())) {
      ++it;
      continue;
    }
    OwnKey::Finding finding = key.Evaluate(outlook);
    if (finding.change) changes_.push_back(*std::move(finding.change));
    if (finding.write_now) pending_.push_back(&key);
    next_due_ = std::min(next_due_, finding.next);
    if (key.TakeDirty()) dirty_ = true;
    it = finding.forget ? keys_.erase(it) : std::next(it);
  }
  evaluated_ = trusted ? catalog_ : nullptr;
  evaluated_lease_ = leases.current;
}

OwnKeys::Batch OwnKeys::NextBatch(int64_t lease, size_t max_ops, bool deletes_only) const {
  Batch batch;
  for (OwnKey* key : pending_) {
    if (batch.keys.size() == max_ops) break;
    if (deletes_only && !key->plans_delete()) continue;
    batch.keys.push_back(key);
    batch.writes.push_back(key->Write(lease));
  }
  const size_t fits = BatchLength(batch.writes, 0, max_ops);
  batch.keys.resize(fits);
  batch.writes.resize(fits);
  return batch;
}

void OwnKeys::OnAnswer(const Batch& batch, const etcd::WriteBatchAnswer& answer, TimePoint now) {
  const int64_t revision = answer.header.revision;
  // A transaction answers from where the cluster stands. If that is below what was seen before,
  // etcd was restored; until the catalog has noticed, it tells of another history.
  const bool catalog_is_ahead = catalog_ != nullptr && revision < catalog_->etcd_revision();
  if (revision < newest_answer_ || catalog_is_ahead) ForgetAnswers(revision);
  if (catalog_is_ahead) catalog_distrusted_until_ = now + identity_.lease_ttl;
  newest_answer_ = revision;
  for (size_t i = 0; i < batch.keys.size() && i < answer.answers.size(); ++i) {
    auto change = batch.keys[i]->OnAnswer(batch.writes[i], answer.answers[i], revision, now);
    if (change) changes_.push_back(*std::move(change));
  }
}

void OwnKeys::OnUnknownOutcome(const Batch& batch, TimePoint now) {
  for (size_t i = 0; i < batch.keys.size(); ++i) {
    batch.keys[i]->OnUnknownOutcome(batch.writes[i], now);
  }
}

void OwnKeys::PutOff(const Batch& batch, TimePoint until, const std::string& reason) {
  for (OwnKey* key : batch.keys) key->PutOff(until, reason);
}

void OwnKeys::OnLeaseLost() {
  for (auto& [name, key] : keys_) key.OnLeaseLost();
  dirty_ = true;
}

bool OwnKeys::TakeDirty() { return std::exchange(dirty_, false); }

std::map<std::string, Registration, std::less<>> OwnKeys::Registrations(
    const std::string& waiting) const {
  std::map<std::string, Registration, std::less<>> all;
  for (const auto& [name, key] : keys_) {
    if (!key.visible()) continue;
    Registration& shown = all.emplace(key.id(), key.registration()).first->second;
    if (shown.state == RegistrationState::kAbsent && shown.reason.empty()) shown.reason = waiting;
  }
  return all;
}

}  // namespace rosterd
