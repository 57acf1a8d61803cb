// SPDX-License-Identifier: Apache-2.0
#include "api/entity_match.h"

#include <catch2/catch.hpp>

namespace rosterd::api {
namespace {

bool Hits(const std::vector<std::string>& lines, const std::string& etag = "\"abc\"") {
  http::Request request;
  request.headers.emplace_back("host", "localhost");
  for (const std::string& line : lines) request.headers.emplace_back("if-none-match", line);
  return NoneMatchHits(request, etag);
}

TEST_CASE("If-None-Match hits a tag by weak comparison, anywhere in a list") {
  for (const char* line :
       {"\"abc\"", "W/\"abc\"", " \"abc\" ", "\"x\", \"abc\"", "\"x\",\"abc\",\"y\"",
        "\"x\" , W/\"abc\"", ",,\"abc\",", "\"a,b\", \"abc\"", "*", " * "}) {
    CAPTURE(line);
    CHECK(Hits({line}));
    CHECK(Hits({line}, "W/\"abc\""));
  }
  CHECK(Hits({"\"x\"", "\"abc\""}));
  CHECK(Hits({"\"x\"", "*"}));
}

TEST_CASE("If-None-Match misses other tags and malformed lists") {
  CHECK_FALSE(Hits({}));
  for (const char* line :
       {"", " ", ",", "\"ab\"", "\"abcd\"", "\"ABC\"", "abc", "\"abc", "abc\"", "w/\"abc\"", "W/",
        "W/abc", "\"x,\"abc\"", "*abc", "x \"abc\"", "\"\"", "\"x, \\\"abc\\\"\""}) {
    CAPTURE(line);
    CHECK_FALSE(Hits({line}));
  }
}

}  // namespace
}  // namespace rosterd::api
