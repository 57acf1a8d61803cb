// SPDX-License-Identifier: Apache-2.0
#include "api/agent_status.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "api/answers.h"
#include "api/instance_status.h"

namespace rosterd::api {
namespace {

using Json = nlohmann::ordered_json;

int64_t Milliseconds(Duration d) { return ToMilliseconds(d).count(); }

Json CheckPage(const CheckReport& check) {
  return {{"target", check.target},
          {"state", ToString(check.status)},
          {"status", check.http_status},
          {"error", check.error},
          {"duration_ms", check.duration.count()},
          {"last_run", FormatRfc3339(check.last_run)},
          {"successes", check.successes},
          {"failures", check.failures}};
}

Json ServicePage(const Views& views, const ServiceConfig& service) {
  const InstanceStatus status = StatusOf(views, service);
  Json checks = Json::array();
  if (status.health != nullptr) {
    for (const CheckReport& check : status.health->checks) checks.push_back(CheckPage(check));
  }
  return {{"id", service.id},           {"name", service.name},
          {"address", service.address}, {"port", service.port},
          {"state", status.state},      {"registered", status.registered},
          {"reason", status.reason},    {"since", FormatRfc3339(status.since)},
          {"checks", std::move(checks)}};
}

Json EtcdPage(const Views& views) {
  const RegistrationSnapshot none;
  const RegistrationSnapshot& own = views.registration == nullptr ? none : *views.registration;
  const bool kept = own.lease != 0 && own.last_keepalive != TimePoint{};
  const Duration keepalive_age = std::max(views.now - own.last_keepalive, Duration::zero());
  return {{"endpoint", EtcdEndpoint(views)},
          {"state", ToString(views.etcd == nullptr ? EtcdState::kConnecting : views.etcd->state)},
          {"error", views.etcd == nullptr ? "" : views.etcd->error},
          {"lease", own.lease == 0 ? "" : LeaseText(own.lease)},
          {"lease_ttl_s", own.lease_ttl.count()},
          {"keepalive_age_ms", kept ? Milliseconds(keepalive_age) : -1}};
}

Json CatalogPage(const Views& views) {
  const Catalog* catalog = views.catalog.get();
  return {{"state", ToString(StateOfCatalog(views))},
          {"index", catalog == nullptr ? 0 : catalog->index()},
          {"services", catalog == nullptr ? 0 : catalog->services()},
          {"instances", catalog == nullptr ? 0 : catalog->instances()},
          {"age_ms", Milliseconds(AgeOfCatalog(views))}};
}

}  // namespace

http::Answer ShowAgent(const Views& views) {
  Json services = Json::array();
  if (views.config != nullptr) {
    for (const auto& service : views.config->services) {
      services.push_back(ServicePage(views, *service));
    }
  }
  const auto uptime = std::chrono::duration_cast<seconds>(views.now - views.started);
  return JsonAnswer(200, {{"node", views.config == nullptr ? "" : views.config->node.name},
                          {"version", views.version},
                          {"uptime_s", uptime.count()},
                          {"etcd", EtcdPage(views)},
                          {"catalog", CatalogPage(views)},
                          {"services", std::move(services)}});
}

http::Answer ShowAgentService(const Views& views, const std::string& id) {
  if (views.config != nullptr) {
    for (const auto& service : views.config->services) {
      if (service->id == id) return JsonAnswer(200, ServicePage(views, *service));
    }
  }
  return ErrorAnswer(404, "no service with the id '" + id +
                              "' is configured on this host; GET /agent lists those that are");
}

}  // namespace rosterd::api
