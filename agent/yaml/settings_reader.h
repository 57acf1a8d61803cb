// SPDX-License-Identifier: Apache-2.0
// The sections of the main file other than `services` and `include`. Asks the Environment for the
// host's name and addresses; no other I/O.
#pragma once

#include "model/config.h"
#include "yaml/check_reader.h"
#include "yaml/environment.h"
#include "yaml/map_reader.h"

namespace rosterd::yaml {

// Takes every key but `services` and `include` from `map`. What is wrong keeps its default, except
// that node.name and node.advertise are "" then.
void ReadSettings(MapReader& map, Config& config, const Environment& environment,
                  const Report& report);

}  // namespace rosterd::yaml
