// SPDX-License-Identifier: Apache-2.0
// ${NAME} and ${NAME:-default} in the values of a configuration. Replaced after the YAML has been
// taken apart, so that what comes from the environment is always one value and never structure.
// Pure.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rosterd::yaml {

// Empty when the variable is not set.
using Variables = std::function<std::optional<std::string>(const std::string& name)>;

// The parser takes braces and commas for itself inside [ ] and { }, and ends a text there at any
// '?'. So that "${A:-b, c}" and "/health?full=1" may stand unquoted wherever a value may, Shield()
// writes such characters as control bytes, one for one, which keeps every column; Unshield() gives
// them back in what was parsed. The text given to Shield() may hold no control bytes. One that
// holds the byte for '?' as an escape does without that shield; ShieldsQuestions() tells.
std::string Shield(std::string text);
std::string Unshield(std::string text, bool questions);
bool ShieldsQuestions(std::string_view source);

// `text` with every reference replaced; "$${" gives "${". As in a shell, the default counts for an
// empty variable too. What cannot be replaced adds a line to `errors`.
std::string Substitute(std::string_view text, const Variables& variables,
                       std::vector<std::string>& errors);

bool IsUtf8(std::string_view text);
// The length of the UTF-8 character at the beginning of `text`; 0: that is none.
size_t Utf8Length(std::string_view text);

}  // namespace rosterd::yaml
