// SPDX-License-Identifier: Apache-2.0
#include "catalog/catalog_keeper.h"

#include <algorithm>
#include <tuple>

namespace rosterd {
namespace {

constexpr Duration kSaveAtMostEvery = seconds(1);
constexpr Duration kSaveAtLeastEvery = seconds(60);
// One part in so many of the time may go into saving.
constexpr int kShareOfTime = 20;
constexpr Duration kTryAgainAfter = seconds(10);
constexpr Duration kRefreshAtMostEvery = seconds(10);
// What is written for nothing but the time of etcd's last answer: flash wears out.
constexpr size_t kRefreshBytesPerSecond = 16 * 1024;
// At the end of a run.
constexpr Duration kTooSlow = milliseconds(500);

}  // namespace

bool CatalogKeeper::Mark::NewerThan(const Mark& other) const {
  // At one shown revision the lower one of etcd is of the history that came later.
  return std::make_tuple(revision, -etcd_revision) >
         std::make_tuple(other.revision, -other.etcd_revision);
}

CatalogKeeper::Mark CatalogKeeper::MarkOf(const Catalog& catalog) {
  return {catalog.revision(), catalog.etcd_revision(), catalog.index(), catalog.floor()};
}

TimePoint CatalogKeeper::Step(TimePoint now) {
  std::lock_guard lock(mutex_);
  const auto catalog = catalogs_.Get();
  if (catalog == nullptr || catalog->from_disk()) return kNever;
  const Mark mark = MarkOf(*catalog);
  // The newer one is about to be published.
  if (saved_ && saved_->NewerThan(mark)) return now + kSaveAtMostEvery;
  const bool changed = saved_ != mark;
  const TimePoint due = changed ? not_before_ : std::max(not_before_, saved_at_ + RefreshEvery());
  if (now < due) return due;
  if (!changed && Answered() <= saved_answered_) return now + RefreshEvery();
  Save(*catalog);
  return saved_ == mark ? std::max(not_before_, saved_at_ + RefreshEvery()) : not_before_;
}

void CatalogKeeper::Finish(Duration limit) {
  std::lock_guard lock(mutex_);
  const auto catalog = catalogs_.Get();
  if (catalog == nullptr || catalog->from_disk()) return;
  if (took_ > kTooSlow || 2 * took_ > limit) return;
  Save(*catalog);
}

void CatalogKeeper::Save(const Catalog& catalog) {
  const WallTime answered = Answered();
  const TimePoint began = clock_.Now();
  const bool saved = file_.Save(catalog, answered).ok();
  const TimePoint ended = clock_.Now();
  took_ = ended - began;
  not_before_ = ended + (saved ? std::clamp<Duration>(kShareOfTime * took_, kSaveAtMostEvery,
                                                      kSaveAtLeastEvery)
                               : std::max<Duration>(kShareOfTime * took_, kTryAgainAfter));
  if (!saved) return;
  saved_ = MarkOf(catalog);
  saved_answered_ = answered;
  saved_at_ = ended;
}

WallTime CatalogKeeper::Answered() const {
  const auto etcd = etcd_.Get();
  const WallTime wall = clock_.WallNow();
  // The catalog that is to be saved came from etcd, whatever the session has told so far.
  if (etcd == nullptr || etcd->last_answer == TimePoint{}) return wall;
  return wall - ToMilliseconds(std::max(clock_.Now() - etcd->last_answer, Duration::zero()));
}

Duration CatalogKeeper::RefreshEvery() const {
  return std::max<Duration>(kRefreshAtMostEvery, seconds(file_.bytes() / kRefreshBytesPerSecond));
}

}  // namespace rosterd
