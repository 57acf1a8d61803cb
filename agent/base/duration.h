// SPDX-License-Identifier: Apache-2.0
// Durations as people write them: "500ms", "15s", "5m", "1h", "1h30m", "1.5s" (Go's grammar with
// the units ns, us, ms, s, m, h). Used by the configuration and by the HTTP API alike.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "base/clock.h"

namespace rosterd {

// Never negative. Error: what is wrong and what would be right, in one sentence. "0" needs no unit.
absl::StatusOr<Duration> ParseDuration(std::string_view text);

// The shortest exact form: "15s", "1500ms", "5m", "0s".
std::string FormatDuration(Duration d);

}  // namespace rosterd
