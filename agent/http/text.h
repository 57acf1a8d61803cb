// SPDX-License-Identifier: Apache-2.0
// ASCII as HTTP means it, whatever the locale says. Pure; any thread.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace rosterd::http {

constexpr bool IsDigit(char c) { return c >= '0' && c <= '9'; }
constexpr char ToLowerChar(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
constexpr bool IsAlpha(char c) { return ToLowerChar(c) >= 'a' && ToLowerChar(c) <= 'z'; }

// RFC 9110, 5.6.2.
constexpr bool IsTokenChar(char c) {
  return IsAlpha(c) || IsDigit(c) ||
         (c != 0 && std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos);
}

// The value of a hexadecimal digit, or -1.
constexpr int HexValue(char c) {
  if (IsDigit(c)) return c - '0';
  const char lower = ToLowerChar(c);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

inline std::string ToLower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), ToLowerChar);
  return lower;
}

inline bool EqualsIgnoreCase(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return ToLowerChar(x) == ToLowerChar(y); });
}

}  // namespace rosterd::http
