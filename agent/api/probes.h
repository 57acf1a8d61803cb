// SPDX-License-Identifier: Apache-2.0
// GET /livez and GET /readyz, for whoever restarts the agent or sends it clients. Pure.
#pragma once

#include <string>
#include <vector>

#include "api/views.h"
#include "http/message.h"

namespace rosterd::api {

// A loop that has not turned for this long is stuck.
inline constexpr Duration kStuckAfter = seconds(10);

// One sentence for each loop that is stuck at `now`; empty: all turn.
std::vector<std::string> StuckLoops(const std::vector<LoopTurn>& loops, TimePoint now);

// 503 when a worker loop is stuck. Says nothing about etcd: a restart would not help there.
http::Answer ShowLiveness(const Views& views);
// 503 until the catalog is known, from etcd or from disk.
http::Answer ShowReadiness(const Views& views);

}  // namespace rosterd::api
