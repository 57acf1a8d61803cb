// SPDX-License-Identifier: Apache-2.0
#include "api/entity_match.h"

namespace rosterd::api {
namespace {

std::string_view WithoutWeakMark(std::string_view tag) {
  if (tag.starts_with("W/")) tag.remove_prefix(2);
  return tag;
}

// Tags may contain commas, so the list cannot be cut at them.
bool ListNames(std::string_view list, std::string_view opaque) {
  while (true) {
    const size_t start = list.find_first_not_of(" \t,");
    if (start == std::string_view::npos) return false;
    list.remove_prefix(start);
    if (list.front() == '*') return list.find_first_not_of(" \t", 1) == std::string_view::npos;
    list = WithoutWeakMark(list);
    if (list.empty() || list.front() != '"') return false;
    const size_t end = list.find('"', 1);
    if (end == std::string_view::npos) return false;
    if (list.substr(0, end + 1) == opaque) return true;
    list.remove_prefix(end + 1);
  }
}

}  // namespace

bool NoneMatchHits(const http::Request& request, std::string_view etag) {
  const std::string_view opaque = WithoutWeakMark(etag);
  for (const auto& [name, value] : request.headers) {
    if (name == "if-none-match" && ListNames(value, opaque)) return true;
  }
  return false;
}

}  // namespace rosterd::api
