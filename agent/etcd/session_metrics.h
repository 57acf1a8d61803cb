// SPDX-License-Identifier: Apache-2.0
// What the session counts: requests by call and result, how long they took, failovers.
#pragma once

#include <array>
#include <string_view>

#include "base/clock.h"
#include "base/metrics.h"
#include "etcd/error.h"

namespace rosterd::etcd {

enum class CallKind {
  kGrant,
  kKeepAlive,
  kRevoke,
  kWrite,
  kList,
  kRead,
  kPing,
  kWatch,
  kAuthenticate
};
inline constexpr size_t kCallKinds = 9;

std::string_view ToString(CallKind kind);

// Thread-safe.
class SessionMetrics {
 public:
  // `metrics` must outlive it.
  explicit SessionMetrics(Metrics& metrics);

  // `error` is null for a success. A watch has no duration: it lasts until it breaks.
  void Finished(CallKind kind, Duration took, const Error* error);
  void Connected(bool connected) { connected_.Set(connected ? 1 : 0); }
  void FailedOver() { failovers_.Increment(); }

 private:
  struct PerCall {
    Counter ok;
    Histogram duration;
  };

  // Constant after construction.
  Metrics& metrics_;
  std::array<PerCall, kCallKinds> calls_;
  Gauge connected_;
  Counter failovers_;
};

}  // namespace rosterd::etcd
