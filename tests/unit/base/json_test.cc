// SPDX-License-Identifier: Apache-2.0
// JSON from others is bounded; what we write is always UTF-8.
#include "base/json.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <random>

namespace rosterd {
namespace {

using namespace std::string_literals;

std::string Nested(int levels) { return std::string(levels, '[') + std::string(levels, ']'); }

std::string Written(std::string_view text) {
  std::string out;
  AppendJsonString(out, text);
  return out;
}

TEST_CASE("JSON is read up to the depth limit and no deeper") {
  CHECK(ParseJson(Nested(32)).has_value());
  CHECK_FALSE(ParseJson(Nested(33)).has_value());
  CHECK_FALSE(ParseJson(std::string(500'000, '[')).has_value());
  CHECK(ParseJson(Nested(3), {.max_depth = 3}).has_value());
  CHECK_FALSE(ParseJson(Nested(4), {.max_depth = 3}).has_value());
  std::string objects;
  for (int i = 0; i < 40; ++i) objects += "{\"a\":";
  CHECK_FALSE(ParseJson(objects + "1" + std::string(40, '}')).has_value());
}

TEST_CASE("brackets inside strings are no depth") {
  const auto value = ParseJson(R"({"a":"[[[[\"[[[[\\"})", {.max_depth = 1});
  REQUIRE(value.has_value());
  CHECK(value->at("a") == "[[[[\"[[[[\\");
}

TEST_CASE("many siblings are no depth") {
  std::string text = "[";
  for (int i = 0; i < 1000; ++i) text += "[],{},";
  CHECK(ParseJson(text + "0]", {.max_depth = 2}).has_value());
}

TEST_CASE("JSON is read up to the size limit and no longer") {
  const std::string text = "\"" + std::string((1 << 20) - 2, 'a') + "\"";
  CHECK(ParseJson(text).has_value());
  CHECK_FALSE(ParseJson(text + " ").has_value());
  CHECK_FALSE(ParseJson("[1]", {.max_bytes = 2}).has_value());
}

TEST_CASE("what is no JSON is refused without an exception") {
  const std::string text =
      GENERATE(""s, " "s, "{"s, "}"s, "{}x"s, "[1,]"s, "{\"a\":1,}"s, "nul"s, "NaN"s, "1e999"s,
               "'a'"s, "\"a\nb\""s, "\"\\x\""s, "\"\\ud800\""s, "// c\n1"s, "\"\xff\""s,
               "\"\xc0\xaf\""s, "\"\xed\xa0\x80\""s, "\"\xe2\x82\""s, "{}\0"s, "]]]][[[["s);
  CAPTURE(text);
  CHECK_FALSE(ParseJson(text).has_value());
}

TEST_CASE("an ordered object is written compactly in its order") {
  nlohmann::ordered_json value{{"b", 1}, {"a", {1, 2}}, {"c", nullptr}};
  CHECK(DumpJson(value) == R"({"b":1,"a":[1,2],"c":null})");
}

TEST_CASE("bytes that are not UTF-8 become U+FFFD instead of an exception") {
  CHECK(DumpJson(nlohmann::ordered_json("a\xff z")) == "\"a\xef\xbf\xbd z\"");
  CHECK(Written("a\xff z") == "\"a\xef\xbf\xbd z\"");
}

TEST_CASE("a string is escaped as JSON demands and nothing else is touched") {
  CHECK(Written("") == R"("")");
  CHECK(Written("plain /text/ '<>&") == R"("plain /text/ '<>&")");
  CHECK(Written("\"\\\b\f\n\r\t") == R"("\"\\\b\f\n\r\t")");
  CHECK(Written("\0\x01\x1f\x7f"s) == "\"\\u0000\\u0001\\u001f\x7f\"");
  CHECK(Written("Gr\xc3\xbc\xc3\x9f \xe6\x9c\x8d\xe5\x8a\xa1 \xf0\x9f\x98\x80") ==
        "\"Gr\xc3\xbc\xc3\x9f \xe6\x9c\x8d\xe5\x8a\xa1 \xf0\x9f\x98\x80\"");
}

TEST_CASE("each maximal part of an ill-formed sequence becomes one U+FFFD") {
  constexpr const char* kOne = "\xef\xbf\xbd";
  struct Row {
    std::string text;
    int replacements;
  };
  const Row row = GENERATE(values<Row>({
      {"\x80", 1},  // a continuation alone
      {"\xbf\xbf", 2},
      {"\xc0\xaf", 2},  // overlong slash
      {"\xc1\xbf", 2},
      {"\xe0\x80\xaf", 3},  // overlong, three bytes
      {"\xe0\x9f\xbf", 3},
      {"\xf0\x8f\xbf\xbf", 4},  // overlong, four bytes
      {"\xed\xa0\x80", 3},      // U+D800
      {"\xed\xbf\xbf", 3},      // U+DFFF
      {"\xf4\x90\x80\x80", 4},  // U+110000
      {"\xf5\x80\x80\x80", 4},
      {"\xfe", 1},
      {"\xff", 1},
      {"\xc3", 1},  // cut short
      {"\xe2\x82", 1},
      {"\xf0\x9f\x98", 1},
      {"\xf0\x9f", 1},
      {"\xe2\x82\xe2\x82", 2},  // the second begins anew
      {"\xf0\x9f\xc3", 2},
  }));
  CAPTURE(row.text);
  std::string expected;
  for (int i = 0; i < row.replacements; ++i) expected += kOne;
  CHECK(Written(row.text) == "\"" + expected + "\"");
  CHECK(Written("a" + row.text + "z") == "\"a" + expected + "z\"");
  CHECK(Written(row.text + "\"\n") == "\"" + expected + "\\\"\\n\"");
}

TEST_CASE("the limits of each sequence's range are kept as they are") {
  for (const std::string text :
       {"\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbf",
        "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    CHECK(Written(text) == "\"" + text + "\"");
  }
}

TEST_CASE("random bytes are written exactly as nlohmann writes them, and are JSON") {
  std::mt19937 random(20261122);
  // Mostly bytes that begin, continue or break sequences: uniform ones would hardly ever fit.
  const std::string likely =
      "az\"\\\n\x7f\x80\x8f\x90\x9f\xa0\xbf\xc0\xc1\xc2\xdf\xe0\xe2\xed\xef\xf0\xf1\xf4\xf5\xff"s;
  for (int round = 0; round < 20'000; ++round) {
    std::string text(random() % 12, '\0');
    for (char& c : text) {
      c = random() % 4 == 0 ? static_cast<char>(random()) : likely[random() % likely.size()];
    }
    const std::string written = Written(text);
    if (written != DumpJson(nlohmann::ordered_json(text))) {
      CAPTURE(text);
      REQUIRE(written == DumpJson(nlohmann::ordered_json(text)));
    }
    if (!nlohmann::json::accept(written)) FAIL("not JSON: " << written);
  }
}

TEST_CASE("lists and maps of strings are written with their text appended to what is there") {
  std::string out = "x";
  AppendJsonArray(out, {});
  AppendJsonArray(out, {"a", "\""});
  AppendJsonObject(out, {});
  AppendJsonObject(out, {{"k", "v"}, {"a\n", "\xff"}});
  CHECK(out == "x[][\"a\",\"\\\"\"]{}{\"a\\n\":\"\xef\xbf\xbd\",\"k\":\"v\"}");
}

}  // namespace
}  // namespace rosterd
