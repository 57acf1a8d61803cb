// SPDX-License-Identifier: Apache-2.0
// HealthSnapshot: what this host's checks say of its own services. Published by health/, read by
// the registrar (who is passing?) and by the API (why not?).
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "model/config.h"

namespace rosterd {

enum class HealthStatus { kStarting, kPassing, kFailing };

constexpr std::string_view ToString(HealthStatus status) {
  switch (status) {
    case HealthStatus::kStarting:
      return "starting";
    case HealthStatus::kPassing:
      return "passing";
    case HealthStatus::kFailing:
      return "failing";
  }
  return "failing";
}

struct CheckReport {
  std::string target;  // the URL, without user and password
  HealthStatus status = HealthStatus::kStarting;
  int http_status = 0;  // 0: no answer
  std::string error;    // of the last run; "" when it succeeded
  milliseconds duration{0};
  WallTime last_run{};  // epoch: not run yet
  int successes = 0;    // in a row
  int failures = 0;     // in a row
};

struct InstanceHealth {
  std::shared_ptr<const ServiceConfig> service;
  HealthStatus status = HealthStatus::kStarting;
  std::string reason;  // for a person: "1 of 2 successes needed: GET http://...: connection
                       // refused"; "" while passing
  WallTime since{};    // of the last change of status
  // False while the status is only remembered from an earlier run: this one's checks have not yet
  // borne it out.
  bool confirmed = true;
  std::vector<CheckReport> checks;
};

// Immutable. Sorted by service id.
struct HealthSnapshot {
  std::vector<std::shared_ptr<const InstanceHealth>> instances;

  std::shared_ptr<const InstanceHealth> Find(std::string_view id) const {
    for (const auto& instance : instances) {
      if (instance->service->id == id) return instance;
    }
    return nullptr;
  }
};

}  // namespace rosterd
