// SPDX-License-Identifier: Apache-2.0
// A Probe that lives in made-up time: a test says how each URL answers and after how long.
#pragma once

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "health/probe.h"
#include "support/fake_clock.h"

namespace rosterd::testing {

// Not thread-safe, but for Wake().
class FakeProbe final : public Probe {
 public:
  struct Answer {
    bool success = true;
    Duration after = milliseconds(1);  // beyond the check's timeout: it times out
    std::string error = "connection refused";
    bool own_trouble = false;
  };
  struct Run {
    std::string url;
    TimePoint at;
  };
  using Script = std::function<Answer(const CheckConfig&)>;

  explicit FakeProbe(const FakeClock& clock) : clock_(clock) {}

  // How every run from now on ends.
  void Answers(Script script) { script_ = std::move(script); }

  void Add(CheckId id, const CheckConfig& check) override {
    overlapped_ = overlapped_ || checks_.count(id) != 0;
    checks_[id] = check;
  }
  void Remove(CheckId id) override {
    checks_.erase(id);
    const auto running = running_.find(id);
    if (running == running_.end()) return;
    ends_.erase({running->second.first, id});
    running_.erase(running);
  }
  void Start(CheckId id, TimePoint now) override {
    const CheckConfig& check = checks_.at(id);
    runs_.push_back({check.url, now});
    overlapped_ = overlapped_ || running_.count(id) != 0;
    const Answer answer = script_(check);
    ProbeResult result;
    result.id = id;
    result.success = answer.success && answer.after <= check.timeout;
    result.own_trouble = answer.own_trouble;
    result.duration = std::min(answer.after, check.timeout);
    result.http_status = result.success ? 200 : 0;
    if (!result.success) {
      result.error = answer.after > check.timeout ? "timed out" : answer.error;
    }
    const TimePoint end = now + result.duration;
    ends_.emplace(end, id);
    running_[id] = {end, std::move(result)};
  }
  void Collect(std::vector<ProbeResult>& results) override {
    while (!ends_.empty() && ends_.begin()->first <= clock_.Now()) {
      const CheckId id = ends_.begin()->second;
      ends_.erase(ends_.begin());
      results.push_back(std::move(running_[id].second));
      running_.erase(id);
    }
  }
  void Wait(TimePoint) override {}
  void Wake() override { ++wakes_; }

  // When the next run ends.
  TimePoint NextEnd() const { return ends_.empty() ? kNever : ends_.begin()->first; }
  const std::vector<Run>& runs() const { return runs_; }
  void ForgetRuns() { runs_.clear(); }
  // A check was started while it ran, or added twice.
  bool overlapped() const { return overlapped_; }
  int wakes() const { return wakes_; }
  size_t checks() const { return checks_.size(); }

 private:
  const FakeClock& clock_;
  Script script_ = [](const CheckConfig&) { return Answer(); };
  std::map<CheckId, CheckConfig> checks_;
  std::map<CheckId, std::pair<TimePoint, ProbeResult>> running_;
  std::set<std::pair<TimePoint, CheckId>> ends_;
  std::vector<Run> runs_;
  bool overlapped_ = false;
  std::atomic<int> wakes_{0};
};

}  // namespace rosterd::testing
