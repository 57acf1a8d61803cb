// SPDX-License-Identifier: Apache-2.0
// Api: what the http front calls for each request. It takes the newest snapshots once per request
// and hands them to the routes; it never waits and never asks etcd.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "api/service_list.h"
#include "api/views.h"
#include "base/clock.h"
#include "base/latest.h"
#include "base/metrics.h"
#include "http/message.h"

namespace rosterd::api {

// Where the views come from; all of it must outlive the Api.
struct Sources {
  const Latest<Catalog>& catalog;
  const Latest<HealthSnapshot>& health;
  const Latest<RegistrationSnapshot>& registration;
  const Latest<EtcdSnapshot>& etcd;
  const Latest<Config>& config;
  const Clock& clock;
  Metrics& metrics;
  std::function<std::vector<LoopTurn>()> loops;  // thread-safe, does not wait; empty: none
  TimePoint disk_answer{};                       // as in Views
};

// Handle() and its handler: owned by the http thread.
class Api {
 public:
  // The agent's uptime counts from here.
  Api(Sources sources, std::string version);
  Api(const Api&) = delete;
  Api& operator=(const Api&) = delete;

  http::Answer Handle(const http::Request& request);
  // Calls Handle(); valid as long as this object.
  http::Handler handler();

 private:
  Views TakeViews() const;
  std::string RenderMetrics() const;

  // Constant after construction.
  const Sources sources_;
  const std::string version_;
  const TimePoint started_;
  const std::function<std::string()> render_metrics_;
  const Gauge uptime_;
  const Gauge catalog_age_;
  const Gauge catalog_live_;
  // Used by the http thread only.
  ServiceListCache service_list_;
};

}  // namespace rosterd::api
