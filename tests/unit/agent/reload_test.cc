// SPDX-License-Identifier: Apache-2.0
#include "agent/reload.h"

#include <catch2/catch.hpp>

namespace rosterd {
namespace {

std::shared_ptr<const ServiceConfig> Service(const std::string& id) {
  auto service = std::make_shared<ServiceConfig>();
  service->name = "web";
  service->id = id;
  return service;
}

TEST_CASE("A reload takes services, guard, log and allowed hosts") {
  Config running;
  Config loaded;
  loaded.services = {Service("web-1")};
  loaded.guard = {100, seconds(5)};
  loaded.log.level = LogLevel::kDebug;
  loaded.http.allowed_hosts = {"web.example"};
  const ReloadPlan plan = PlanReload(running, loaded);
  CHECK(plan.config.services == loaded.services);
  CHECK(plan.config.guard == loaded.guard);
  CHECK(plan.config.log == loaded.log);
  CHECK(plan.config.http.allowed_hosts == loaded.http.allowed_hosts);
  CHECK(plan.needs_restart.empty());
}

TEST_CASE("Every other changed setting keeps its old value and is named") {
  Config running;
  running.node.name = "a";
  Config loaded = running;
  loaded.node = {"b", "10.0.0.1", "z"};
  loaded.etcd = {{"http://10.0.0.2:2379"}, "/other/", seconds(30), "u", "/p", {"/ca", "", "", ""}};
  loaded.http.listen = {"127.0.0.1:1"};
  loaded.data_dir = "/d";
  loaded.on_stop = OnStop::kKeep;
  const ReloadPlan plan = PlanReload(running, loaded);
  CHECK(plan.config.node == running.node);
  CHECK(plan.config.etcd == running.etcd);
  CHECK(plan.config.http == running.http);
  CHECK(plan.config.data_dir == running.data_dir);
  CHECK(plan.config.on_stop == running.on_stop);
  CHECK(plan.needs_restart == std::vector<std::string>{"node.name", "node.advertise", "node.zone",
                                                       "etcd.endpoints", "etcd.prefix",
                                                       "etcd.lease_ttl", "etcd.username",
                                                       "etcd.password_file", "etcd.tls",
                                                       "http.listen", "data_dir", "on_stop"});
}

}  // namespace
}  // namespace rosterd
