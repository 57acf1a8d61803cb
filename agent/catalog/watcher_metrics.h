// SPDX-License-Identifier: Apache-2.0
// The watcher's metrics, and why it lists everything (a label of one of them).
#pragma once

#include <map>
#include <string_view>

#include "base/metrics.h"

namespace rosterd {

enum class ListReason {
  kNone,
  kStart,
  kCompacted,  // the watch cannot go on where it broke
  kBehind,     // the member stands before what is known: it lags, or history was replaced
  kReplaced,   // another cluster answers
  kCheck,      // the periodic comparison
};

std::string_view ToString(ListReason reason);

// Handles; thread-safe.
struct WatcherMetrics {
  explicit WatcherMetrics(Metrics& metrics);

  Gauge services;
  Gauge instances;
  Gauge revision;
  Gauge unreadable;
  Gauge held;
  Counter events;
  Counter repairs;
  Counter holds;
  std::map<ListReason, Counter> relists;
};

}  // namespace rosterd
