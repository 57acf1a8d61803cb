// SPDX-License-Identifier: Apache-2.0
#include "kept_state.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/status.h"
#include "registry/identity.h"

namespace rosterd {
namespace {

// Empty where the file cannot be used, which is told.
template <typename T>
std::optional<T> Usable(absl::StatusOr<std::optional<T>> loaded, Log& log) {
  if (loaded.ok()) return *std::move(loaded);
  log.Warn("a file of the last run is ignored and will be replaced",
           {{"reason", std::string(loaded.status().message())}});
  return std::nullopt;
}

}  // namespace

absl::StatusOr<std::unique_ptr<KeptState>> KeptState::Open(const Config& config, const Clock& clock,
                                                           Log& log, Metrics& metrics) {
  std::unique_ptr<KeptState> kept(new KeptState(clock));
  if (config.data_dir.empty()) return kept;
  ASSIGN_OR_RETURN(kept->dir_, DataDir::Open(config.data_dir, log, metrics));
  kept->Load(config, log);
  return kept;
}

void KeptState::Load(const Config& config, Log& log) {
  lease_ = std::make_unique<LeaseFile>(*dir_);
  catalog_file_.emplace(*dir_, config.etcd.prefix);
  health_file_.emplace(*dir_, ReadBootId());
  const TimePoint now = clock_.Now();
  inheritance_.lease = Usable(lease_->Load(config.etcd.prefix, config.node.name), log);
  inheritance_.health = Usable(health_file_->Load(now), log);
  inheritance_.catalog = Usable(catalog_file_->Load(), log);
  mark_.emplace(*dir_);
  inheritance_.shown = Usable(mark_->Load(), log).value_or(0);
  if (!inheritance_.catalog) return;
  // A wall clock that was put back since makes it no younger than now.
  const Duration age = clock_.WallNow() - inheritance_.catalog->answered;
  inheritance_.catalog_answered = now - std::max(age, Duration::zero());
  log.Info("serving the catalog of the last run until etcd answers",
           {{"revision", inheritance_.catalog->revision},
            {"services", inheritance_.catalog->services.size()},
            {"age_s",
             std::chrono::duration_cast<seconds>(now - inheritance_.catalog_answered).count()}});
}

void KeptState::Follow(const Latest<Catalog>& catalogs, const Latest<EtcdSnapshot>& etcd,
                       const Latest<HealthSnapshot>& health) {
  if (dir_ == nullptr) return;
  catalog_ = std::make_unique<CatalogKeeper>(*std::move(catalog_file_), catalogs, etcd, clock_);
  health_ = std::make_unique<HealthKeeper>(*std::move(health_file_), health);
}

TimePoint KeptState::Step(TimePoint now) {
  if (dir_ == nullptr) return kNever;
  return std::min({lease_->Step(now), health_->Step(now), catalog_->Step(now)});
}

void KeptState::NoteShown(int64_t revision) {
  if (mark_) mark_->Raise(revision);
}

void KeptState::Finish(Duration limit) {
  if (dir_ == nullptr) return;
  const TimePoint began = clock_.Now();
  (void)lease_->Finish();  // a failure has been told
  health_->Finish(began);
  catalog_->Finish(limit - (clock_.Now() - began));
}

}  // namespace rosterd
