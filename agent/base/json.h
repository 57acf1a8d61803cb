// SPDX-License-Identifier: Apache-2.0
// JSON in and out, bounded: what others wrote is limited in depth and size before a tree of it is
// built, and bytes that are not UTF-8 become U+FFFD in what we write instead of failing the answer.
// Runs on any thread; holds nothing.
#pragma once

#include <cstddef>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rosterd {

struct JsonLimits {
  size_t max_bytes = size_t{1} << 20;
  int max_depth = 32;
};

// Empty when the text is no JSON, too long or too deep; no exception leaves.
std::optional<nlohmann::json> ParseJson(std::string_view text, JsonLimits limits = {});

// Compact. Members of an ordered_json keep the order in which they were added.
std::string DumpJson(const nlohmann::ordered_json& value);

// For bodies that are written without a tree. Quotes included; the bytes are those of DumpJson:
// each maximal part of an ill-formed sequence is one U+FFFD (Unicode 15, 3.9, table 3-7).
void AppendJsonString(std::string& out, std::string_view text);
void AppendJsonArray(std::string& out, const std::vector<std::string>& strings);
void AppendJsonObject(std::string& out, const std::map<std::string, std::string>& members);

}  // namespace rosterd
