// SPDX-License-Identifier: Apache-2.0
// The files of a configuration: include, places over several files, what cannot be read, limits.
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "config_folder.h"
#include "yaml/document.h"

namespace rosterd {
namespace {

std::string Service(const std::string& name, int port = 80) {
  return "name: " + name + "\nport: " + std::to_string(port) + "\ncheck: none\n";
}

std::vector<std::string> Ids(const ParseResult& result) {
  std::vector<std::string> ids;
  for (const auto& service : result.config->services) ids.push_back(service->name);
  return ids;
}

TEST_CASE("Included files hold one service or a list, and join those of the main file") {
  const ConfigFolder folder;
  folder.Write("services.d/b.yaml", Service("b"));
  folder.Write("services.d/a.yaml",
               "- {name: a, port: 1, check: none}\n- {name: c, port: 2, check: none}\n");
  folder.Write("services.d/empty.yaml", "# nothing yet\n");
  folder.Write("services.d/note.txt", "no: yaml: at all");
  folder.Write("one.yaml", Service("d"));
  const std::string path = folder.Write(
      "c.yaml", "include: [services.d/*.yaml, one.yaml, none.d/*.yaml, \"services.d/[b]*\", " +
                    folder.Path("one.yaml") + "]\nservices: [{name: m, port: 1, check: none}]\n");
  const ParseResult result = LoadConfig(path, TestEnvironment());
  INFO(Listing(result));
  // one.yaml is named by two paths; the second is a different file to the reader.
  CHECK(result.ok());
  if (result.ok()) CHECK(Ids(result) == std::vector<std::string>{"a", "b", "c", "d", "m"});
}

TEST_CASE("Problems of every file are named, with the path by which it was reached") {
  const ConfigFolder folder;
  folder.Write("conf/s.d/1.yaml", "name: a\nport: 0\ncheck: none\n");
  folder.Write("conf/s.d/2.yaml", "- name: b\n  port: [\n");
  folder.Write("conf/s.d/3.yaml", "- name: c\n  prot: 1\n  port: ${NONE}\n  check: none\n");
  folder.Write("conf/c.yaml", "include: [s.d/*.yaml]\nlog: {level: x}\n");
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(folder.Path(""));
  const ParseResult result = LoadConfig("conf/c.yaml", TestEnvironment());
  std::filesystem::current_path(before);
  std::vector<std::string> places;
  for (const Problem& problem : result.problems) {
    places.push_back(problem.Format().substr(0, problem.Format().find(": ")));
  }
  CHECK(places == std::vector<std::string>{"conf/c.yaml:2:14", "conf/s.d/1.yaml:2:7",
                                           "conf/s.d/2.yaml:2:10", "conf/s.d/3.yaml:2:3",
                                           "conf/s.d/3.yaml:3:9"});
}

TEST_CASE("One id in two files is an error that names both places") {
  const ConfigFolder folder;
  folder.Write("s.d/1.yaml", "- name: a\n  id: same\n  port: 1\n  check: none\n");
  folder.Write("s.d/2.yaml", "name: b\nport: 1\ncheck: none\nid: same\n");
  const ParseResult result =
      LoadConfig(folder.Write("c.yaml", "include: [s.d/*]\n"), TestEnvironment());
  REQUIRE(result.problems.size() == 1);
  CHECK(result.problems[0].file == folder.Path("s.d/2.yaml"));
  CHECK(result.problems[0].line == 4);
  CHECK(result.problems[0].column == 5);
  CHECK(result.problems[0].text.find("'same'") != std::string::npos);
  CHECK(result.problems[0].text.find(folder.Path("s.d/1.yaml") + ":2:7") != std::string::npos);

  const ParseResult by_default = LoadText(
      "services:\n  - {name: a, port: 1, check: none}\n  - {name: a, port: 1, check: none}\n");
  REQUIRE(by_default.problems.size() == 1);
  CHECK(Lines(by_default)[0].find("3:5: the id 'a-web-01-1'") == 0);
}

TEST_CASE("An include that names no file is an error, unless it is a pattern") {
  CHECK(LoadText("include: [services.d/*.yaml, a/b/c?.yaml]\n").ok());
  const ParseResult result = LoadText("include:\n  - \"*.none\"\n  - no/such.yaml\n");
  REQUIRE(result.problems.size() == 1);
  CHECK(Lines(result)[0].find("3:5: include:") == 0);
  CHECK(Lines(result)[0].find("No such file") != std::string::npos);
}

TEST_CASE("An included file cannot include, nor hold anything but services") {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"include: [x]\n", "move 'include' to the main file"},
      {"services:\n  - name: a\n", "remove 'services:'"},
      {"log: {level: debug}\n", "move 'log' to the main file"},
      {"hello\n", "one service"},
      {"- hello\n", "service is 'hello'"},
  };
  for (const auto& [text, wanted] : cases) {
    const ConfigFolder folder;
    folder.Write("s.yaml", text);
    const ParseResult result =
        LoadConfig(folder.Write("c.yaml", "include: [s.yaml]\n"), TestEnvironment());
    INFO(Listing(result));
    REQUIRE(result.problems.size() == 1);
    CHECK(result.problems[0].file == folder.Path("s.yaml"));
    CHECK(result.problems[0].text.find(wanted) != std::string::npos);
  }
}

