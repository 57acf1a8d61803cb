// SPDX-License-Identifier: Apache-2.0
#include "reload.h"

namespace rosterd {

ReloadPlan PlanReload(const Config& running, const Config& loaded) {
  ReloadPlan plan{running, {}};
  plan.config.services = loaded.services;
  plan.config.guard = loaded.guard;
  plan.config.log = loaded.log;
  plan.config.http.allowed_hosts = loaded.http.allowed_hosts;

  const auto keeps = [&plan](bool changed, const char* setting) {
    if (changed) plan.needs_restart.emplace_back(setting);
  };
  keeps(running.node.name != loaded.node.name, "node.name");
  keeps(running.node.advertise != loaded.node.advertise, "node.advertise");
  keeps(running.node.zone != loaded.node.zone, "node.zone");
  keeps(running.etcd.endpoints != loaded.etcd.endpoints, "etcd.endpoints");
  keeps(running.etcd.prefix != loaded.etcd.prefix, "etcd.prefix");
  keeps(running.etcd.lease_ttl != loaded.etcd.lease_ttl, "etcd.lease_ttl");
  keeps(running.etcd.username != loaded.etcd.username, "etcd.username");
  keeps(running.etcd.password_file != loaded.etcd.password_file, "etcd.password_file");
  keeps(running.etcd.tls != loaded.etcd.tls, "etcd.tls");
  keeps(running.http.listen != loaded.http.listen, "http.listen");
  keeps(running.data_dir != loaded.data_dir, "data_dir");
  keeps(running.on_stop != loaded.on_stop, "on_stop");
  return plan;
}

}  // namespace rosterd
