// SPDX-License-Identifier: Apache-2.0
#include "http/message.h"

namespace rosterd::http {
namespace {

const std::string* First(const std::vector<std::pair<std::string, std::string>>& pairs,
                         std::string_view name) {
  for (const auto& pair : pairs) {
    if (pair.first == name) return &pair.second;
  }
  return nullptr;
}

}  // namespace

const std::string* Request::Header(std::string_view name) const { return First(headers, name); }
const std::string* Request::Query(std::string_view name) const { return First(query, name); }

}  // namespace rosterd::http
