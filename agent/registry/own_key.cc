// SPDX-License-Identifier: Apache-2.0
#include "registry/own_key.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "base/net_address.h"
#include "model/etcd_snapshot.h"

namespace rosterd {
namespace {

using Want = DesiredKey::Want;
using Kind = RegistrationChange::Kind;

// So that whoever deletes a key by hand sees it gone, and two writers do not fill etcd's log.
constexpr seconds kRepairEvery{1};
// A guard refused this often in a row: somebody writes as fast as we do.
constexpr int kRefusalsBeforePause = 3;
// A write that timed out may still be carried out by a member that was frozen.
constexpr seconds kLateWrites{30};

// True while no check of it has come to a result in this run, good or bad.
bool Undecided(const InstanceHealth& health) {
  if (health.status == HealthStatus::kPassing) return !health.confirmed;
  if (health.status != HealthStatus::kStarting) return false;
  const auto& checks = health.service->checks;
  for (size_t i = 0; i < health.checks.size() && i < checks.size(); ++i) {
    if (health.checks[i].failures >= checks[i].fall) return false;
  }
  return true;
}

bool IsOurs(const ActualKey& actual, const LeaseView& leases) {
  return actual.lease != 0 && (actual.lease == leases.current || leases.was_ours(actual.lease));
}

// True when the value tells an address that the configuration has no more.
bool AddressChanged(const ActualKey& actual, const ServiceConfig* config) {
  return config != nullptr && actual.instance != nullptr &&
         (actual.instance->host != config->address || actual.instance->port != config->port);
}

std::string DescribeHolder(const ActualKey& holder) {
  std::string text = "the key is held by lease " + LeaseText(holder.lease);
  if (holder.instance == nullptr) return text + " with a value that cannot be read";
  if (!holder.instance->agent.empty()) text += " of agent " + holder.instance->agent;
  if (!holder.instance->node.empty()) text += " on node " + holder.instance->node;
  return text + "; it is taken when that lease ends";
}

}  // namespace

OwnKey::OwnKey(std::string service, std::string id, std::string key)
    : service_(std::move(service)), id_(std::move(id)), key_(std::move(key)) {}

bool OwnKey::WantAs(const std::shared_ptr<const InstanceHealth>& health, const Identity& identity,
                    bool keep_starting) {
  const bool same_config = std::exchange(config_, health->service) == health->service;
  if (!IsProvenPassing(*health)) {
    if (!Undecided(*health) || (!keep_starting && encoded_ == nullptr)) {
      return WantGone(health->reason);
    }
    if (want_ == Want::kKeep) return !same_config;
    want_ = Want::kKeep;
    settled_ = false;
    was_right_ = repairing_ = false;
    return dirty_ = true;
  }
  const uint64_t hash_before = value_hash_;
  Encode(health->service, identity);
  if (std::exchange(want_, Want::kPut) == Want::kPut && value_hash_ == hash_before) return false;
  settled_ = false;
  was_right_ = repairing_ = false;
  not_before_ = {};
  dirty_ = true;
  return true;
}

bool OwnKey::WantGone(std::string reason) {
  if (want_ == Want::kGone) return false;
  want_ = Want::kGone;
  settled_ = false;
  reason_gone_ = std::move(reason);
  was_right_ = repairing_ = false;
  not_before_ = {};
  return dirty_ = true;
}

void OwnKey::Encode(const std::shared_ptr<const ServiceConfig>& config, const Identity& identity) {
  if (encoded_ == config) return;
  encoded_ = config;
  auto instance = std::make_shared<Instance>();
  instance->service = config->name;
  instance->id = config->id;
  instance->host = config->address;
  instance->port = config->port;
  instance->weight = config->weight;
  instance->tags = config->tags;
  instance->meta = config->meta;
  instance->endpoints = {config->protocol + "://" + FormatHostPort(config->address, config->port)};
  instance->node = identity.node;
  instance->zone = identity.zone;
  instance->agent = identity.agent;
  value_ = EncodeInstance(*instance);
  value_hash_ = HashValue(value_);
  instance_ = std::move(instance);
}

std::optional<ActualKey> OwnKey::Look(const Catalog* catalog) {
  if (source_ == Source::kAnswer) {
    if (catalog == nullptr || answer_revision_ >= catalog->etcd_revision()) return answer_;
    source_ = Source::kCatalog;
  }
  if (catalog == nullptr) return std::nullopt;
  const auto entry = catalog->Find(service_);
  const CatalogKey* found = entry == nullptr ? nullptr : entry->FindKey(id_);
  if (found == nullptr) return std::nullopt;
  return ActualKey{found->mod_revision, found->lease, found->value_hash, found->instance};
}

OwnKey::Finding OwnKey::Evaluate(const Outlook& outlook) {
  const LeaseView& leases = outlook.leases;
  Finding finding;
  settled_ = false;
  if (registration_.state == RegistrationState::kConflict && outlook.now >= recheck_at_) {
    source_ = Source::kNothing;
    guess_ = 0;
    recheck_at_ = outlook.now + outlook.recheck;
  }
  if (source_ == Source::kNothing) {
    if (want_ == Want::kPut) Plan(Verdict::kReplace, guess_, outlook.now, finding);
    if (want_ == Want::kGone) Plan(Verdict::kDelete, guess_, outlook.now, finding);
    return finding;
  }

  const std::optional<ActualKey> actual = Look(outlook.catalog);
  const bool ours = actual && IsOurs(*actual, leases);
  DesiredKey desired{want_, key_, value_, value_hash_};
  if (want_ == Want::kKeep && ours && AddressChanged(*actual, config_.get())) {
    desired.want = Want::kGone;
    reason_gone_ = "its address changed";
  }
  const Verdict verdict = Judge(desired, actual ? &*actual : nullptr, leases);
  if (verdict == Verdict::kConflict) return Conflict(*actual, outlook);

  if (verdict != Verdict::kRight) {
    if (verdict != Verdict::kDelete && std::exchange(was_right_, false)) repairing_ = true;
    if (!ours) {
      const char* why = !repairing_ ? ""
                        : actual    ? "overwritten by somebody else"
                                    : "deleted by somebody else";
      SetState(RegistrationState::kAbsent, why, outlook.wall);
    }
    Plan(verdict, actual ? actual->mod_revision : 0, outlook.now, finding);
    return finding;
  }

  refusals_ = 0;
  const bool stands = desired.want == Want::kPut || (desired.want == Want::kKeep && ours);
  const bool stood = registration_.state == RegistrationState::kRegistered;
  if (stands && (!stood || repairing_)) {
    finding.change = MakeChange(repairing_ ? Kind::kRepaired : Kind::kRegistered, leases.current);
  } else if (!stands && stood) {
    finding.change = MakeChange(Kind::kDeregistered, leases.current);
    finding.change->reason = reason_gone_;
  }
  was_right_ = desired.want == Want::kPut;
  repairing_ = false;
  SetState(stands ? RegistrationState::kRegistered : RegistrationState::kAbsent, "", outlook.wall);
  if (want_ == Want::kGone) {
    const bool caught_up = source_ == Source::kCatalog && outlook.catalog != nullptr;
    finding.forget = caught_up && outlook.now >= remember_until_;
    if (!finding.forget && caught_up) finding.next = remember_until_;
  }
  settled_ = want_ == Want::kPut && source_ == Source::kCatalog && outlook.catalog != nullptr;
  return finding;
}

OwnKey::Finding OwnKey::Conflict(const ActualKey& holder, const Outlook& outlook) {
  Finding finding;
  was_right_ = repairing_ = false;
  refusals_ = 0;
  if (registration_.state != RegistrationState::kConflict || holder_ != holder.lease) {
    holder_ = holder.lease;
    not_before_ = {};
    recheck_at_ = outlook.now + outlook.recheck;
    SetState(RegistrationState::kConflict, DescribeHolder(holder), outlook.wall);
    finding.change = MakeChange(Kind::kConflict, holder_);
    finding.change->reason = registration_.reason;
  }
  finding.next = recheck_at_;
  return finding;
}

void OwnKey::Plan(Verdict verdict, int64_t guard, TimePoint now, Finding& finding) {
  verdict_ = verdict;
  guard_ = guard;
  finding.write_now = now >= not_before_;
  if (!finding.write_now) finding.next = not_before_;
}

etcd::GuardedWrite OwnKey::Write(int64_t lease) const {
  ActualKey guard;
  guard.mod_revision = guard_;
  return MakeWrite(verdict_, {want_, key_, value_, value_hash_}, &guard, lease);
}

std::optional<RegistrationChange> OwnKey::OnAnswer(const etcd::GuardedWrite& write,
                                                   const etcd::WriteAnswer& answer,
                                                   int64_t revision, TimePoint now) {
  source_ = Source::kAnswer;
  answer_revision_ = revision;
  answer_.reset();
  if (answer.done) {
    refusals_ = 0;
    if (repairing_) not_before_ = now + kRepairEvery;
    if (write.kind == etcd::GuardedWrite::Kind::kDelete) return std::nullopt;
    answer_ = ActualKey{revision, write.lease, value_hash_, instance_};
    const bool stood = registration_.state == RegistrationState::kRegistered;
    if (!stood || repairing_) return std::nullopt;  // the next Evaluate tells
    return MakeChange(Kind::kUpdated, write.lease);
  }
  if (answer.current) {
    auto decoded = DecodeInstance({service_, id_}, answer.current->value);
    answer_ = ActualKey{
        answer.current->mod_revision, answer.current->lease, HashValue(answer.current->value),
        decoded.ok() ? std::make_shared<const Instance>(*std::move(decoded)) : nullptr};
  }
  if (++refusals_ >= kRefusalsBeforePause) not_before_ = now + kRepairEvery;
  return std::nullopt;
}

void OwnKey::OnUnknownOutcome(const etcd::GuardedWrite& write, TimePoint now) {
  source_ = Source::kNothing;
  guess_ = write.expected_mod_revision;
  remember_until_ = now + kLateWrites;
}

void OwnKey::PutOff(TimePoint until, std::string reason) {
  not_before_ = until;
  if (registration_.state == RegistrationState::kAbsent) registration_.reason = std::move(reason);
  dirty_ = true;
}

void OwnKey::OnLeaseLost() {
  settled_ = false;
  was_right_ = repairing_ = false;
  refusals_ = 0;
  not_before_ = {};
  if (want_ != Want::kPut) return;
  // It went with the lease, though the catalog may not know yet. If not, the guard tells.
  source_ = Source::kNothing;
  guess_ = 0;
  if (registration_.state != RegistrationState::kRegistered) return;
  registration_.state = RegistrationState::kAbsent;
  registration_.reason = "its lease was lost";
  dirty_ = true;
}

void OwnKey::ForgetAnswer(int64_t revision) {
  settled_ = false;
  if (source_ == Source::kAnswer && answer_revision_ > revision) source_ = Source::kCatalog;
}

bool OwnKey::visible() const {
  return want_ == Want::kPut ||
         (want_ == Want::kKeep && registration_.state == RegistrationState::kRegistered);
}

bool OwnKey::TakeDirty() { return std::exchange(dirty_, false); }

void OwnKey::SetState(RegistrationState state, std::string reason, WallTime wall) {
  if (registration_.state == state && registration_.reason == reason) return;
  if (registration_.state != state || registration_.since == WallTime{}) registration_.since = wall;
  registration_.state = state;
  registration_.reason = std::move(reason);
  dirty_ = true;
}

RegistrationChange OwnKey::MakeChange(Kind kind, int64_t lease) const {
  return {kind, service_, id_, lease, {}};
}

}  // namespace rosterd
