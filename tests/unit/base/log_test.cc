// SPDX-License-Identifier: Apache-2.0
// One event is one line, whatever its fields hold.
#include "base/log.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/json.h"

namespace rosterd {
namespace {

using namespace std::string_literals;

struct Captured {
  explicit Captured(LogLevel level, LogFormat format)
      : log(level, format, [this](const std::string& line) { lines.push_back(line); }) {}
  // The one line written so far, without its time.
  std::string Only() const {
    REQUIRE(lines.size() == 1);
    REQUIRE(lines[0].size() > 25);
    return lines[0].substr(25);
  }
  std::vector<std::string> lines;
  Log log;
};

TEST_CASE("a text line is time, level, sentence and fields") {
  Captured out(LogLevel::kInfo, LogFormat::kText);
  out.log.Info("service is passing", {{"service", "web"}, {"port", 8080}, {"why", "two words"}});
  CHECK(out.Only() == "info service is passing service=web port=8080 why=\"two words\"");
  CHECK_THAT(out.lines[0], Catch::Matches(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z info .*)"));
}

TEST_CASE("a JSON line has the same members, numbers included as text") {
  Captured out(LogLevel::kInfo, LogFormat::kJson);
  out.log.Error("cannot listen", {{"address", "127.0.0.1:8500"}, {"attempt", 3}});
  const auto line = ParseJson(out.lines.at(0));
  REQUIRE(line.has_value());
  CHECK(line->at("level") == "error");
  CHECK(line->at("message") == "cannot listen");
  CHECK(line->at("address") == "127.0.0.1:8500");
  CHECK(line->at("attempt") == "3");
  CHECK_THAT(line->at("time").get<std::string>(), Catch::EndsWith("Z"));
}

TEST_CASE("no field can forge a second line or another field") {
  const std::string evil =
      GENERATE("x\n2026-01-01T00:00:00.000Z error forged"s, "x\rforged"s, "a b=c"s, "\""s,
               "back\\slash"s, "nul\0byte"s, "esc\x1b[2J"s, "del\x7f"s,
               "\xc2\x9b"
               "2J"s,
               "\xff\xfe"s, ""s, "="s);
  CAPTURE(evil);
  for (const LogFormat format : {LogFormat::kText, LogFormat::kJson}) {
    Captured out(LogLevel::kInfo, format);
    out.log.Warn("a value cannot be read", {{"reason", evil}, {"key", "k"}});
    REQUIRE(out.lines.size() == 1);
    for (const char c : out.lines[0]) CHECK((c < 0 || c >= ' '));
    if (format == LogFormat::kText) {
      CHECK_THAT(out.lines[0], Catch::Contains(" reason=\"") && Catch::EndsWith("\" key=k"));
      CHECK(out.lines[0].find('\x7f') == std::string::npos);
      CHECK(out.lines[0].find("\xc2\x9b") == std::string::npos);
      CHECK(nlohmann::json::accept(out.lines[0].substr(
          out.lines[0].find('"'), out.lines[0].rfind('"') - out.lines[0].find('"') + 1)));
    } else {
      CHECK(ParseJson(out.lines[0]).has_value());
    }
  }
}

TEST_CASE("a sentence with control characters stays one line") {
  for (const LogFormat format : {LogFormat::kText, LogFormat::kJson}) {
    Captured out(LogLevel::kInfo, format);
    out.log.Info("one\ntwo\x1b three\x7f");
    REQUIRE(out.lines.size() == 1);
    CHECK(out.lines[0].find('\n') == std::string::npos);
    CHECK(out.lines[0].find('\x1b') == std::string::npos);
  }
}

TEST_CASE("braces are text, not a format") {
  Captured out(LogLevel::kInfo, LogFormat::kText);
  out.log.Info("{} {0} %s %v", {{"field", "{}%n"}});
  CHECK(out.Only() == "info {} {0} %s %v field={}%n");
}

TEST_CASE("what is below the level is not written, and the level can be switched") {
  Captured out(LogLevel::kWarn, LogFormat::kText);
  out.log.Debug("d");
  out.log.Info("i");
  CHECK(out.lines.empty());
  out.log.Warn("w");
  out.log.Error("e");
  CHECK(out.lines.size() == 2);
  out.log.Set(LogLevel::kDebug, LogFormat::kJson);
  out.log.Debug("d");
  REQUIRE(out.lines.size() == 3);
  CHECK(ParseJson(out.lines[2]).has_value());
  out.log.Set(LogLevel::kError, LogFormat::kText);
  out.log.Warn("w");
  CHECK(out.lines.size() == 3);
}

TEST_CASE("lines of several threads do not mix") {
  Captured out(LogLevel::kInfo, LogFormat::kText);
  {
    std::vector<std::jthread> writers;
    for (int t = 0; t < 4; ++t) {
      writers.emplace_back([&out, t] {
        for (int i = 0; i < 50; ++i) out.log.Info("event", {{"thread", t}, {"n", i}});
      });
    }
  }
  REQUIRE(out.lines.size() == 200);
  for (const std::string& line : out.lines) {
    CHECK_THAT(line.substr(25), Catch::Matches(R"(info event thread=\d n=\d+)"));
  }
}

}  // namespace
}  // namespace rosterd
