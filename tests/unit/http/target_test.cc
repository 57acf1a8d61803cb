// SPDX-License-Identifier: Apache-2.0
#include "http/target.h"

#include <catch2/catch.hpp>

namespace rosterd::http {

TEST_CASE("path and query are taken apart and decoded once") {
  struct Row {
    const char* target;
    const char* path;
    QueryParameters query;
  };
  const std::vector<Row> rows{
      {"/", "/", {}},
      {"/services/a%2Bb%c3%a4+c", "/services/a+b\xc3\xa4+c", {}},
      {"/x?", "/x", {}},
      {"/x?tag=a&tag=b", "/x", {{"tag", "a"}, {"tag", "b"}}},
      {"/x?key=abc==", "/x", {{"key", "abc=="}}},
      {"/x?a?b=c?d", "/x", {{"a?b", "c?d"}}},
      {"/x?&&a&=b&", "/x", {{"a", ""}, {"", "b"}}},
      {"/x?q=a+b%2Bc%20d", "/x", {{"q", "a b+c d"}}},
      {"/x?meta.%6bey=%3D%26", "/x", {{"meta.key", "=&"}}},
      {"/%2525", "/%25", {}},
      {"/x?a=%0d%0aX", "/x", {{"a", "\r\nX"}}},
  };
  for (const Row& row : rows) {
    INFO(row.target);
    const auto target = ParseTarget(row.target);
    REQUIRE(target.ok());
    CHECK(target->path == row.path);
    CHECK(target->query == row.query);
  }
}

TEST_CASE("malformed percent-encoding and NUL are refused") {
  for (const char* target : {"/%", "/%4", "/%zz", "/%4g", "/a%", "/x?a=%", "/x?%4=b", "/x?a=b%1",
                             "/%00", "/x?a=%00", "/% 41", "/%u0041"}) {
    INFO(target);
    CHECK_FALSE(ParseTarget(target).ok());
  }
}

}  // namespace rosterd::http
