// SPDX-License-Identifier: Apache-2.0
// OwnKey: one key that this host wants in etcd, or may have left there: what is wanted, what is
// known, what is to be written and when. Pure: it is told what the world says and what became of a
// write; it makes no call and writes no log.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "etcd/client.h"
#include "model/catalog.h"
#include "model/etcd_snapshot.h"
#include "model/health_snapshot.h"
#include "registry/diff.h"
#include "registry/identity.h"

namespace rosterd {

// What a person should read in the log.
struct RegistrationChange {
  enum class Kind { kRegistered, kUpdated, kRepaired, kDeregistered, kConflict };
  Kind kind = Kind::kRegistered;
  std::string service;
  std::string id;
  int64_t lease = 0;   // ours; kConflict: the holder's
  std::string reason;  // kDeregistered, kConflict
};

// Passing, and not only remembered so from an earlier run.
inline bool IsProvenPassing(const InstanceHealth& health) {
  return health.status == HealthStatus::kPassing && health.confirmed;
}

// Owned by the registrar thread.
class OwnKey {
 public:
  OwnKey(std::string service, std::string id, std::string key);

  const std::string& service() const { return service_; }
  const std::string& id() const { return id_; }
  const std::string& key() const { return key_; }
  DesiredKey::Want want() const { return want_; }

  // --- What is wanted. Each returns whether that changed.
  bool WantAs(const std::shared_ptr<const InstanceHealth>& health, const Identity& identity,
              bool keep_starting);
  bool WantGone(std::string reason);
  // The catalog shows it under a lease of ours, from an earlier run.
  void FoundRegistered() { registration_.state = RegistrationState::kRegistered; }

  // --- What stands in etcd. `catalog`: null when there is none that can be trusted; then a key we
  // have no answer about is taken for absent, and the guard's answer tells.
  struct Outlook {
    TimePoint now{};
    WallTime wall{};
    const Catalog* catalog = nullptr;
    const LeaseView& leases;
    seconds recheck{15};  // how often a conflict is looked at without being told
  };
  struct Finding {
    bool write_now = false;
    TimePoint next = kNever;  // when it wants to be evaluated again, whatever happens
    bool forget = false;      // nothing of it is left
    std::optional<RegistrationChange> change;
  };
  Finding Evaluate(const Outlook& outlook);
  // Nothing to do as long as the catalog shows the same entry, under the same lease.
  bool settled() const { return settled_; }

  // --- The write that the last Evaluate planned, and what became of it.
  etcd::GuardedWrite Write(int64_t lease) const;
  bool plans_delete() const { return verdict_ == Verdict::kDelete; }
  bool plans_repair() const { return repairing_; }
  std::optional<RegistrationChange> OnAnswer(const etcd::GuardedWrite& write,
                                             const etcd::WriteAnswer& answer, int64_t revision,
                                             TimePoint now);
  void OnUnknownOutcome(const etcd::GuardedWrite& write, TimePoint now);
  void PutOff(TimePoint until, std::string reason);
  void OnLeaseLost();
  // etcd was restored: what it answered above `revision` is of a history that is no more.
  void ForgetAnswer(int64_t revision);

  // --- What people see.
  bool visible() const;
  const Registration& registration() const { return registration_; }
  bool TakeDirty();

 private:
  enum class Source { kCatalog, kAnswer, kNothing };

  void Encode(const std::shared_ptr<const ServiceConfig>& config, const Identity& identity);
  std::optional<ActualKey> Look(const Catalog* catalog);
  void Plan(Verdict verdict, int64_t guard, TimePoint now, Finding& finding);
  Finding Conflict(const ActualKey& holder, const Outlook& outlook);
  void SetState(RegistrationState state, std::string reason, WallTime wall);
  RegistrationChange MakeChange(RegistrationChange::Kind kind, int64_t lease) const;

  const std::string service_;
  const std::string id_;
  const std::string key_;

  // What is wanted.
  DesiredKey::Want want_ = DesiredKey::Want::kGone;
  std::string reason_gone_;
  std::shared_ptr<const ServiceConfig> config_;   // as last seen in health
  std::shared_ptr<const ServiceConfig> encoded_;  // what instance_ and value_ were made of
  std::shared_ptr<const Instance> instance_;
  std::string value_;
  uint64_t value_hash_ = 0;

  // What we know ourselves. It goes before the catalog until that has caught up.
  Source source_ = Source::kCatalog;
  int64_t answer_revision_ = 0;      // kAnswer
  std::optional<ActualKey> answer_;  // kAnswer; empty: there was no such key
  int64_t guess_ = 0;                // kNothing: the guard to ask with

  // The plan.
  bool settled_ = false;
  Verdict verdict_ = Verdict::kRight;
  int64_t guard_ = 0;
  TimePoint not_before_{};
  TimePoint recheck_at_ = kNever;
  TimePoint remember_until_{};
  int refusals_ = 0;
  bool was_right_ = false;  // under this lease, with this value: what changes it now is not us
  bool repairing_ = false;

  // What people see.
  int64_t holder_ = 0;  // of a conflict
  Registration registration_;
  bool dirty_ = true;
};

}  // namespace rosterd
