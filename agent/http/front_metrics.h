// SPDX-License-Identifier: Apache-2.0
// What the front counts. A label is a literal of ours or a status, never what a client sent; each
// counter is looked up once and kept.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"

namespace rosterd::http {

// Owned by the http thread.
class FrontMetrics {
 public:
  // `metrics` must outlive this.
  explicit FrontMetrics(Metrics& metrics);

  // A request that reached a route; `took` from its last byte until its answer is ready.
  void Answered(std::string_view route, int status, Duration took);
  // A request that reached none, by the status it was refused with.
  void Refused(int status);
  // A connection that was ended without an answer.
  void DroppedForDescriptors() { descriptors_.Increment(); }
  void DroppedSlowReader() { slow_reader_.Increment(); }
  void Connections(size_t count);

 private:
  struct Route {
    std::string name;
    Histogram duration;
    std::vector<std::pair<int, Counter>> by_status;
  };
  Route& Find(std::string_view name);

  Metrics& metrics_;
  std::vector<Route> routes_;
  std::vector<std::pair<int, Counter>> refused_;
  Counter descriptors_;
  Counter slow_reader_;
  Gauge connections_;
  size_t shown_connections_ = 0;
};

}  // namespace rosterd::http
