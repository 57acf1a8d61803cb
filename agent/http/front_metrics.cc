// SPDX-License-Identifier: Apache-2.0
#include "http/front_metrics.h"

namespace rosterd::http {
namespace {

constexpr size_t kMaxRoutes = 64;

constexpr const char* kRejected = "rosterd_http_rejected_total";
constexpr const char* kRejectedHelp = "Requests and connections ended before any route saw them";

const char* ReasonOf(int status) {
  switch (status) {
    case 403:
      return "host";
    case 408:
      return "timeout";
    case 413:
      return "body";
    case 414:
      return "request_line";
    case 417:
      return "expectation";
    case 431:
      return "headers";
    case 501:
      return "coding";
    case 503:
      return "memory";
    case 505:
      return "version";
    default:
      return "malformed";
  }
}

const std::vector<double>& Buckets() {
  static const std::vector<double> buckets{0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025,
                                           0.005,   0.01,   0.025,   0.1,    1};
  return buckets;
}

double ToSeconds(Duration d) { return std::chrono::duration<double>(d).count(); }

}  // namespace

FrontMetrics::FrontMetrics(Metrics& metrics)
    : metrics_(metrics),
      descriptors_(metrics.AddCounter(kRejected, kRejectedHelp, {{"reason", "descriptors"}})),
      slow_reader_(metrics.AddCounter(kRejected, kRejectedHelp, {{"reason", "slow_reader"}})),
      connections_(metrics.AddGauge("rosterd_http_connections", "Open client connections")) {
  for (const int status : {400, 403, 408, 413, 414, 417, 431, 501, 503, 505}) {
    refused_.emplace_back(
        status, metrics.AddCounter(kRejected, kRejectedHelp, {{"reason", ReasonOf(status)}}));
  }
}

FrontMetrics::Route& FrontMetrics::Find(std::string_view name) {
  for (Route& route : routes_) {
    if (route.name == name) return route;
  }
  if (routes_.size() >= kMaxRoutes) return routes_.front();
  const std::string label(name);
  return routes_.emplace_back(Route{
      label,
      metrics_.AddHistogram("rosterd_http_request_duration_seconds",
                            "From the last byte of a request until its answer is ready to be sent",
                            Buckets(), {{"route", label}}),
      {}});
}

void FrontMetrics::Answered(std::string_view route_name, int status, Duration took) {
  Route& route = Find(route_name);
  route.duration.Observe(ToSeconds(took));
  for (const auto& [code, counter] : route.by_status) {
    if (code == status) return counter.Increment();
  }
  const Counter counter =
      metrics_.AddCounter("rosterd_http_requests_total", "Requests answered by a route",
                          {{"route", route.name}, {"code", std::to_string(status)}});
  counter.Increment();
  route.by_status.emplace_back(status, counter);
}

void FrontMetrics::Refused(int status) {
  for (const auto& [code, counter] : refused_) {
    if (code == status) return counter.Increment();
  }
}

void FrontMetrics::Connections(size_t count) {
  if (count == shown_connections_) return;
  shown_connections_ = count;
  connections_.Set(static_cast<double>(count));
}

}  // namespace rosterd::http
