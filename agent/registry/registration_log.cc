// SPDX-License-Identifier: Apache-2.0
#include "registry/registration_log.h"

#include <string>
#include <utility>

#include "model/etcd_snapshot.h"

namespace rosterd {

bool RegistrationLog::IsNew(std::optional<etcd::ErrorClass>& last, const etcd::Error& error) {
  if (last == error.error_class) return false;
  last = error.error_class;
  return true;
}

void RegistrationLog::LeaseEvent(LeaseSession::Event event, const LeaseSession& session) {
  using Event = LeaseSession::Event;
  const LogField lease{"lease", LeaseText(session.lease())};
  const LogField lost{"lease", LeaseText(session.last_lost())};
  const LogField ttl{"ttl_s", session.ttl().count()};
  switch (event) {
    case Event::kNothing:
    case Event::kRenewed:
      break;
    case Event::kGranted:
      grant_error_.reset();
      log_.Info("lease granted; registrations are bound to it", {lease, ttl});
      break;
    case Event::kAdopted:
      log_.Info("the lease of the run before this one goes on", {lease, ttl});
      break;
    case Event::kAdoptionFailed:
      log_.Info("the lease of the run before this one has ended; asking for a new one", {lost});
      break;
    case Event::kResumed:
      log_.Info("the lease outlived the silence of etcd", {lease});
      break;
    case Event::kSuspect:
      log_.Warn("no answer from etcd for a whole lease time; registrations may have ended",
                {lease, ttl});
      break;
    case Event::kLost:
      log_.Warn("lease lost; every registration is put again under a new one", {lost});
      break;
  }
}

void RegistrationLog::GrantFailed(const etcd::Error& error) {
  if (!IsNew(grant_error_, error)) return;
  log_.Warn("etcd gives no lease, so nothing can be registered; trying again",
            {{"error", error.Describe()}});
}

void RegistrationLog::KeepAliveFailed(int64_t lease, const etcd::Error& error) {
  if (std::exchange(keepalive_failing_, true)) return;
  log_.Warn("the lease could not be renewed; trying again",
            {{"lease", LeaseText(lease)}, {"error", error.Describe()}});
}

void RegistrationLog::KeepAliveWorks(int64_t lease) {
  if (!std::exchange(keepalive_failing_, false)) return;
  log_.Info("the lease is renewed again", {{"lease", LeaseText(lease)}});
}

void RegistrationLog::WriteFailed(const etcd::Error& error, size_t keys) {
  if (!IsNew(write_error_, error)) return;
  log_.Warn("registrations cannot be written to etcd; trying again",
            {{"error", error.Describe()}, {"keys", keys}});
}

void RegistrationLog::WriteWorks() {
  if (!write_error_) return;
  write_error_.reset();
  log_.Info("registrations get through to etcd again");
}

void RegistrationLog::Changed(const RegistrationChange& change) {
  using Kind = RegistrationChange::Kind;
  const LogField service{"service", change.service};
  const LogField id{"id", change.id};
  const LogField lease{"lease", LeaseText(change.lease)};
  const LogField reason{"reason", change.reason};
  switch (change.kind) {
    case Kind::kRegistered:
      log_.Info("registered", {service, id, lease});
      break;
    case Kind::kUpdated:
      log_.Info("registration updated", {service, id, lease});
      break;
    case Kind::kRepaired:
      log_.Warn("registration repaired: somebody else had deleted or overwritten its key",
                {service, id, lease});
      break;
    case Kind::kDeregistered:
      log_.Info("deregistered", {service, id, lease, reason});
      break;
    case Kind::kConflict:
      log_.Warn("conflict: another agent holds this registration", {service, id, lease, reason});
      break;
  }
}

void RegistrationLog::Kept(int64_t lease) {
  log_.Info("registrations are kept until the lease ends or a successor takes it over",
            {{"lease", LeaseText(lease)}});
}

void RegistrationLog::Revoked(int64_t lease) {
  log_.Info("deregistered everything: the lease is ended", {{"lease", LeaseText(lease)}});
}

void RegistrationLog::NotRevoked(int64_t lease, seconds ttl, const etcd::Error& error) {
  log_.Warn("the lease could not be ended; its registrations go when its time is over",
            {{"lease", LeaseText(lease)}, {"ttl_s", ttl.count()}, {"error", error.Describe()}});
}

}  // namespace rosterd
