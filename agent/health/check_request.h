// SPDX-License-Identifier: Apache-2.0
// CheckRequest: a check's URL taken apart and put together again as the probe sends it. User and
// password are kept out of everything that people or logs see. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "model/config.h"

namespace rosterd {

struct CheckUrl {
  bool https = false;
  std::string credentials;  // "user:password", as written
  std::string host;         // bare: an IPv6 address without brackets
  uint16_t port = 0;        // the scheme's default where the URL names none
  bool default_port = false;
  std::string path;  // with its query, begins with a slash; the fragment is gone
};

// Error: the URL is not http(s)://HOST[:PORT][/PATH]. Never shows user and password.
absl::StatusOr<CheckUrl> ParseCheckUrl(std::string_view url);

// The URL as people may see it.
std::string CheckTarget(std::string_view url);

// What one run sends, and whereto. Constant after construction.
struct CheckRequest {
  std::string url;  // its host is the name that TLS verifies
  std::string connect_host;
  uint16_t port = 0;
  bool connects_elsewhere = false;        // connect_host is not the host of `url`
  bool needs_lookup = false;              // connect_host is a name that only a resolver knows
  std::vector<std::string> header_lines;  // "Name: value"
};

absl::StatusOr<CheckRequest> MakeCheckRequest(const CheckConfig& check);

// "200-299, 404".
std::string DescribeRanges(const std::vector<StatusRange>& ranges);
bool StatusMatches(const std::vector<StatusRange>& ranges, int status);

}  // namespace rosterd
