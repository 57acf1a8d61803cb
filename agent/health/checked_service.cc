// SPDX-License-Identifier: Apache-2.0
#include "health/checked_service.h"

#include <algorithm>
#include <utility>

#include "health/check_request.h"

namespace rosterd {

std::string CheckedService::Check::CheckTargetOf(const CheckConfig& config) {
  return CheckTarget(config.url);
}

CheckedService::CheckedService(std::shared_ptr<const ServiceConfig> config, WallTime now)
    : config_(std::move(config)), since_(now) {
  MakeChecks(HealthStatus::kStarting);
  Settle(now);
}

bool CheckedService::Resume(const SavedInstance& saved) {
  if (saved.status == HealthStatus::kStarting || saved.fingerprint != FingerprintOf(*config_) ||
      saved.checks.size() != checks_.size() || checks_.empty()) {
    return false;
  }
  checks_.clear();
  for (size_t i = 0; i < saved.checks.size(); ++i) {
    checks_.emplace_back(config_->checks[i], saved.checks[i].status);
    checks_.back().state.Resume(saved.checks[i].successes, saved.checks[i].failures);
  }
  status_ = saved.status;
  since_ = saved.since;
  passed_ = resumed_ = true;
  return true;
}

CheckedService::Change CheckedService::Compare(const ServiceConfig& before,
                                               const ServiceConfig& after) {
  if (before.address != after.address || before.port != after.port) return Change::kAddress;
  if (before.checks != after.checks) return Change::kChecks;
  return before == after ? Change::kNone : Change::kDescribed;
}

void CheckedService::Reconfigure(std::shared_ptr<const ServiceConfig> config, WallTime now) {
  const Change change = Compare(*config_, *config);
  config_ = std::move(config);
  if (change == Change::kAddress) {
    status_ = HealthStatus::kStarting;
    passed_ = resumed_ = false;
    since_ = now;
    MakeChecks(HealthStatus::kStarting);
    Settle(now);
  } else if (change == Change::kChecks) {
    MakeChecks(status_);
    if (checks_.empty()) resumed_ = false;  // nothing is left that could bear it out
    Settle(now);
  }
}

void CheckedService::MakeChecks(HealthStatus first) {
  checks_.clear();
  for (const CheckConfig& check : config_->checks) checks_.emplace_back(check, first);
}

HealthStatus CheckedService::Combined() const {
  HealthStatus combined = HealthStatus::kPassing;
  for (const Check& check : checks_) {
    if (check.state.status() == HealthStatus::kPassing) continue;
    // What has never passed is still starting, however often its checks failed.
    if (!passed_) return HealthStatus::kStarting;
    if (check.state.status() == HealthStatus::kFailing) return HealthStatus::kFailing;
    combined = HealthStatus::kStarting;
  }
  return combined;
}

bool CheckedService::Settle(WallTime now) {
  const HealthStatus combined = Combined();
  if (combined == HealthStatus::kPassing) passed_ = true;
  if (combined == status_) return false;
  status_ = combined;
  since_ = now;
  return true;
}

bool CheckedService::Add(size_t i, ProbeResult result, WallTime now) {
  Check& check = checks_[i];
  check.state.Add(result.success);
  if (!result.success) check.last_failure = result.error;
  if (check.state.status() == HealthStatus::kPassing && result.success) check.last_failure.clear();
  // One success speaks for what passed; one failure is not yet enough against it.
  if (result.success || status_ != HealthStatus::kPassing) check.bears_out = true;
  Note(i, std::move(result), now);
  const bool changed = Settle(now);
  if (changed || std::all_of(checks_.begin(), checks_.end(),
                             [](const Check& each) { return each.bears_out; })) {
    resumed_ = false;
  }
  return changed;
}

void CheckedService::Note(size_t i, ProbeResult result, WallTime now) {
  CheckReport& last = checks_[i].last;
  last.http_status = result.http_status;
  last.error = std::move(result.error);
  last.duration = ToMilliseconds(result.duration);
  last.last_run = now;
}

std::string CheckedService::Reason() const {
  const Check* worst = nullptr;
  size_t behind = 0;
  for (const Check& check : checks_) {
    if (check.state.status() == HealthStatus::kPassing) continue;
    ++behind;
    if (worst == nullptr || (worst->state.status() == HealthStatus::kStarting &&
                             check.state.status() == HealthStatus::kFailing)) {
      worst = &check;
    }
  }
  if (worst == nullptr) return "";
  const CheckConfig& config = config_->checks[static_cast<size_t>(worst - checks_.data())];
  std::string reason = std::to_string(worst->state.successes_missing()) + " of " +
                       std::to_string(std::max(config.rise, 1)) +
                       " successes needed: " + config.method + " " + worst->last.target;
  if (!worst->last_failure.empty()) {
    reason += ": " + worst->last_failure;
  } else if (!worst->last.error.empty()) {
    reason += ": " + worst->last.error;
  } else if (worst->last.last_run == WallTime{}) {
    reason += ": not checked yet";
  }
  if (behind > 1) {
    reason += " (and " + std::to_string(behind - 1) +
              (behind == 2 ? " more check" : " more checks") + " not passing)";
  }
  return reason;
}

std::shared_ptr<const InstanceHealth> CheckedService::Report() const {
  auto report = std::make_shared<InstanceHealth>();
  report->service = config_;
  report->status = status_;
  report->reason = Reason();
  report->since = since_;
  report->confirmed = confirmed();
  report->checks.reserve(checks_.size());
  for (const Check& check : checks_) {
    CheckReport line = check.last;
    line.status = check.state.status();
    line.successes = check.state.successes();
    line.failures = check.state.failures();
    report->checks.push_back(std::move(line));
  }
  return report;
}

}  // namespace rosterd
