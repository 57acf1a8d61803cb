// SPDX-License-Identifier: Apache-2.0
// Keys: PREFIX SERVICE "/" ID.
#include <catch2/catch.hpp>

#include "model/instance.h"

namespace rosterd {
namespace {

using namespace std::string_literals;

TEST_CASE("a key is prefix, service, slash and id") {
  CHECK(FormatKey("/services/", "my-service", "my-service-web-01-8080") ==
        "/services/my-service/my-service-web-01-8080");
  CHECK(FormatKey("p/", "a", "b/c") == "p/a/b/c");
}

TEST_CASE("a key's first part is the service and the rest the id, slashes included") {
  const auto [key, service, id] = GENERATE(table<std::string, std::string, std::string>({
      {"/services/my-service/web-1", "my-service", "web-1"},
      {"/services/my-service/7587864068988009477", "my-service", "7587864068988009477"},
      {"/services/a/b/c/d", "a", "b/c/d"},
      {"/services/a//b", "a", "/b"},
      {"/services/a/b/", "a", "b/"},
      {"/services/./..", ".", ".."},
      {"/services/\xff\x01/\n"s, "\xff\x01", "\n"},
      {"/services/a\0b/c\0d"s, "a\0b"s, "c\0d"s},
  }));
  CAPTURE(key);
  const auto parsed = ParseKey("/services/", key);
  REQUIRE(parsed.has_value());
  CHECK(*parsed == InstanceKey{service, id});
  CHECK(FormatKey("/services/", parsed->service, parsed->id) == key);
}

TEST_CASE("other keys are no instances") {
  const std::string key =
      GENERATE("", "/", "/services", "/services/", "/services/a", "/services/a/", "/services//a",
               "/services//", "/service/a/b", "services/a/b", "/servicesx/a/b", "/SERVICES/a/b");
  CAPTURE(key);
  CHECK_FALSE(ParseKey("/services/", key).has_value());
}

}  // namespace
}  // namespace rosterd
