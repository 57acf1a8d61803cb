// SPDX-License-Identifier: Apache-2.0
#include "yaml/scalar.h"

#include <algorithm>
#include <charconv>

#include "base/duration.h"
#include "yaml/map_reader.h"

namespace rosterd::yaml {
namespace {

bool IsScalar(const Node& node, const std::string& name, Problems& problems, const char* wanted) {
  if (node.unusable) return false;
  if (node.kind == Node::Kind::kScalar) return true;
  problems.Add(node.place, name + " is " + Describe(node) + "; write " + wanted);
  return false;
}

}  // namespace

std::optional<std::string> ReadRawText(const Node& node, const std::string& name,
                                       Problems& problems) {
  if (!IsScalar(node, name, problems, "one text (in quotes where it holds ': ' or brackets)")) {
    return std::nullopt;
  }
  return node.text;
}

std::optional<std::string> ReadText(const Node& node, const std::string& name, Problems& problems) {
  auto text = ReadRawText(node, name, problems);
  if (text && HasControlCharacter(*text)) {
    problems.Add(node.place, name + " holds a line break or another control character (" +
                                 Quoted(*text) + "); write one line of text");
    return std::nullopt;
  }
  return text;
}

std::optional<int64_t> ReadInteger(const Node& node, const std::string& name, Problems& problems,
                                   int64_t least, int64_t most) {
  const std::string rule =
      "a whole number from " + std::to_string(least) + " to " + std::to_string(most);
  if (!IsScalar(node, name, problems, rule.c_str())) return std::nullopt;
  int64_t value = 0;
  const std::string& text = node.text;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || value < least ||
      value > most) {
    problems.Add(node.place, name + " is " + Quoted(text) + "; write " + rule);
    return std::nullopt;
  }
  return value;
}

std::optional<bool> ReadBool(const Node& node, const std::string& name, Problems& problems) {
  if (!IsScalar(node, name, problems, "true or false")) return std::nullopt;
  if (node.text == "true" || node.text == "false") return node.text == "true";
  problems.Add(node.place, name + " is " + Quoted(node.text) + "; write true or false");
  return std::nullopt;
}

std::optional<Duration> ReadDuration(const Node& node, const std::string& name, Problems& problems,
                                     Duration least, Duration most) {
  if (!IsScalar(node, name, problems, "a duration, for example 500ms, 2s or 1m")) {
    return std::nullopt;
  }
  // The house's grammar knows smaller units than people need here.
  const bool known_units = node.text.find_first_of("nu") == std::string::npos;
  const auto value = ParseDuration(known_units ? node.text : "?");
  if (!value.ok()) {
    problems.Add(node.place, name + " is " + Quoted(node.text) +
                                 "; write a number with a unit of ms, s, m or h, for example "
                                 "500ms, 2s or 1m");
    return std::nullopt;
  }
  const bool in_range = *value >= least && *value <= most;
  if (!in_range || *value % milliseconds(1) != Duration::zero()) {
    problems.Add(node.place,
                 name + " is " + Quoted(node.text) + "; write " +
                     (in_range ? "whole milliseconds"
                               : FormatDuration(least) + " to " + FormatDuration(most)));
    return std::nullopt;
  }
  return *value;
}

std::optional<size_t> ReadChoice(const Node& node, const std::string& name, Problems& problems,
                                 std::initializer_list<std::string_view> choices) {
  std::string rule;
  for (const std::string_view choice : choices) {
    if (!rule.empty()) rule += choice == *(choices.end() - 1) ? " or " : ", ";
    rule += choice;
  }
  if (!IsScalar(node, name, problems, rule.c_str())) return std::nullopt;
  const auto* const found = std::find(choices.begin(), choices.end(), node.text);
  if (found == choices.end()) {
    problems.Add(node.place, name + " is " + Quoted(node.text) + "; write " + rule);
    return std::nullopt;
  }
  return static_cast<size_t>(found - choices.begin());
}

std::optional<std::vector<PlacedText>> ReadTexts(const Node& node, const std::string& name,
                                                 Problems& problems) {
  if (node.unusable) return std::nullopt;
  if (node.kind != Node::Kind::kList) {
    const bool one = node.kind == Node::Kind::kScalar;
    problems.Add(node.place, name + " is " + Describe(node) + "; write a list, " +
                                 (one && node.text.size() <= 60 ? "[" + node.text + "]"
                                                                : std::string("[one, two]")));
    return std::nullopt;
  }
  std::vector<PlacedText> texts;
  for (const NodePtr& item : node.items) {
    auto text = ReadText(*item, "an item of " + name, problems);
    if (text && text->empty()) {
      problems.Add(item->place, "an item of " + name + " is empty; write its text or remove it");
    } else if (text) {
      texts.push_back({std::move(*text), item->place});
    }
  }
  return texts;
}

std::optional<std::vector<PlacedPair>> ReadTextMap(const Node& node, const std::string& name,
                                                   Problems& problems) {
  if (node.kind != Node::Kind::kMap) {
    if (!node.unusable) {
      problems.Add(node.place,
                   name + " is " + Describe(node) + "; write a map of texts, {key: value}");
    }
    return std::nullopt;
  }
  std::vector<PlacedPair> pairs;
  for (const Entry& entry : node.entries) {
    if (entry.key.empty() || HasControlCharacter(entry.key)) {
      problems.Add(entry.place, "a key of " + name + " is " + Quoted(entry.key) +
                                    "; write one line of text that is not empty");
      continue;
    }
    std::string value;
    if (entry.value->kind != Node::Kind::kNull) {
      auto text = ReadRawText(*entry.value, name + "." + entry.key, problems);
      if (!text) continue;
      value = std::move(*text);
    }
    pairs.push_back({entry.key, entry.place, {std::move(value), entry.value->place}});
  }
  return pairs;
}

bool IsPlainName(std::string_view text, size_t longest) {
  return !text.empty() && text.size() <= longest && text != "." && text != ".." &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '.' || c == '_' || c == '-';
         });
}

std::string PlainNameRule(size_t longest) {
  return "1 to " + std::to_string(longest) +
         " of the characters A-Z a-z 0-9 . _ - (and not just "
         "'.' or '..')";
}

bool HasControlCharacter(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f;
  });
}

}  // namespace rosterd::yaml
