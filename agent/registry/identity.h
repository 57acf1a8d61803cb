// SPDX-License-Identifier: Apache-2.0
// Who writes the registrations. Fixed for the life of the process.
#pragma once

#include <string>

#include "base/clock.h"

namespace rosterd {

// Immutable.
struct Identity {
  std::string node;
  std::string zone;
  std::string agent;                 // uuid; a successor with the same data_dir keeps it
  std::string prefix{"/services/"};  // ends with a slash
  seconds lease_ttl{15};
};

// A random (version 4) UUID in lower case.
std::string NewAgentUuid();

// The kernel's id of this boot; "" when it cannot be read.
std::string ReadBootId();

}  // namespace rosterd
