// SPDX-License-Identifier: Apache-2.0
// Views: all that a route may look at. The API takes one at the start of each request, so an answer
// never mixes two moments. Routes are pure functions of a Views and a request: they wait for
// nothing and ask nobody.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "model/catalog.h"
#include "model/config.h"
#include "model/etcd_snapshot.h"
#include "model/health_snapshot.h"

namespace rosterd::api {

// An etcd member that has answered more recently than this makes the catalog `live`.
inline constexpr Duration kLiveFor = seconds(5);

// One worker loop of the agent. A loop that sleeps because nothing is due has turned "now".
struct LoopTurn {
  std::string_view name;  // a literal
  TimePoint last_turn{};
};

// Immutable. Only `catalog` tells a user something by being null (none yet); the other snapshots
// are null until their worker has published once.
struct Views {
  std::shared_ptr<const Catalog> catalog;
  std::shared_ptr<const HealthSnapshot> health;
  std::shared_ptr<const RegistrationSnapshot> registration;
  std::shared_ptr<const EtcdSnapshot> etcd;
  std::shared_ptr<const Config> config;
  std::vector<LoopTurn> loops;
  TimePoint now{};
  TimePoint started{};      // when the agent came up
  TimePoint disk_answer{};  // etcd's last answer to the run that left a catalog on disk
  std::string_view version;
};

enum class CatalogState { kNone, kStale, kLive };

// "none", "stale" or "live".
std::string_view ToString(CatalogState state);
// Live: the watch is open and etcd has answered less than kLiveFor ago.
CatalogState StateOfCatalog(const Views& views);
// Since etcd's last answer; of a catalog from disk, that to the run that left it; since the start
// of the agent when there was none. Never negative.
Duration AgeOfCatalog(const Views& views);
// For a person: "no catalog yet: etcd http://127.0.0.1:2379: connection refused".
std::string WhyNoCatalog(const Views& views);
// The endpoint in use or tried last; before the first try, the first one configured.
std::string EtcdEndpoint(const Views& views);

}  // namespace rosterd::api
