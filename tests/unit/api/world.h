// SPDX-License-Identifier: Apache-2.0
// A made-up moment of an agent for the tests of the API: views to change at will, and catalogs
// built from a few rows.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "api/router.h"
#include "api/views.h"

namespace rosterd::api::testing {

// One instance as it stands in etcd.
inline Instance MakeInstance(const std::string& service, const std::string& id,
                             const std::string& host, uint16_t port) {
  Instance instance;
  instance.service = service;
  instance.id = id;
  instance.host = host;
  instance.port = port;
  instance.node = "web-01";
  return instance;
}

struct Row {
  Instance instance;
  int64_t mod_revision = 1;
  bool readable = true;
};

std::shared_ptr<const Catalog> MakeCatalog(int64_t revision, const std::vector<Row>& rows,
                                           bool watch_open = true);

// The answer's header, or "(none)".
inline std::string HeaderOf(const http::Answer& answer, std::string_view name) {
  for (const auto& [key, value] : answer.headers) {
    if (key == name) return value;
  }
  return "(none)";
}

inline std::string BodyOf(const http::Answer& answer) {
  return answer.body == nullptr ? "" : *answer.body;
}

// A connected agent "web-01" that came up 100 s ago, heard etcd 1.9 s ago, knows no catalog and has
// no services.
class World {
 public:
  World() {
    views.now = TimePoint(seconds(1000));
    views.started = views.now - seconds(100);
    views.version = "0.1.0";
    config.node.name = "web-01";
    etcd.state = EtcdState::kConnected;
    etcd.endpoint = "http://127.0.0.1:2379";
    etcd.last_answer = views.now - milliseconds(1900);
  }

  // A service of this host; its health is unknown until AddHealth().
  std::shared_ptr<const ServiceConfig> AddService(const std::string& name, const std::string& id) {
    ServiceConfig service;
    service.name = name;
    service.id = id;
    service.address = "10.0.0.5";
    service.port = 8080;
    config.services.push_back(std::make_shared<const ServiceConfig>(service));
    return config.services.back();
  }

  InstanceHealth& AddHealth(const std::string& name, const std::string& id, HealthStatus status,
                            const std::string& reason) {
    InstanceHealth instance;
    instance.service = AddService(name, id);
    instance.status = status;
    instance.reason = reason;
    instance.since = WallTime(seconds(1'790'000'000));
    instances.push_back(std::make_shared<InstanceHealth>(instance));
    return *instances.back();
  }

  Views Now() {
    Views all = views;
    all.config = std::make_shared<const Config>(config);
    all.etcd = std::make_shared<const EtcdSnapshot>(etcd);
    all.registration = std::make_shared<const RegistrationSnapshot>(registration);
    HealthSnapshot health;
    for (const auto& instance : instances) health.instances.push_back(instance);
    all.health = std::make_shared<const HealthSnapshot>(health);
    return all;
  }

  http::Answer Ask(const http::Request& request) {
    return Route(Now(), request, RouteTools{service_list, render_metrics});
  }

  http::Answer Get(const std::string& path, http::QueryParameters query = {},
                   std::vector<std::pair<std::string, std::string>> headers = {}) {
    http::Request request;
    request.method = "GET";
    request.path = path;
    request.query = std::move(query);
    request.headers = std::move(headers);
    return Ask(request);
  }

  Views views;
  Config config;
  EtcdSnapshot etcd;
  RegistrationSnapshot registration;
  std::vector<std::shared_ptr<InstanceHealth>> instances;  // sorted by id, as config.services
  ServiceListCache service_list;
  std::function<std::string()> render_metrics = [] { return std::string("rosterd_x 1\n"); };
};

}  // namespace rosterd::api::testing
