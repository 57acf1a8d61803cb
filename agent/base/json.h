// SPDX-License-Identifier: Apache-2.0
// JSON in and out, bounded: what others wrote is limited in depth and size before a tree of it is
// built, and bytes that are not UTF-8 become U+FFFD in what we write instead of failing the answer.
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace rosterd {

struct JsonLimits {
  size_t max_bytes = size_t{1} << 20;
  int max_depth = 32;
};

// Empty when the text is no JSON, too long or too deep; no exception leaves.
std::optional<nlohmann::json> ParseJson(std::string_view text, JsonLimits limits = {});

// Compact. Members of an ordered_json keep the order in which they were added.
std::string DumpJson(const nlohmann::ordered_json& value);

}  // namespace rosterd
