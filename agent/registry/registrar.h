// SPDX-License-Identifier: Apache-2.0
// Registrar: keeps in etcd, under one lease, exactly the instances of this host that are passing.
// Runs in a StepThread of its own; wake it when health, catalog or the connection changed. It never
// calls upstream: what it knows comes from snapshots and from etcd's answers.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/latest.h"
#include "base/log.h"
#include "base/metrics.h"
#include "etcd/client.h"
#include "model/catalog.h"
#include "model/config.h"
#include "model/etcd_snapshot.h"
#include "model/health_snapshot.h"
#include "registry/identity.h"
#include "registry/lease_file.h"
#include "registry/lease_session.h"
#include "registry/mass_loss.h"
#include "registry/own_keys.h"
#include "registry/registrar_metrics.h"
#include "registry/registration_log.h"

namespace rosterd {

// Step and Stop: the registrar thread, or another one after it has ended. registrations():
// thread-safe.
class Registrar {
 public:
  // All of them must outlive the registrar.
  struct Inputs {
    etcd::Client& client;
    const Clock& clock;
    const Latest<Catalog>& catalog;
    const Latest<HealthSnapshot>& health;
    const Latest<EtcdSnapshot>& etcd;
    Log& log;
    Metrics& metrics;
    LeaseFile* file = nullptr;  // null: nothing is remembered
  };

  // `predecessor`: what the file told of the run before this one; its agent uuid should be the
  // identity's.
  Registrar(const Inputs& inputs, Identity identity,
            const std::optional<LeaseRecord>& predecessor = std::nullopt,
            uint64_t seed = std::random_device{}());

  // Makes at most one call to etcd, at most etcd::kCallTimeout long; the keepalive goes first.
  TimePoint Step(TimePoint now);

  // kDeregister: ends the lease and with it every key, in one call of at most 1 s; when that fails
  // the TTL does it. kKeep: one last keepalive, so that a successor has the whole TTL. No Step
  // after it.
  void Stop(OnStop mode);

  const Latest<RegistrationSnapshot>& registrations() const { return registrations_; }

 private:
  LeaseView MakeLeaseView() const;
  // Whether keys are to be evaluated.
  bool TakeSnapshots(TimePoint now);
  bool TakeCatalog(TimePoint now);
  void TakeEtcd(std::shared_ptr<const EtcdSnapshot> etcd, TimePoint now);
  bool ScanIsDue(TimePoint now) const;

  void AskForLease(int64_t lease, TimePoint now);
  void RenewLease(int64_t lease, TimePoint now);
  void OnLeaseEvent(LeaseSession::Event event);
  void Write(const OwnKeys::Batch& batch);
  void OnWriteError(const etcd::Error& error, const OwnKeys::Batch& batch);
  TimePoint NextWrite(TimePoint now) const;

  void Report();
  void Publish();
  std::string Waiting() const;
  void Save(int64_t lease);

  // Constant after construction.
  const Inputs in_;
  const Identity identity_;
  const std::string boot_id_;
  const RegistrarMetrics metrics_;

  // The registrar thread's.
  RegistrationLog log_;
  Random random_;
  LeaseSession lease_;
  OwnKeys keys_;
  MassLoss mass_loss_;
  std::shared_ptr<const EtcdSnapshot> etcd_;
  bool connected_ = false;  // calls may be made; a denial is said call by call
  uint64_t generation_ = 0;
  uint64_t cluster_id_ = 0;
  bool evaluate_ = true;
  TimePoint scan_at_{};
  // After errors: of the connection, of etcd itself, and of etcd's space, which leaves deletions.
  TimePoint write_at_{};
  TimePoint slow_until_{};
  TimePoint puts_at_{};
  size_t max_ops_ = etcd::kMaxTxnOps;
  int refused_keys_ = 0;  // in a row, each on its own
  Backoff fast_{milliseconds(100), seconds(2)};
  Backoff slow_{seconds(2), seconds(15)};
  // Why registrations do not get through; "" when they do.
  std::string lease_error_;
  std::string write_error_;
  bool publish_ = true;
  Latest<RegistrationSnapshot> registrations_;
};

}  // namespace rosterd
