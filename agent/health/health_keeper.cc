// SPDX-License-Identifier: Apache-2.0
#include "health/health_keeper.h"

#include <algorithm>

namespace rosterd {
namespace {

constexpr Duration kSaveAtMostEvery = seconds(1);
constexpr Duration kTryAgainAfter = seconds(10);
// A small part of how long the file is good for.
constexpr Duration kRefreshEvery = HealthFile::kGoodFor / 6;

bool SameStates(const HealthSnapshot& a, const HealthSnapshot& b) {
  return std::equal(a.instances.begin(), a.instances.end(), b.instances.begin(), b.instances.end(),
                    [](const auto& x, const auto& y) {
                      return x == y || (x->service == y->service && x->status == y->status);
                    });
}

}  // namespace

TimePoint HealthKeeper::Step(TimePoint now) {
  auto health = health_.Get();
  if (health == nullptr) return kNever;
  const bool changed = saved_ == nullptr || !SameStates(*saved_, *health);
  const TimePoint due = changed ? not_before_ : std::max(not_before_, refresh_at_);
  if (now < due) return due;
  Save(std::move(health), now);
  return refresh_at_;
}

void HealthKeeper::Finish(TimePoint now) {
  if (auto health = health_.Get()) Save(std::move(health), now);
}

void HealthKeeper::Save(std::shared_ptr<const HealthSnapshot> health, TimePoint now) {
  const bool saved = file_.Save(*health, now).ok();
  not_before_ = now + (saved ? kSaveAtMostEvery : kTryAgainAfter);
  refresh_at_ = saved ? now + kRefreshEvery : not_before_;
  if (saved) saved_ = std::move(health);
}

}  // namespace rosterd
