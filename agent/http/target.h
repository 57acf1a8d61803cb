// SPDX-License-Identifier: Apache-2.0
// The request target taken apart: path and query, percent-decoded. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "http/message.h"

namespace rosterd::http {

struct Target {
  std::string path;
  QueryParameters query;  // a name without '=' has the value ""
};

// `target` in origin form. In the query '+' is a blank; in the path it is itself. Error: a percent
// sign without two hexadecimal digits, or an encoded NUL.
absl::StatusOr<Target> ParseTarget(std::string_view target);

}  // namespace rosterd::http
