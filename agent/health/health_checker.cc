// SPDX-License-Identifier: Apache-2.0
#include "health/health_checker.h"

#include <algorithm>
#include <utility>

#include "base/duration.h"
#include "base/step_thread.h"

namespace rosterd {
namespace {

// A turn starts at most so many runs: the answers of those in flight must not wait long.
constexpr size_t kStartsPerTurn = 64;
constexpr Duration kLateLogAtMostEvery = seconds(60);

constexpr char kChecksName[] = "rosterd_checks_total";
constexpr char kChecksHelp[] =
    "Finished runs of checks; discarded: not counted, because this host was suspended or "
    "overloaded.";
constexpr char kStatesName[] = "rosterd_instances";
constexpr char kStatesHelp[] = "This host's configured services by the state of their checks.";
const std::vector<double> kDurationBuckets{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                           0.1,   0.25,   0.5,   1,    2.5,   5};
const std::vector<double> kLatenessBuckets{0.0005, 0.001, 0.0025, 0.005, 0.01,
                                           0.025,  0.05,  0.1,    0.25,  1};

double Seconds(Duration d) { return std::chrono::duration<double>(d).count(); }

}  // namespace

HealthChecker::HealthChecker(const Clock& clock, Log& log, Metrics& metrics,
                             std::unique_ptr<Probe> probe, uint64_t seed)
    : clock_(clock),
      log_(log),
      probe_(std::move(probe)),
      succeeded_(metrics.AddCounter(kChecksName, kChecksHelp, {{"result", "success"}})),
      failed_(metrics.AddCounter(kChecksName, kChecksHelp, {{"result", "failure"}})),
      discarded_(metrics.AddCounter(kChecksName, kChecksHelp, {{"result", "discarded"}})),
      late_turns_(metrics.AddCounter(
          "rosterd_prober_late_turns_total",
          "Turns of the prober that came over 1 s late: a suspend, or too little CPU time.")),
      duration_(metrics.AddHistogram("rosterd_check_duration_seconds",
                                     "From the start of a check's run to its end.",
                                     kDurationBuckets)),
      lateness_(metrics.AddHistogram("rosterd_check_start_lateness_seconds",
                                     "From the moment a check was due to the start of its run.",
                                     kLatenessBuckets)),
      starting_(metrics.AddGauge(kStatesName, kStatesHelp, {{"state", "starting"}})),
      passing_(metrics.AddGauge(kStatesName, kStatesHelp, {{"state", "passing"}})),
      failing_(metrics.AddGauge(kStatesName, kStatesHelp, {{"state", "failing"}})),
      random_(seed),
      schedule_(random_) {}

HealthChecker::~HealthChecker() { Stop(); }

void HealthChecker::Apply(std::shared_ptr<const Config> config) {
  {
    std::lock_guard lock(mutex_);
    new_config_ = std::move(config);
  }
  probe_->Wake();
}

void HealthChecker::Start() {
  thread_ = std::jthread([this](std::stop_token stop) { Run(stop); });
}

void HealthChecker::Stop() {
  std::lock_guard lock(join_mutex_);
  thread_.request_stop();
  probe_->Wake();
  if (thread_.joinable()) thread_.join();
}

void HealthChecker::Run(std::stop_token stop) {
  NameThisThread("prober");
  while (!stop.stop_requested()) {
    const TimePoint now = clock_.Now();
    back_by_ = now.time_since_epoch().count();
    const TimePoint next = Step(now);
    back_by_ = next.time_since_epoch().count();
    probe_->Wait(next);
  }
  back_by_ = Duration::max().count();
}

TimePoint HealthChecker::LastTurn(TimePoint now) const {
  return std::min(now, TimePoint(Duration(back_by_.load())));
}

TimePoint HealthChecker::Step(TimePoint now) {
  if (schedule_.BeginTurn(now)) NoteLateTurn(now);
  std::shared_ptr<const Config> config;
  {
    std::lock_guard lock(mutex_);
    config.swap(new_config_);
  }
  if (config != nullptr) Reconcile(*config, now);

  probe_->Collect(results_);
  std::vector<CheckId> again;
  for (ProbeResult& result : results_) TakeResult(result, now, again);
  results_.clear();
  schedule_.Again(again, now);

  for (const auto& [id, due] : schedule_.TakeDue(now, kStartsPerTurn)) {
    lateness_.Observe(Seconds(now - due));
    probe_->Start(id, now);
  }
  if (states_changed_) CountStates();
  return schedule_.EndTurn(now, board_.Step(now));
}

void HealthChecker::Reconcile(const Config& config, TimePoint now) {
  const WallTime wall = clock_.WallNow();
  std::map<std::string, std::unique_ptr<CheckedService>> before;
  before.swap(services_);
  std::vector<CheckId> added;
  std::vector<const CheckedService*> order, changed;
  size_t resumed_services = 0;
  for (const auto& configured : config.services) {
    std::unique_ptr<CheckedService>& service = services_[configured->id];
    const auto old = before.find(configured->id);
    if (old == before.end()) {
      service = std::make_unique<CheckedService>(configured, wall);
      const auto saved = restored_.instances.find(configured->id);
      const bool resumed = saved != restored_.instances.end() && service->Resume(saved->second);
      AddChecks(*service, added);
      if (resumed) {
        ++resumed_services;
      } else {
        Tell(*service, HealthStatus::kStarting);
      }
      continue;
    }
    service = std::move(old->second);
    before.erase(old);
    const auto change = CheckedService::Compare(service->config(), *configured);
    if (change == CheckedService::Change::kNone) continue;
    const HealthStatus status = service->status();
    const bool other_checks = change != CheckedService::Change::kDescribed;
    if (other_checks) RemoveChecks(*service);
    service->Reconfigure(configured, wall);
    if (other_checks) AddChecks(*service, added);
    Tell(*service, status);
    changed.push_back(service.get());
  }
  restored_.instances.clear();
  if (resumed_services > 0) {
    log_.Info("services go on as the last run left them, until their checks say otherwise",
              {{"services", resumed_services}});
  }
  for (const auto& [id, service] : services_) order.push_back(service.get());
  board_.SetServices(order);
  for (const CheckedService* service : changed) board_.Mark(service, true);
  // Only now: the board compares addresses, and a new service must not get that of an old one.
  for (const auto& [id, service] : before) RemoveChecks(*service);
  schedule_.Add(added, now);
  states_changed_ = true;
}

void HealthChecker::AddChecks(CheckedService& service, std::vector<CheckId>& added) {
  for (size_t i = 0; i < service.size(); ++i) {
    const CheckId id = ++last_id_;
    service.set_id(i, id);
    checks_[id] = {&service, i};
    probe_->Add(id, service.check(i));
    added.push_back(id);
  }
}

void HealthChecker::RemoveChecks(const CheckedService& service) {
  for (size_t i = 0; i < service.size(); ++i) {
    probe_->Remove(service.id(i));
    schedule_.Remove(service.id(i));
    checks_.erase(service.id(i));
  }
}

void HealthChecker::TakeResult(ProbeResult& result, TimePoint now, std::vector<CheckId>& again) {
  const auto found = checks_.find(result.id);
  if (found == checks_.end()) return;
  const CheckId id = result.id;
  const auto [service, i] = found->second;
  const bool in_time = schedule_.RunCounts(id);
  const WallTime wall = clock_.WallNow();
  if (result.success || (in_time && !result.own_trouble)) {
    (result.success ? succeeded_ : failed_).Increment();
    duration_.Observe(Seconds(result.duration));
    const HealthStatus before = service->status();
    const HealthStatus check_before = service->check_status(i);
    const bool confirmed_before = service->confirmed();
    const bool transition = service->Add(i, std::move(result), wall);
    if (transition) Tell(*service, before);
    if (service->status() == HealthStatus::kStarting && service->check_status(i) != check_before) {
      log_.Info("service has not passed yet", {{"service", service->config().name},
                                               {"id", service->config().id},
                                               {"reason", service->Reason()}});
    }
    board_.Mark(service, transition || service->confirmed() != confirmed_before);
  } else {
    discarded_.Increment();
    service->Note(i, std::move(result), wall);
    board_.Mark(service, false);
  }
  if (in_time) {
    schedule_.Finished(id, now, service->NextInterval(i));
  } else {
    again.push_back(id);
  }
}

void HealthChecker::Tell(const CheckedService& service, HealthStatus before) {
  if (service.status() == before) return;
  states_changed_ = true;
  const ServiceConfig& config = service.config();
  switch (service.status()) {
    case HealthStatus::kPassing:
      log_.Info("service is passing", {{"service", config.name}, {"id", config.id}});
      break;
    case HealthStatus::kFailing:
      log_.Warn("service is failing",
                {{"service", config.name}, {"id", config.id}, {"reason", service.Reason()}});
      break;
    case HealthStatus::kStarting:
      log_.Info("service starts anew", {{"service", config.name}, {"id", config.id}});
      break;
  }
}

void HealthChecker::NoteLateTurn(TimePoint now) {
  late_turns_.Increment();
  if (last_late_log_ != TimePoint{} && now < last_late_log_ + kLateLogAtMostEvery) return;
  last_late_log_ = now;
  log_.Warn(
      "the host was suspended or has too little CPU time; checks in progress count nothing against "
      "services and all that fell due run again");
}

void HealthChecker::CountStates() {
  states_changed_ = false;
  size_t counts[3] = {0, 0, 0};
  for (const auto& [id, service] : services_) ++counts[static_cast<size_t>(service->status())];
  starting_.Set(static_cast<double>(counts[static_cast<size_t>(HealthStatus::kStarting)]));
  passing_.Set(static_cast<double>(counts[static_cast<size_t>(HealthStatus::kPassing)]));
  failing_.Set(static_cast<double>(counts[static_cast<size_t>(HealthStatus::kFailing)]));
}

}  // namespace rosterd
