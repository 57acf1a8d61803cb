// SPDX-License-Identifier: Apache-2.0
// Reads the section `guard`: from which share on, and how long, answers keep what vanished at once.
// Does no I/O.
#pragma once

#include "model/config.h"
#include "yaml/document.h"

namespace rosterd::yaml {

// What is wrong keeps its default. `node` may be null: the section is not given.
void ReadGuard(const Node* node, GuardConfig& guard, Problems& problems);

}  // namespace rosterd::yaml
