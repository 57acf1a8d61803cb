// SPDX-License-Identifier: Apache-2.0
#include "catalog/watcher_metrics.h"

#include <string>

namespace rosterd {

std::string_view ToString(ListReason reason) {
  switch (reason) {
    case ListReason::kNone:
      break;
    case ListReason::kStart:
      return "start";
    case ListReason::kCompacted:
      return "compacted";
    case ListReason::kBehind:
      return "behind";
    case ListReason::kReplaced:
      return "replaced";
    case ListReason::kCheck:
      return "check";
  }
  return "none";
}

WatcherMetrics::WatcherMetrics(Metrics& metrics)
    : services(metrics.AddGauge("rosterd_catalog_services",
                                "Services with at least one served instance.")),
      instances(metrics.AddGauge("rosterd_catalog_instances", "Served instances.")),
      revision(metrics.AddGauge("rosterd_catalog_revision",
                                "The catalog's revision, as shown in answers.")),
      unreadable(metrics.AddGauge("rosterd_catalog_unreadable_values",
                                  "Keys whose value cannot be read and is skipped.")),
      held(metrics.AddGauge("rosterd_catalog_held_instances",
                            "Served instances that are gone from etcd and kept by the guard "
                            "against mass loss.")),
      events(metrics.AddCounter("rosterd_catalog_events_total", "Events of the watch.")),
      repairs(metrics.AddCounter("rosterd_catalog_repairs_total",
                                 "Services that the periodic comparison with etcd found "
                                 "different from what the watch had told.")),
      holds(metrics.AddCounter("rosterd_catalog_holds_total",
                               "Times that the guard against mass loss began to hold instances.")) {
  for (const ListReason reason : {ListReason::kStart, ListReason::kCompacted, ListReason::kBehind,
                                  ListReason::kReplaced, ListReason::kCheck}) {
    relists.emplace(reason, metrics.AddCounter("rosterd_catalog_relists_total",
                                               "Lists of everything under the prefix, by reason.",
                                               {{"reason", std::string(ToString(reason))}}));
  }
}

}  // namespace rosterd
