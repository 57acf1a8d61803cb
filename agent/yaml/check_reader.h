// SPDX-License-Identifier: Apache-2.0
// Reads one `check` of a service. Looks at the file of tls.ca (can it be read?); no other I/O.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/config.h"
#include "yaml/document.h"

namespace rosterd::yaml {

// What every reader of a service's parts is handed. Owned by the thread that reads.
struct Report {
  Problems& problems;
  std::vector<std::string>& warnings;

  void Warn(const Place& place, const std::string& text) const {
    warnings.push_back(place.Format() + ": " + text);
  }
};

// `port`: the service's, for a URL that is only a path; empty when it is wrong itself. Nothing is
// returned for a check with a problem.
std::optional<CheckConfig> ReadCheck(const Node& node, std::optional<uint16_t> port,
                                     const Report& report);

// "200-299,304": numbers and ranges from 100 to 599.
std::optional<std::vector<StatusRange>> ParseStatusRanges(std::string_view text);

// Empty: fine. Else what is wrong with the URL, and what would be right.
std::string CheckUrl(std::string_view url);

// `path` as it stands in the file of `place`: relative to that file's folder. Absolute.
std::string ResolvePath(const std::string& path, const Place& place);

// A file that exists and may be read, as ResolvePath() gives it; "" stays "". `wanted` is what to
// name instead, "a readable file of ...".
std::optional<std::string> ReadFilePath(const Node& node, const std::string& name,
                                        Problems& problems, const char* wanted);

}  // namespace rosterd::yaml
