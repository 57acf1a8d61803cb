// SPDX-License-Identifier: Apache-2.0
// Values of one kind each: text, number, duration, choice, list, map of texts. Every reader
// returns nothing for a wrong value, after it has added a problem with its place; `name` is what
// the problem calls it. Scalars are read by ourselves: a YAML library takes 010 for eight. Pure.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "yaml/document.h"

namespace rosterd::yaml {

// Any scalar as it stands in the file; numbers and true are texts too where a text is wanted.
std::optional<std::string> ReadRawText(const Node& node, const std::string& name,
                                       Problems& problems);
// One line: no control characters.
std::optional<std::string> ReadText(const Node& node, const std::string& name, Problems& problems);

// Decimal digits with or without zeros in front; no hexadecimal, no fraction, no sign but '-'.
std::optional<int64_t> ReadInteger(const Node& node, const std::string& name, Problems& problems,
                                   int64_t least, int64_t most);
std::optional<bool> ReadBool(const Node& node, const std::string& name, Problems& problems);

// Units ms, s, m and h; whole milliseconds.
std::optional<Duration> ReadDuration(const Node& node, const std::string& name, Problems& problems,
                                     Duration least, Duration most);

// The position in `choices`.
std::optional<size_t> ReadChoice(const Node& node, const std::string& name, Problems& problems,
                                 std::initializer_list<std::string_view> choices);

// A text with the place where it stands, for readers that look closer.
struct PlacedText {
  std::string text;
  Place place;
};
// Items that are wrong are left out (with a problem each); nothing when `node` is no list.
std::optional<std::vector<PlacedText>> ReadTexts(const Node& node, const std::string& name,
                                                 Problems& problems);
struct PlacedPair {
  std::string key;
  Place key_place;
  PlacedText value;
};
// Values are raw text; an empty one (null) is "". In the order of the file.
std::optional<std::vector<PlacedPair>> ReadTextMap(const Node& node, const std::string& name,
                                                   Problems& problems);

// [A-Za-z0-9._-], 1 to `longest` of them, and neither "." nor "..": what may stand in a key of
// etcd and in a URL as it is.
bool IsPlainName(std::string_view text, size_t longest);
// "a-z, A-Z, 0-9, '.', '_' and '-', 1 to 63 of them" for messages.
std::string PlainNameRule(size_t longest);

bool HasControlCharacter(std::string_view text);

}  // namespace rosterd::yaml
