// SPDX-License-Identifier: Apache-2.0
#include "api/instance_status.h"

#include <algorithm>

namespace rosterd::api {
namespace {

// More would make the error unreadable; /agent has them all.
constexpr size_t kMostClauses = 3;

// HealthSnapshot::Find is linear; /agent would be quadratic with it.
std::shared_ptr<const InstanceHealth> FindHealth(const Views& views, std::string_view id) {
  if (views.health == nullptr) return nullptr;
  const auto& instances = views.health->instances;
  const auto it = std::lower_bound(
      instances.begin(), instances.end(), id,
      [](const auto& instance, std::string_view wanted) { return instance->service->id < wanted; });
  return it != instances.end() && (*it)->service->id == id ? *it : nullptr;
}

const Registration* FindRegistration(const Views& views, std::string_view id) {
  if (views.registration == nullptr) return nullptr;
  const auto it = views.registration->instances.find(id);
  return it == views.registration->instances.end() ? nullptr : &it->second;
}

// Of an instance that passes its checks.
std::string WhyUnregistered(const Views& views, const Registration* registration) {
  if (registration != nullptr && !registration->reason.empty()) return registration->reason;
  if (views.registration != nullptr && !views.registration->error.empty()) {
    return views.registration->error;
  }
  if (views.etcd != nullptr && !views.etcd->error.empty()) return views.etcd->error;
  return "waiting for its turn to be registered";
}

std::string Clause(const ServiceConfig& service, const InstanceStatus& status) {
  const std::string runs = "this host runs " + service.id;
  if (status.state == "passing") {
    if (status.registered) return runs + " and has registered it, which etcd does not show yet";
    return runs + ", which passes its checks but is not registered: " + status.reason;
  }
  return runs + " but it is " + (status.state == "conflict" ? "in " : "") +
         std::string(status.state) + (status.reason.empty() ? "" : ": " + status.reason);
}

}  // namespace

InstanceStatus StatusOf(const Views& views, const ServiceConfig& service) {
  InstanceStatus status;
  status.health = FindHealth(views, service.id);
  const Registration* registration = FindRegistration(views, service.id);
  const HealthStatus health =
      status.health == nullptr ? HealthStatus::kStarting : status.health->status;

  status.state = ToString(health);
  status.registered =
      registration != nullptr && registration->state == RegistrationState::kRegistered;
  status.since = status.health == nullptr ? WallTime{} : status.health->since;
  // The registrar learns of a failure after the checker: a failing instance wants no key any more,
  // so who holds the key does not matter.
  if (registration != nullptr && registration->state == RegistrationState::kConflict &&
      health != HealthStatus::kFailing) {
    status.state = "conflict";
    status.reason = registration->reason;
    status.since = registration->since;
  } else if (status.health == nullptr) {
    status.reason = "not checked yet";
  } else if (health != HealthStatus::kPassing) {
    status.reason = status.health->reason;
  } else if (!status.registered) {
    status.reason = WhyUnregistered(views, registration);
  }
  return status;
}

std::string WhyNotHere(const Views& views, std::string_view service) {
  if (views.config == nullptr) return "";
  std::string why;
  size_t found = 0;
  for (const auto& configured : views.config->services) {
    if (configured->name != service || ++found > kMostClauses) continue;
    if (!why.empty()) why += "; ";
    why += Clause(*configured, StatusOf(views, *configured));
  }
  if (found > kMostClauses) {
    why += "; and " + std::to_string(found - kMostClauses) + " more, see /agent";
  }
  return why;
}

}  // namespace rosterd::api
