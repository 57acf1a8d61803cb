// SPDX-License-Identifier: Apache-2.0
// What a reload may change. Pure.
#pragma once

#include <string>
#include <vector>

#include "model/config.h"

namespace rosterd {

struct ReloadPlan {
  Config config;                           // what the agent runs with from now on
  std::vector<std::string> needs_restart;  // changed settings that kept their old value
};

// Takes services, guard, log and allowed_hosts from `loaded`; everything else stays as it is in
// `running`.
ReloadPlan PlanReload(const Config& running, const Config& loaded);

}  // namespace rosterd
