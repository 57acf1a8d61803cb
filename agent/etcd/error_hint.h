// SPDX-License-Identifier: Apache-2.0
// What a person can do about an error of etcd or gRPC that a wrong setting causes. gRPC's words
// alone do not tell: a missing client certificate reads "Endpoint read failed". Pure.
#pragma once

#include <string>
#include <string_view>

#include "etcd/error.h"
#include "model/config.h"

namespace rosterd::etcd {

struct HintFacts {
  const EtcdConfig& settings;
  bool https = false;
  // A call on this connection was answered before: then the settings cannot be that wrong.
  bool answered_before = false;
  bool writing = false;  // the call was one that changes keys
};

// "" where nobody's settings are to blame.
std::string HintFor(ErrorClass error_class, std::string_view text, const HintFacts& facts);

// Authenticate on an etcd without access control.
bool SaysAuthIsOff(const Error& error);

}  // namespace rosterd::etcd
