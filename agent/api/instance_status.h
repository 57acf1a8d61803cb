// SPDX-License-Identifier: Apache-2.0
// What this host can say of one instance of its own: health and registration put together. Used by
// /agent for machines and by the 404 of /services/NAME for people. Pure.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "api/views.h"

namespace rosterd::api {

struct InstanceStatus {
  std::string_view state;                        // starting, passing, failing or conflict
  bool registered = false;                       // its key stands in etcd under our lease
  std::string reason;                            // why it is not registered; "" when it is
  WallTime since{};                              // of `state`; epoch: unknown
  std::shared_ptr<const InstanceHealth> health;  // null: no check has been set up yet
};

InstanceStatus StatusOf(const Views& views, const ServiceConfig& service);

// One clause for each instance of `service` that this host is configured to run: "this host runs
// web-1 but it is failing: GET http://127.0.0.1:8080/: connection refused"; "" when it runs none.
std::string WhyNotHere(const Views& views, std::string_view service);

}  // namespace rosterd::api
