// SPDX-License-Identifier: Apache-2.0
#include "etcd/session_metrics.h"

#include <string>
#include <vector>

namespace rosterd::etcd {
namespace {

constexpr char kRequests[] = "rosterd_etcd_requests_total";
constexpr char kRequestsHelp[] = "Calls to etcd by kind and result (ok or the class of the error)";
const std::vector<double>& Buckets() {
  static const std::vector<double> buckets{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                           0.1,   0.25,   0.5,   1,    1.5,   5};
  return buckets;
}

}  // namespace

std::string_view ToString(CallKind kind) {
  switch (kind) {
    case CallKind::kGrant:
      return "grant";
    case CallKind::kKeepAlive:
      return "keepalive";
    case CallKind::kRevoke:
      return "revoke";
    case CallKind::kWrite:
      return "write";
    case CallKind::kList:
      return "list";
    case CallKind::kRead:
      return "read";
    case CallKind::kPing:
      return "ping";
    case CallKind::kWatch:
      return "watch";
    case CallKind::kAuthenticate:
      return "authenticate";
  }
  return "unknown";
}

SessionMetrics::SessionMetrics(Metrics& metrics)
    : metrics_(metrics),
      connected_(
          metrics.AddGauge("rosterd_etcd_connected", "1 while an etcd member answers, else 0")),
      failovers_(metrics.AddCounter("rosterd_etcd_failovers_total",
                                    "Connections to etcd that were given up")) {
  for (size_t i = 0; i < kCallKinds; ++i) {
    const auto kind = static_cast<CallKind>(i);
    const std::string call(ToString(kind));
    if (kind != CallKind::kWatch) {
      calls_[i].ok =
          metrics.AddCounter(kRequests, kRequestsHelp, {{"call", call}, {"result", "ok"}});
      calls_[i].duration = metrics.AddHistogram("rosterd_etcd_request_duration_seconds",
                                                "How long calls to etcd took, errors included",
                                                Buckets(), {{"call", call}});
    }
  }
}

void SessionMetrics::Finished(CallKind kind, Duration took, const Error* error) {
  const PerCall& call = calls_[static_cast<size_t>(kind)];
  call.duration.Observe(std::chrono::duration<double>(took).count());
  if (error == nullptr) {
    call.ok.Increment();
    return;
  }
  metrics_
      .AddCounter(kRequests, kRequestsHelp,
                  {{"call", std::string(ToString(kind))},
                   {"result", std::string(ToString(error->error_class))}})
      .Increment();
}

}  // namespace rosterd::etcd
