// SPDX-License-Identifier: Apache-2.0
// What a discovery route is asked for, read from the query parameters: which instances, and from
// which index on. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "http/message.h"
#include "model/instance.h"

namespace rosterd::api {

// Admits the instances that have all of these. Immutable once read.
struct InstanceFilter {
  std::vector<std::string> tags;
  std::vector<std::pair<std::string, std::string>> meta;
  std::vector<std::string> zones;  // "" asks for instances without a zone

  bool empty() const { return tags.empty() && meta.empty() && zones.empty(); }
  bool Admits(const Instance& instance) const;
};

struct BlockingQuery {
  int64_t index = 0;  // 0: answer at once
};

// Both ignore parameters that are not theirs. Error: which parameter is malformed and what would be
// right.
absl::StatusOr<InstanceFilter> ReadInstanceFilter(const http::QueryParameters& parameters);
absl::StatusOr<BlockingQuery> ReadBlockingQuery(const http::QueryParameters& parameters);

}  // namespace rosterd::api
