// SPDX-License-Identifier: Apache-2.0
// What a configuration takes from outside: ${NAME}, the host's name, the address to advertise.
#include <catch2/catch.hpp>
#include <string>
#include <utility>
#include <vector>

#include "config_folder.h"
#include "yaml/advertise.h"
#include "yaml/substitution.h"

namespace rosterd {
namespace {

using yaml::ResolveAdvertise;

std::string ZoneOf(const std::string& value, const Environment& environment) {
  const ParseResult result = LoadText("node:\n  zone: " + value + "\n", environment);
  INFO("value: " << value << "\n" << Listing(result));
  REQUIRE(result.ok());
  return result.config->node.zone;
}

TEST_CASE("References to the environment are replaced in every kind of scalar") {
  const Environment environment =
      TestEnvironment({{"A", "one"}, {"B", "two words"}, {"EMPTY", ""}});
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"${A}", "one"},
      {"\"${A}\"", "one"},
      {"'${A}'", "one"},
      {"x-${A}-${B}", "x-one-two words"},
      {"${NONE:-dflt}", "dflt"},
      {"${NONE:-}", ""},
      {"${EMPTY}", ""},
      {"${EMPTY:-dflt}", "dflt"},
      {"${A:-dflt}", "one"},
      {"${NONE:-a:-b}", "a:-b"},
      {"${NONE:-http://h:80}", "http://h:80"},
      {"${NONE:-a, b}", "a, b"},
      {"$${A}", "${A}"},
      {"\"$${A} ${A}\"", "${A} one"},
      {"$$${A}", "$${A}"},
      {"$A", "$A"},
      {"a$", "a$"},
      {"\"}${A}{\"", "}one{"},
  };
  for (const auto& [value, wanted] : cases) CHECK(ZoneOf(value, environment) == wanted);
}

TEST_CASE("References may stand unquoted inside brackets and braces") {
  const Environment environment = TestEnvironment({{"HOST", "10.1.1.1"}, {"PORT", "2379"}});
  const ParseResult result = LoadText(
      "etcd: {endpoints: [http://${HOST}:${PORT}, ${NONE:-http://b:1}], prefix: ${P:-/x,y/}}\n"
      "node: {zone: ${Z:-{brace}, name: n}\n",
      environment);
  // The default ends at the first brace; that is said with its place.
  const ParseResult good = LoadText(
      "etcd: {endpoints: [http://${HOST}:${PORT}, ${NONE:-http://b:1}], prefix: ${P:-/x,y/}}\n",
      environment);
  INFO(Listing(good));
  REQUIRE(good.ok());
  CHECK(good.config->etcd.endpoints ==
        std::vector<std::string>{"http://10.1.1.1:2379", "http://b:1"});
  CHECK(good.config->etcd.prefix == "/x,y/");
  CHECK_FALSE(result.ok());
}

TEST_CASE("What comes from the environment is one value and never structure") {
  const Environment environment = TestEnvironment(
      {{"X", "a]\nlog: {level: debug}"}, {"NULL", "null"}, {"PORT", "08080"}, {"HEX", "0x10"}});
  const ParseResult result = LoadText(
      "services:\n  - name: a\n    port: ${PORT}\n    tags: [${NULL}]\n"
      "    meta: {k: ${X}}\n    check: none\n",
      environment);
  INFO(Listing(result));
  REQUIRE(result.ok());
  const ServiceConfig& service = *result.config->services[0];
  CHECK(service.port == 8080);
  CHECK(service.tags == std::vector<std::string>{"null"});
  CHECK(service.meta.at("k") == "a]\nlog: {level: debug}");
  CHECK(result.config->log.level == LogLevel::kInfo);

  const ParseResult wrong =
      LoadText("services:\n  - name: a\n    port: ${HEX}\n    check: none\n", environment);
  REQUIRE(wrong.problems.size() == 1);
  CHECK(Lines(wrong)[0].find("3:11: service.port is '0x10'") == 0);
}

TEST_CASE("A reference that cannot be replaced is an error with its place, once") {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"${NONE}", "environment variable NONE is not set"},
      {"a ${NONE} b", "NONE is not set"},
      {"\"${A\"", "not closed"},
      {"${}", "not a reference"},
      {"${A B}", "not a reference"},
      {"${1A}", "not a reference"},
      {"${A-b}", "not a reference"},
      {"\"${A:-${B}}\"", "not a reference"},
      {"${LATIN1}", "not UTF-8"},
  };
  const Environment environment = TestEnvironment({{"A", "x"}, {"LATIN1", "\xe4"}});
  for (const auto& [value, wanted] : cases) {
    const ParseResult result = LoadText("node:\n  name: " + value + "\n", environment);
    INFO("value: " << value << "\n" << Listing(result));
    REQUIRE(result.problems.size() == 1);
    CHECK(Lines(result)[0].find("2:9: ") == 0);
    CHECK(Lines(result)[0].find(wanted) != std::string::npos);
    CHECK(Lines(result)[0].find(';') != std::string::npos);
  }
  const ParseResult both = LoadText("node: {zone: \"${X} ${Y}\"}\nunknown: ${Z}\n");
  INFO(Listing(both));
  CHECK(both.problems.size() == 4);  // X, Y, the key, Z
  // A service whose port could not be read is not one without a port.
  CHECK(LoadText("services: [{name: a, port: ${P}, check: none}]\n").problems.size() == 1);
  CHECK(LoadText("services: [{name: \"${N}\", port: 1, check: none}]\n").problems.size() == 1);
  CHECK(LoadText("services: [{name: a, port: 1, check: ${C}}]\n").problems.size() == 1);
  CHECK(LoadText("services: [{name: a, port: 1, check: {http: ${U}}}]\n").problems.size() == 1);
  CHECK(LoadText("data_dir: ${D}\non_stop: keep\n").problems.size() == 1);
}

