// SPDX-License-Identifier: Apache-2.0
// RegistrationLog: the registrar's lines in the log. Transitions, not repetitions: an error is
// told when it begins and when it is over.
#pragma once

#include <optional>

#include "base/log.h"
#include "etcd/error.h"
#include "model/config.h"
#include "registry/lease_session.h"
#include "registry/own_key.h"

namespace rosterd {

// Owned by the registrar thread.
class RegistrationLog {
 public:
  explicit RegistrationLog(Log& log) : log_(log) {}

  void LeaseEvent(LeaseSession::Event event, const LeaseSession& session);
  void GrantFailed(const etcd::Error& error);
  void KeepAliveFailed(int64_t lease, const etcd::Error& error);
  void KeepAliveWorks(int64_t lease);
  void WriteFailed(const etcd::Error& error, size_t keys);
  void WriteWorks();
  void Changed(const RegistrationChange& change);
  void Kept(int64_t lease);
  void Revoked(int64_t lease);
  void NotRevoked(int64_t lease, seconds ttl, const etcd::Error& error);

 private:
  // False when the error goes on as it was.
  bool IsNew(std::optional<etcd::ErrorClass>& last, const etcd::Error& error);

  Log& log_;
  std::optional<etcd::ErrorClass> grant_error_;
  std::optional<etcd::ErrorClass> write_error_;
  bool keepalive_failing_ = false;
};

}  // namespace rosterd
