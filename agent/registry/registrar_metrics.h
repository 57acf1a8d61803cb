// SPDX-License-Identifier: Apache-2.0
// The registrar's metrics, built once. Handles only; thread-safe.
#pragma once

#include "base/metrics.h"
#include "etcd/client.h"
#include "model/etcd_snapshot.h"

namespace rosterd {

struct RegistrarMetrics {
  explicit RegistrarMetrics(Metrics& metrics);

  void CountWrite(const etcd::GuardedWrite& write) const;
  void Show(const RegistrationSnapshot& snapshot) const;

  Gauge registered;
  Gauge absent;
  Gauge conflict;
  Counter created;
  Counter replaced;
  Counter deleted;
  Counter repairs;
  Counter lease_losses;
  Counter keepalive_failures;
  Counter write_failures;
};

}  // namespace rosterd