TEST_CASE("A pattern that matches the main file itself is named") {
  const ConfigFolder folder;
  folder.Write("a.yaml", Service("a"));
  const ParseResult result =
      LoadConfig(folder.Write("c.yaml", "include: [\"*.yaml\"]\n"), TestEnvironment());
  REQUIRE(result.problems.size() == 1);
  CHECK(Lines(result)[0].find("1:11: include: '*.yaml' names this file itself") == 0);
}

TEST_CASE("Characters of a pattern in the name of the folder are no pattern") {
  const ConfigFolder folder;
  folder.Write("a[b]*/s.d/x.yaml", Service("x"));
  const ParseResult result =
      LoadConfig(folder.Write("a[b]*/c.yaml", "include: [s.d/*.yaml]\n"), TestEnvironment());
  REQUIRE(result.ok());
  CHECK(Ids(result) == std::vector<std::string>{"x"});
}

TEST_CASE("What is no readable file is an error with its place, and never waits") {
  const ConfigFolder folder;
  const ParseResult missing = LoadConfig(folder.Path("none.yaml"), TestEnvironment());
  REQUIRE(missing.problems.size() == 1);
  CHECK(missing.problems[0].Format().find(folder.Path("none.yaml") + ":1:1: ") == 0);
  CHECK(missing.problems[0].text.find("No such file") != std::string::npos);
  CHECK(LoadConfig(folder.Path(""), TestEnvironment()).problems.at(0).text.find("folder") !=
        std::string::npos);

  folder.Write("s.d/sub.yaml/x", "");
  REQUIRE(mkfifo(folder.Path("s.d/pipe.yaml").c_str(), 0600) == 0);
  std::filesystem::create_symlink("nowhere", folder.Path("s.d/dangling.yaml"));
  const ParseResult result =
      LoadConfig(folder.Write("c.yaml", "include: [s.d/*.yaml]\n"), TestEnvironment());
  INFO(Listing(result));
  REQUIRE(result.problems.size() == 3);
  for (const Problem& problem : result.problems) {
    CHECK(problem.file == folder.Path("c.yaml"));
    CHECK(problem.line == 1);
    CHECK(problem.column == 11);
  }
  if (geteuid() != 0) {  // root may read everything
    const std::string secret = folder.Write("secret.yaml", "");
    chmod(secret.c_str(), 0);
    CHECK_FALSE(LoadConfig(secret, TestEnvironment()).ok());
  }
}

TEST_CASE("Files that are too large, too deep or an alias bomb are refused in bounded time") {
  CHECK(Lines(LoadText(std::string((size_t{4} << 20) + 1, '#'))).at(0).find("larger than 4 MiB") !=
        std::string::npos);
  CHECK(LoadText(std::string(size_t{100} << 10, '#')).ok());

  std::string deep = "node: ";
  deep += std::string(100, '[') + std::string(100, ']');
  const ParseResult too_deep = LoadText(deep);
  REQUIRE(too_deep.problems.size() == 1);
  CHECK(Lines(too_deep)[0].find("1:70: values are nested deeper than 64") == 0);

  std::string bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n";
  for (char c = 'b'; c <= 'i'; ++c) {
    const std::string previous(1, static_cast<char>(c - 1));
    bomb += std::string(1, c) + ": &" + c + " [";
    for (int i = 0; i < 10; ++i) bomb += (i == 0 ? "*" : ", *") + previous;
    bomb += "]\n";
  }
  const ParseResult exploded = LoadText(bomb);
  REQUIRE(exploded.problems.size() == 1);
  CHECK(exploded.problems[0].line == 6);
  CHECK(exploded.problems[0].text.find("more than 200000 values") != std::string::npos);

  std::string chain = "a0: &a0 [x]\n";
  for (int i = 1; i < 100; ++i) {
    chain += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [*a" + std::to_string(i - 1) +
             "]\n";
  }
  CHECK(Lines(LoadText(chain)).at(0).find("nested deeper") != std::string::npos);

  yaml::Problems problems;
  const auto file = std::make_shared<const yaml::SourceFile>(yaml::SourceFile{"f.yaml", "", 0});
  CHECK(yaml::ParseDocument(file, "a: [b, c]\nd: e\n", nullptr, problems, {100, 7, 64}) != nullptr);
  CHECK(yaml::ParseDocument(file, "a: [b, c]\nd: e\n", nullptr, problems, {100, 6, 64}) == nullptr);
  CHECK(problems.Take().at(0).Format().find("f.yaml:2:4: the file holds more than 6 values") == 0);
}

TEST_CASE("A thousand wrong services give each its problems") {
  std::string text = "services:\n";
  for (int i = 0; i < 1000; ++i)
    text += "- {name: s" + std::to_string(i) + ", port: 0, chek: none}\n";
  const ParseResult result = LoadText(text);
  CHECK(result.problems.size() == 3000);
}

}  // namespace
}  // namespace rosterd
