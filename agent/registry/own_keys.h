// SPDX-License-Identifier: Apache-2.0
// OwnKeys: every key that this host wants in etcd or may have left there. Health tells what is
// wanted; the catalog and the answers to our own transactions tell what stands there, whichever is
// newer. Pure: makes no call, writes no log; it plans and is told.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "etcd/client.h"
#include "model/catalog.h"
#include "model/etcd_snapshot.h"
#include "model/health_snapshot.h"
#include "registry/diff.h"
#include "registry/identity.h"
#include "registry/own_key.h"

namespace rosterd {

// Owned by the registrar thread.
class OwnKeys {
 public:
  struct Batch {
    std::vector<OwnKey*> keys;
    std::vector<etcd::GuardedWrite> writes;  // one per key
  };

  explicit OwnKeys(const Identity& identity) : identity_(identity) {}

  // The host was booted since an earlier run left its keys: an instance that is still starting has
  // its key deleted instead of kept until its check decides.
  void DoNotKeepStarting() { keep_starting_ = false; }

  // Both return whether there is something to evaluate.
  bool SetHealth(const std::shared_ptr<const HealthSnapshot>& health);
  bool SetCatalog(const std::shared_ptr<const Catalog>& catalog);
  const Catalog* catalog() const { return catalog_.get(); }
  bool knows_health() const { return health_ != nullptr; }
  // Takes up the catalog's keys under a lease of ours that nobody here remembers.
  void Scan(const LeaseView& leases);

  // Compares everything and plans. Holds until next_due(), unless something is told.
  void Evaluate(TimePoint now, WallTime wall, const LeaseView& leases);
  bool has_writes() const { return !pending_.empty(); }
  TimePoint next_due() const { return next_due_; }
  // The first planned writes that fit into one transaction of at most `max_ops`.
  Batch NextBatch(int64_t lease, size_t max_ops, bool deletes_only) const;

  void OnAnswer(const Batch& batch, const etcd::WriteBatchAnswer& answer, TimePoint now);
  // etcd will not have this one write, whatever else it takes.
  void PutOff(const Batch& batch, TimePoint until, const std::string& reason);
  // The batch may have happened, may not, may yet.
  void OnUnknownOutcome(const Batch& batch, TimePoint now);
  void OnLeaseLost();

  // What changed for a person since the last call.
  std::vector<RegistrationChange> TakeChanges() { return std::exchange(changes_, {}); }
  // Whether registrations() is other than at the last call.
  bool TakeDirty();
  // `waiting`: why what is absent is absent, where the key itself does not know.
  std::map<std::string, Registration, std::less<>> Registrations(const std::string& waiting) const;

 private:
  OwnKey& Remember(const std::string& service, const std::string& id);
  OwnKey* FindFor(const InstanceHealth& instance);  // null: nothing of it can be in etcd
  // The first when the configured services are the same objects as before: checks report often.
  bool WantChanged(const HealthSnapshot& before, const HealthSnapshot& now);
  bool WantAll(const HealthSnapshot& now);
  // Those of above `revision`: etcd was restored to it.
  void ForgetAnswers(int64_t revision);

  const Identity identity_;
  bool keep_starting_ = true;
  std::map<std::string, OwnKey, std::less<>> keys_;  // by etcd's key
  std::shared_ptr<const HealthSnapshot> health_;
  std::shared_ptr<const Catalog> catalog_;
  int64_t newest_answer_ = 0;             // the revision of the last answer to us
  TimePoint catalog_distrusted_until_{};  // it tells of a history that was replaced
  // What the last evaluation saw; what it settled then holds as long as these are the same.
  std::shared_ptr<const Catalog> evaluated_;
  int64_t evaluated_lease_ = 0;
  std::vector<OwnKey*> pending_;  // writes due now
  TimePoint next_due_ = kNever;
  std::vector<RegistrationChange> changes_;
  bool dirty_ = true;
};

}  // namespace rosterd
