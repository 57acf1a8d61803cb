// SPDX-License-Identifier: Apache-2.0
#include "registry/registrar_metrics.h"

namespace rosterd {
namespace {

constexpr char kRegistrations[] = "rosterd_registrations";
constexpr char kRegistrationsHelp[] = "Instances of this host that should be in etcd, by state.";
constexpr char kWrites[] = "rosterd_registration_writes_total";
constexpr char kWritesHelp[] = "Keys written to etcd, by kind of write.";

}  // namespace

RegistrarMetrics::RegistrarMetrics(Metrics& metrics)
    : registered(metrics.AddGauge(kRegistrations, kRegistrationsHelp, {{"state", "registered"}})),
      absent(metrics.AddGauge(kRegistrations, kRegistrationsHelp, {{"state", "absent"}})),
      conflict(metrics.AddGauge(kRegistrations, kRegistrationsHelp, {{"state", "conflict"}})),
      created(metrics.AddCounter(kWrites, kWritesHelp, {{"kind", "create"}})),
      replaced(metrics.AddCounter(kWrites, kWritesHelp, {{"kind", "replace"}})),
      deleted(metrics.AddCounter(kWrites, kWritesHelp, {{"kind", "delete"}})),
      repairs(metrics.AddCounter("rosterd_registration_repairs_total",
                                 "Keys put back after somebody else deleted or overwrote them.")),
      lease_losses(metrics.AddCounter("rosterd_lease_losses_total",
                                      "Leases that ended while they were in use.")),
      keepalive_failures(metrics.AddCounter("rosterd_lease_keepalive_failures_total",
                                            "Keepalives without an answer.")),
      write_failures(metrics.AddCounter("rosterd_registration_write_failures_total",
                                        "Transactions that failed as a whole.")) {}

void RegistrarMetrics::CountWrite(const etcd::GuardedWrite& write) const {
  if (write.kind == etcd::GuardedWrite::Kind::kDelete) {
    deleted.Increment();
  } else {
    (write.expected_mod_revision == 0 ? created : replaced).Increment();
  }
}

void RegistrarMetrics::Show(const RegistrationSnapshot& snapshot) const {
  int counts[3] = {0, 0, 0};
  for (const auto& [id, registration] : snapshot.instances) {
    ++counts[static_cast<int>(registration.state)];
  }
  absent.Set(counts[static_cast<int>(RegistrationState::kAbsent)]);
  registered.Set(counts[static_cast<int>(RegistrationState::kRegistered)]);
  conflict.Set(counts[static_cast<int>(RegistrationState::kConflict)]);
}

}  // namespace rosterd
