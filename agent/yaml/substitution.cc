// SPDX-License-Identifier: Apache-2.0
#include "yaml/substitution.h"

#include <algorithm>

#include "yaml/problem.h"

namespace rosterd::yaml {
namespace {

constexpr std::string_view kPlain = "{}[],:#";
constexpr std::string_view kShielded = "\x01\x02\x03\x05\x06\x07\x08";  // 4 ends yaml-cpp's input
constexpr char kShieldedQuestion = '\x0e';
constexpr std::string_view kShieldedBegin = "$\x01";
static_assert(kPlain.size() == kShielded.size());

void Translate(std::string_view from, std::string_view to, char& c) {
  if (const size_t i = from.find(c); i != std::string_view::npos) c = to[i];
}

bool IsInsideWord(char c) {
  return std::string_view(" \t\r\n[]{},").find(c) == std::string_view::npos;
}

bool IsVariableName(std::string_view name) {
  const auto letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  return !name.empty() && letter(name.front()) &&
         std::all_of(name.begin(), name.end(),
                     [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

}  // namespace

bool ShieldsQuestions(std::string_view source) {
  for (const std::string_view escape : {"\\x0", "\\u00", "\\U00"}) {
    if (source.find(escape) != std::string_view::npos) return false;
  }
  return true;
}

std::string Shield(std::string text) {
  for (size_t at = 0; (at = text.find("${", at)) != std::string::npos; at += 2) {
    const size_t end = text.find_first_of("{}\n\"'", at + 2);
    if (end == std::string::npos || text[end] != '}') continue;
    for (size_t i = at + 1; i <= end; ++i) Translate(kPlain, kShielded, text[i]);
  }
  if (ShieldsQuestions(text)) {
    for (size_t i = 1; i < text.size(); ++i) {
      if (text[i] == '?' && IsInsideWord(text[i - 1])) {
        text[i] = kShieldedQuestion;
      }
    }
  }
  return text;
}

std::string Unshield(std::string text, bool questions) {
  if (questions) std::replace(text.begin(), text.end(), kShieldedQuestion, '?');
  for (size_t at = 0; (at = text.find(kShieldedBegin, at)) != std::string::npos;) {
    const size_t end = text.find(kShielded[1], at);
    if (end == std::string::npos) break;
    for (; at <= end; ++at) Translate(kShielded, kPlain, text[at]);
  }
  return text;
}

std::string Substitute(std::string_view text, const Variables& variables,
                       std::vector<std::string>& errors) {
  std::string out;
  while (!text.empty()) {
    const size_t at = text.find("${");
    if (at == std::string_view::npos) return out.append(text);
    if (at > 0 && text[at - 1] == '$') {
      out.append(text.substr(0, at - 1)).append("${");
      text.remove_prefix(at + 2);
      continue;
    }
    out.append(text.substr(0, at));
    text.remove_prefix(at + 2);
    const size_t end = text.find('}');
    if (end == std::string_view::npos) {
      errors.push_back("'${' is not closed; write ${NAME}, or $${ for the characters themselves");
      return out;
    }
    const std::string_view reference = text.substr(0, end);
    text.remove_prefix(end + 1);
    const size_t colon = reference.find(":-");
    const std::string name(reference.substr(0, colon));
    if (!IsVariableName(name) || reference.find("${") != std::string_view::npos) {
      errors.push_back(Quoted("${" + std::string(reference) + "}") +
                       " is not a reference to the environment; write ${NAME} or "
                       "${NAME:-default}, or $${ for the characters themselves");
      continue;
    }
    std::optional<std::string> value = variables ? variables(name) : std::nullopt;
    if (colon != std::string_view::npos && value.value_or("").empty()) {
      value = std::string(reference.substr(colon + 2));
    }
    if (!value) {
      errors.push_back("the environment variable " + name + " is not set; set it, or write ${" +
                       name + ":-default}");
    } else if (!IsUtf8(*value)) {
      errors.push_back("the environment variable " + name + " is not UTF-8; set it to plain text");
    } else {
      out += *value;
    }
  }
  return out;
}

size_t Utf8Length(std::string_view text) {
  if (text.empty()) return 0;
  const auto at = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = at(0);
  if (first < 0x80) return 1;
  const size_t length = first >= 0xf0 && first <= 0xf4   ? 4
                        : first >= 0xe0 && first <= 0xef ? 3
                        : first >= 0xc2 && first <= 0xdf ? 2
                                                         : 0;
  if (length == 0 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((at(i) & 0xc0) != 0x80) return 0;
  }
  // Overlong forms, surrogates and what lies beyond Unicode.
  if ((first == 0xe0 && at(1) < 0xa0) || (first == 0xed && at(1) > 0x9f) ||
      (first == 0xf0 && at(1) < 0x90) || (first == 0xf4 && at(1) > 0x8f)) {
    return 0;
  }
  return length;
}

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    const size_t length = Utf8Length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

}  // namespace rosterd::yaml
