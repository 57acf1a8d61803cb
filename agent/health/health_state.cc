// SPDX-License-Identifier: Apache-2.0
#include "health/health_state.h"

#include <algorithm>

namespace rosterd {
namespace {

// Streaks of weeks must not overflow.
constexpr int kLongestStreak = 1'000'000'000;

int Longer(int streak) { return std::min(streak + 1, kLongestStreak); }

}  // namespace

HealthState::HealthState(int rise, int fall, HealthStatus first)
    : rise_(std::max(rise, 1)), fall_(std::max(fall, 1)), status_(first) {}

bool HealthState::Add(bool success) {
  successes_ = success ? Longer(successes_) : 0;
  failures_ = success ? 0 : Longer(failures_);
  const HealthStatus before = status_;
  if (successes_ >= rise_) status_ = HealthStatus::kPassing;
  if (failures_ >= fall_) status_ = HealthStatus::kFailing;
  return status_ != before;
}

bool HealthState::stable() const {
  switch (status_) {
    case HealthStatus::kStarting:
      return false;
    case HealthStatus::kPassing:
      return failures_ == 0;
    case HealthStatus::kFailing:
      return successes_ == 0;
  }
  return false;
}

int HealthState::successes_missing() const {
  return status_ == HealthStatus::kPassing ? 0 : std::max(rise_ - successes_, 0);
}

}  // namespace rosterd
