// SPDX-License-Identifier: Apache-2.0
// KeptState: what outlives the agent under data_dir: lease, catalog, check states. Reads what the
// last run left, and keeps the files up to date in the keeper's StepThread. Without data_dir it is
// empty and does nothing.
#pragma once

#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/data_dir.h"
#include "base/latest.h"
#include "base/log.h"
#include "base/metrics.h"
#include "catalog/catalog_keeper.h"
#include "catalog/index_mark.h"
#include "catalog/saved_catalog.h"
#include "health/health_file.h"
#include "health/health_keeper.h"
#include "model/config.h"
#include "registry/lease_file.h"

namespace rosterd {

// What the last run left; each is empty where there was nothing that can be used.
struct Inheritance {
  std::optional<LeaseRecord> lease;
  std::optional<SavedCatalog> catalog;
  int64_t shown = 0;             // the largest revision that is known to have been shown
  TimePoint catalog_answered{};  // when etcd had last answered, on this boot's clock
  std::optional<SavedHealth> health;
};

// Owned by the main thread, but for what says otherwise.
class KeptState {
 public:
  // Error: another agent uses data_dir. Anything else that is wrong with the disk or what stands on
  // it is a warning. The references must outlive it.
  static absl::StatusOr<std::unique_ptr<KeptState>> Open(const Config& config, const Clock& clock,
                                                         Log& log, Metrics& metrics);

  Inheritance& inheritance() { return inheritance_; }
  // Null without data_dir.
  LeaseFile* lease_file() { return lease_.get(); }

  // What is to be kept; before the first Step. Must outlive it.
  void Follow(const Latest<Catalog>& catalogs, const Latest<EtcdSnapshot>& etcd,
              const Latest<HealthSnapshot>& health);

  // The keeper thread's.
  TimePoint Step(TimePoint now);
  // The watcher thread's: what is about to be shown.
  void NoteShown(int64_t revision);
  // The last save of a run, after every other thread has ended; takes about `limit` at most.
  void Finish(Duration limit);

 private:
  explicit KeptState(const Clock& clock) : clock_(clock) {}
  void Load(const Config& config, Log& log);

  const Clock& clock_;
  std::unique_ptr<DataDir> dir_;
  Inheritance inheritance_;
  std::unique_ptr<LeaseFile> lease_;
  std::optional<IndexMark> mark_;
  // Until Follow() hands them on.
  std::optional<CatalogFile> catalog_file_;
  std::optional<HealthFile> health_file_;
  std::unique_ptr<CatalogKeeper> catalog_;
  std::unique_ptr<HealthKeeper> health_;
};

}  // namespace rosterd
