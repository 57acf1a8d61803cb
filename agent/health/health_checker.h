// SPDX-License-Identifier: Apache-2.0
// HealthChecker: runs the checks of all configured services and publishes which service passes. It
// owns the prober thread; a Probe does the outside work. Decides by `now` alone: tests call Step()
// with made-up times.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/latest.h"
#include "base/log.h"
#include "base/metrics.h"
#include "health/check_schedule.h"
#include "health/checked_service.h"
#include "health/health_board.h"
#include "health/probe.h"
#include "model/config.h"

namespace rosterd {

// Thread-safe but for Step, which belongs to the prober thread.
class HealthChecker {
 public:
  // `clock`, `log` and `metrics` must outlive it.
  HealthChecker(const Clock& clock, Log& log, Metrics& metrics, std::unique_ptr<Probe> probe,
                uint64_t seed);
  ~HealthChecker();
  HealthChecker(const HealthChecker&) = delete;
  HealthChecker& operator=(const HealthChecker&) = delete;

  // Takes effect on the prober thread soon. Services that did not change, or only in what describes
  // them, keep the state of their checks.
  void Apply(std::shared_ptr<const Config> config);

  // What an earlier run knew of the services that the first configuration names. Before Start().
  void Restore(SavedHealth saved) { restored_ = std::move(saved); }

  // Null until the first configuration has taken effect.
  Latest<HealthSnapshot>& snapshots() { return board_.published(); }

  // Starts the prober thread; once.
  void Start();
  // Ends it within 200 ms, whatever the targets do.
  void Stop();

  // When the prober should have come back at the latest, or `now` while it is in time: a loop that
  // hangs falls behind.
  TimePoint LastTurn(TimePoint now) const;

  // One turn: takes in what has ended, starts what is due, publishes. Bounded; returns when it
  // wants to be called next.
  TimePoint Step(TimePoint now);

 private:
  struct CheckPlace {
    CheckedService* service = nullptr;
    size_t index = 0;
  };

  void Run(std::stop_token stop);
  void Reconcile(const Config& config, TimePoint now);
  void AddChecks(CheckedService& service, std::vector<CheckId>& added);
  void RemoveChecks(const CheckedService& service);
  void TakeResult(ProbeResult& result, TimePoint now, std::vector<CheckId>& again);
  void Tell(const CheckedService& service, HealthStatus before);
  void NoteLateTurn(TimePoint now);
  void CountStates();

  // Constant after construction.
  const Clock& clock_;
  Log& log_;
  const std::unique_ptr<Probe> probe_;
  const Counter succeeded_, failed_, discarded_, late_turns_;
  const Histogram duration_, lateness_;
  const Gauge starting_, passing_, failing_;

  std::mutex mutex_;
  // Guarded by mutex_.
  std::shared_ptr<const Config> new_config_;

  // Owned by the prober thread.
  Random random_;
  CheckSchedule schedule_;
  HealthBoard board_;
  std::map<std::string, std::unique_ptr<CheckedService>> services_;  // by id
  std::unordered_map<CheckId, CheckPlace> checks_;
  CheckId last_id_ = 0;
  SavedHealth restored_;  // empty after the first configuration
  TimePoint last_late_log_{};
  bool states_changed_ = false;
  std::vector<ProbeResult> results_;

  std::atomic<Duration::rep> back_by_{Duration::max().count()};  // since the clock's epoch
  // Guards the join: two threads may stop at once.
  std::mutex join_mutex_;
  std::jthread thread_;
};

}  // namespace rosterd
