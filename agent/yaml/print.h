// SPDX-License-Identifier: Apache-2.0
// The effective configuration as YAML: every default filled in, includes merged, references
// replaced. Pure.
#pragma once

#include <string>

#include "model/config.h"

namespace rosterd {

// Reading it gives an equal Config.
std::string PrintConfig(const Config& config);

}  // namespace rosterd