TEST_CASE("Nothing that a variable holds breaks the one line of a message") {
  const ParseResult result =
      LoadText("node: {name: \"${N}\"}\n", TestEnvironment({{"N", "a\nb\r\x1b[31m"}}));
  REQUIRE(result.problems.size() == 1);
  CHECK(result.problems[0].Format().find_first_of("\n\r\x1b") == std::string::npos);
}

TEST_CASE("Shielding keeps every byte's place") {
  const std::string text = "a: [${B:-x, {y}], $${C}, ${D\n}, ${E:-[1]}, a?b?, ?]";
  CHECK(yaml::Shield(text).size() == text.size());
  CHECK(yaml::Unshield(yaml::Shield(text), true) == text);
}

TEST_CASE("advertise: auto takes the default route, then the route to etcd, then loopback") {
  Environment environment = TestEnvironment();
  CHECK(ResolveAdvertise("auto", {"http://etcd:2379"}, environment).address == "10.0.0.5");
  CHECK(ResolveAdvertise("auto", {}, environment).warning.empty());

  environment.default_source_address = [] { return std::nullopt; };
  std::string asked;
  environment.source_address_towards = [&](const std::string& host) -> std::optional<std::string> {
    asked = host;
    return "172.16.0.9";
  };
  CHECK(
      ResolveAdvertise("auto", {"http://[2001:db8::2]:2379", "http://b:1"}, environment).address ==
      "172.16.0.9");
  CHECK(asked == "2001:db8::2");

  environment.source_address_towards = [](const std::string&) { return std::nullopt; };
  const auto loopback = ResolveAdvertise("auto", {"http://etcd:2379"}, environment);
  CHECK(loopback.address == "127.0.0.1");
  CHECK(loopback.error.empty());
  CHECK(loopback.warning.find("127.0.0.1") != std::string::npos);
  CHECK(ResolveAdvertise("auto", {}, Environment()).address == "127.0.0.1");
}

TEST_CASE("advertise: iface takes the first address that others can use, IPv4 before IPv6") {
  const Environment environment = TestEnvironment();
  CHECK(ResolveAdvertise("iface:eth0", {}, environment).address == "10.0.0.5");
  CHECK(ResolveAdvertise("iface:eth1", {}, environment).address == "2001:db8:1::5");
  CHECK_FALSE(ResolveAdvertise("iface:eth2", {}, environment).error.empty());
  const auto lo = ResolveAdvertise("iface:lo", {}, environment);
  CHECK(lo.address == "127.0.0.1");
  CHECK_FALSE(lo.warning.empty());
}

TEST_CASE("advertise: cidr takes the first address inside the network") {
  const Environment environment = TestEnvironment();
  CHECK(ResolveAdvertise("cidr:10.0.0.0/8", {}, environment).address == "10.0.0.5");
  CHECK(ResolveAdvertise("cidr:10.0.0.6/32", {}, environment).address == "10.0.0.6");
  CHECK(ResolveAdvertise("cidr:10.0.0.6/31", {}, environment).address == "10.0.0.6");
  CHECK(ResolveAdvertise("cidr:2001:db8::/32", {}, environment).address == "2001:db8:1::5");
  CHECK(ResolveAdvertise("cidr:0.0.0.0/0", {}, environment).address == "127.0.0.1");
  for (const char* wrong : {"cidr:", "cidr:10.0.0.0/", "cidr:10.0.0.0/-1", "cidr:x/8",
                            "cidr:10.0.0.0/33", "cidr:11.0.0.0/8", "cidr:::/129"}) {
    CHECK_FALSE(ResolveAdvertise(wrong, {}, environment).error.empty());
  }
}

TEST_CASE("A loopback address to advertise is possible, with a warning that has its place") {
  const ParseResult result = LoadText("node:\n  advertise: 127.0.0.1\n");
  REQUIRE(result.ok());
  CHECK(result.config->node.advertise == "127.0.0.1");
  REQUIRE(result.warnings.size() == 1);
  CHECK(result.warnings[0].find("c.yaml:2:14: ") != std::string::npos);
  CHECK(LoadText("node: {advertise: 10.9.9.9}\n").warnings.empty());
  CHECK(LoadText("node: {advertise: 2001:db8::7}\n").config->node.advertise == "2001:db8::7");
}

TEST_CASE("The environment of this host answers") {
  const Environment environment = SystemEnvironment();
  CHECK_FALSE(environment.variable("ROSTERD_NO_SUCH_VARIABLE").has_value());
  CHECK(environment.variable("PATH").has_value());
  CHECK_FALSE(environment.host_name().empty());
  bool loopback = false;
  for (const auto& [interface, address] : environment.interface_addresses()) {
    loopback = loopback || address == "127.0.0.1";
  }
  CHECK(loopback);
  CHECK(environment.source_address_towards("127.0.0.1") == "127.0.0.1");
  CHECK_FALSE(environment.source_address_towards("not an address").has_value());
}

}  // namespace
}  // namespace rosterd
