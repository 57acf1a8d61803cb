// SPDX-License-Identifier: Apache-2.0
// The only file of base/ with nlohmann's parser in it, and the escaper for bodies written by hand.
// Runs on any thread; holds nothing; lets no exception out.
#include "base/json.h"

#include <nlohmann/json.hpp>

namespace rosterd {
namespace {

// nlohmann's parser is iterative, but its trees are not: refuse what nests too deep before the tree
// exists. A bracket inside a string does not count.
bool TooDeep(std::string_view text, int max_depth) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') {
        ++i;
      } else if (c == '"') {
        in_string = false;
      }
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > max_depth) return true;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return false;
}

// How many bytes at the start of `text` are one well-formed sequence, or, with `ok` false, the
// maximal part of an ill-formed one. `text` is not empty and begins with a byte above 0x7f.
size_t SequenceLength(std::string_view text, bool& ok) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  size_t length = 0;
  unsigned char low = 0x80;
  unsigned char high = 0xbf;
  if (lead >= 0xc2 && lead <= 0xdf) {
    length = 2;
  } else if (lead >= 0xe0 && lead <= 0xef) {
    length = 3;
    if (lead == 0xe0) low = 0xa0;   // shorter forms exist
    if (lead == 0xed) high = 0x9f;  // surrogates
  } else if (lead >= 0xf0 && lead <= 0xf4) {
    length = 4;
    if (lead == 0xf0) low = 0x90;
    if (lead == 0xf4) high = 0x8f;  // above U+10FFFF
  }
  ok = false;
  if (length == 0) return 1;
  for (size_t i = 1; i < length; ++i) {
    if (i == text.size() || byte(i) < low || byte(i) > high) return i;
    low = 0x80;
    high = 0xbf;
  }
  ok = true;
  return length;
}

void AppendEscape(std::string& out, char c) {
  constexpr char kHex[] = "0123456789abcdef";
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\b':
      out += "\\b";
      return;
    case '\f':
      out += "\\f";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      out += "\\u00";
      out += kHex[c >> 4];
      out += kHex[c & 15];
  }
}

}  // namespace

std::optional<nlohmann::json> ParseJson(std::string_view text, JsonLimits limits) {
  if (text.size() > limits.max_bytes || TooDeep(text, limits.max_depth)) return std::nullopt;
  // nlohmann takes a NUL for the end of the text and would not read what follows.
  if (text.find('\0') != std::string_view::npos) return std::nullopt;
  nlohmann::json value = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (value.is_discarded()) return std::nullopt;
  return value;
}

std::string DumpJson(const nlohmann::ordered_json& value) {
  return value.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

void AppendJsonString(std::string& out, std::string_view text) {
  out += '"';
  size_t copied = 0;  // what stands before this is in `out`
  for (size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x80) {
      bool ok = false;
      const size_t length = SequenceLength(text.substr(i), ok);
      if (!ok) {
        out.append(text, copied, i - copied);
        out += "\xef\xbf\xbd";
        copied = i + length;
      }
      i += length;
      continue;
    }
    if (c < 0x20 || c == '"' || c == '\\') {
      out.append(text, copied, i - copied);
      AppendEscape(out, text[i]);
      copied = i + 1;
    }
    ++i;
  }
  out.append(text, copied);
  out += '"';
}

void AppendJsonArray(std::string& out, const std::vector<std::string>& strings) {
  char before = '[';
  for (const std::string& text : strings) {
    out += before;
    AppendJsonString(out, text);
    before = ',';
  }
  out += strings.empty() ? "[]" : "]";
}

void AppendJsonObject(std::string& out, const std::map<std::string, std::string>& members) {
  char before = '{';
  for (const auto& [key, text] : members) {
    out += before;
    AppendJsonString(out, key);
    out += ':';
    AppendJsonString(out, text);
    before = ',';
  }
  out += members.empty() ? "{}" : "}";
}

}  // namespace rosterd
