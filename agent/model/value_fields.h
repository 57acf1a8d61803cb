// SPDX-License-Identifier: Apache-2.0
// The members of a value that is a JSON object, as far as anyone here asks for them: private to the
// codec, which decides what they mean. Read in one pass without a tree, because an agent decodes
// tens of thousands of values before its first answer. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace rosterd {

// Where a member stands twice the last one counts; null is the same as no member at all.
struct ValueFields {
  enum class Kind { kMissing, kUsable, kWrong };
  struct Text {
    Kind kind = Kind::kMissing;  // kWrong: not a string
    std::string text;
  };
  struct Number {
    Kind kind = Kind::kMissing;  // kWrong: not a whole number from 0 to 65535
    uint16_t number = 0;
  };

  Text host;
  Number port;
  Text addr;
  Number weight;
  Text state;
  Text node;
  Text zone;
  Text agent;
  std::vector<std::string> tags;       // the strings among the elements
  std::vector<std::string> endpoints;  // likewise
  // Members that are not strings as their compact JSON text.
  std::map<std::string, std::string> meta;
};

// Error: why `json` is no JSON object of at most 32 levels, in a few words, quoting none of it.
absl::StatusOr<ValueFields> ReadValueFields(std::string_view json);

}  // namespace rosterd
