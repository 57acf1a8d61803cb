// SPDX-License-Identifier: Apache-2.0
#include "http/target.h"

#include <utility>

#include "base/status.h"
#include "http/text.h"

namespace rosterd::http {
namespace {

absl::StatusOr<std::string> PercentDecode(std::string_view text, bool plus_is_blank,
                                          const char* where) {
  std::string decoded;
  decoded.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus_is_blank) {
      decoded += ' ';
    } else if (text[i] != '%') {
      decoded += text[i];
    } else {
      const int high = i + 2 < text.size() ? HexValue(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? HexValue(text[i + 2]) : -1;
      if (high < 0 || low < 0) {
        return absl::InvalidArgumentError(std::string("malformed percent-encoding in the ") +
                                          where +
                                          "; '%' must be followed by two hexadecimal "
                                          "digits, a percent sign itself is %25");
      }
      if (high == 0 && low == 0) {
        return absl::InvalidArgumentError(std::string("the ") + where + " holds a NUL byte (%00)");
      }
      decoded += static_cast<char>(high * 16 + low);
      i += 2;
    }
  }
  return decoded;
}

}  // namespace

absl::StatusOr<Target> ParseTarget(std::string_view target) {
  Target result;
  const size_t mark = target.find('?');
  ASSIGN_OR_RETURN(result.path, PercentDecode(target.substr(0, mark), false, "path"));
  if (mark == std::string_view::npos) return result;
  std::string_view rest = target.substr(mark + 1);
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('&'), rest.size());
    const std::string_view pair = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (pair.empty()) continue;
    const size_t equals = std::min(pair.find('='), pair.size());
    ASSIGN_OR_RETURN(std::string name, PercentDecode(pair.substr(0, equals), true, "query"));
    ASSIGN_OR_RETURN(std::string value,
                     PercentDecode(pair.substr(std::min(equals + 1, pair.size())), true, "query"));
    result.query.emplace_back(std::move(name), std::move(value));
  }
  return result;
}

}  // namespace rosterd::http
