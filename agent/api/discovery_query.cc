// SPDX-License-Identifier: Apache-2.0
#include "api/discovery_query.h"

#include <algorithm>
#include <charconv>
#include <string_view>

#include "base/duration.h"
#include "base/status.h"

namespace rosterd::api {
namespace {

constexpr std::string_view kMetaPrefix = "meta.";

absl::StatusOr<int64_t> ReadIndex(const std::string& text) {
  int64_t index = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, index);
  if (error != std::errc() || stop != end || text.front() == '-') {
    return absl::InvalidArgumentError(
        "index: '" + text +
        "' is not an index; write the X-Rosterd-Index of an earlier answer, or 0");
  }
  return index;
}

}  // namespace

bool InstanceFilter::Admits(const Instance& instance) const {
  const auto has_tag = [&](const std::string& tag) {
    return std::find(instance.tags.begin(), instance.tags.end(), tag) != instance.tags.end();
  };
  const auto has_meta = [&](const auto& wanted) {
    const auto it = instance.meta.find(wanted.first);
    return it != instance.meta.end() && it->second == wanted.second;
  };
  const auto in_zone = [&](const std::string& zone) { return instance.zone == zone; };
  return std::all_of(tags.begin(), tags.end(), has_tag) &&
         std::all_of(meta.begin(), meta.end(), has_meta) &&
         std::all_of(zones.begin(), zones.end(), in_zone);
}

absl::StatusOr<InstanceFilter> ReadInstanceFilter(const http::QueryParameters& parameters) {
  InstanceFilter filter;
  for (const auto& [name, value] : parameters) {
    if (name == "tag") {
      if (value.empty()) {
        return absl::InvalidArgumentError("'tag' is empty; write tag=NAME, or leave it out");
      }
      filter.tags.push_back(value);
    } else if (name == "zone") {
      filter.zones.push_back(value);
    } else if (name.starts_with(kMetaPrefix)) {
      if (name.size() == kMetaPrefix.size()) {
        return absl::InvalidArgumentError("'meta.' has no key; write meta.KEY=VALUE");
      }
      filter.meta.emplace_back(name.substr(kMetaPrefix.size()), value);
    }
  }
  return filter;
}

absl::StatusOr<BlockingQuery> ReadBlockingQuery(const http::QueryParameters& parameters) {
  BlockingQuery query;
  for (const auto& [name, value] : parameters) {
    if (name == "index") {
      ASSIGN_OR_RETURN(const int64_t index, ReadIndex(value));
      query.index = std::max(query.index, index);
    } else if (name == "wait") {
      const absl::StatusOr<Duration> wait = ParseDuration(value);
      if (!wait.ok()) {
        return absl::InvalidArgumentError("wait: " + std::string(wait.status().message()));
      }
    }
  }
  return query;
}

}  // namespace rosterd::api
