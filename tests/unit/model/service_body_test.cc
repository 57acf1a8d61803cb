// SPDX-License-Identifier: Apache-2.0
// The bodies of discovery answers and their entity tags.
#include "model/service_body.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <random>
#include <set>

namespace rosterd {
namespace {

Instance Example() {
  Instance instance;
  instance.service = "my-service";
  instance.id = "my-service-web-01-8080";
  instance.host = "10.0.0.5";
  instance.port = 8080;
  instance.tags = {"v1", "blue"};
  instance.meta = {{"version", "1.4.2"}};
  instance.endpoints = {"http://10.0.0.5:8080"};
  instance.node = "web-01";
  instance.zone = "eu-1a";
  instance.agent = "agent-uuid";
  return instance;
}

TEST_CASE("a service's body has every field of the contract and no other") {
  const Instance instance = Example();
  CHECK(RenderService("my-service", 57, {&instance}) ==
        R"({"service":"my-service","index":57,"instances":[{"id":"my-service-web-01-8080",)"
        R"("address":"10.0.0.5","port":8080,"weight":100,"tags":["v1","blue"],)"
        R"("meta":{"version":"1.4.2"},"node":"web-01","zone":"eu-1a"}]})");
}

TEST_CASE("only an instance that is held says so") {
  const Instance instance = Example();
  const std::string plain = RenderService("my-service", 57, {&instance});
  CHECK(plain.find("held") == std::string::npos);
  std::string held = plain;
  held.replace(held.rfind("}]}"), 3, R"(,"held":true}]})");
  CHECK(RenderService("my-service", 57, {{&instance, true}}) == held);
}

TEST_CASE("unset fields are present and empty") {
  Instance instance;
  instance.id = "i";
  instance.host = "::1";
  instance.port = 1;
  instance.weight = 0;
  CHECK(RenderService("s", 0, {&instance}) ==
        R"({"service":"s","index":0,"instances":[{"id":"i","address":"::1","port":1,"weight":0,)"
        R"("tags":[],"meta":{},"node":"","zone":""}]})");
}

TEST_CASE("instances stand in the order given") {
  Instance a = Example();
  a.id = "a";
  Instance b = Example();
  b.id = "b";
  const auto body = nlohmann::json::parse(RenderService("s", 1, {&b, &a}));
  CHECK(body.at("instances").at(0).at("id") == "b");
  CHECK(body.at("instances").at(1).at("id") == "a");
}

TEST_CASE("a service without instances has an empty list, and an error stands first") {
  CHECK(RenderService("x", 57, {}) == R"({"service":"x","index":57,"instances":[]})");
  CHECK(RenderService("x", 57, {}, "no instance of 'x' is known") ==
        R"({"error":"no instance of 'x' is known","service":"x","index":57,"instances":[]})");
}

TEST_CASE("the index has all 63 bits") {
  CHECK(RenderService("x", 9223372036854775807, {}) ==
        R"({"service":"x","index":9223372036854775807,"instances":[]})");
}

TEST_CASE("whatever bytes stand in etcd, the body is JSON in UTF-8") {
  Instance instance = Example();
  instance.id = "i\"\n\xff";
  instance.tags = {"\xed\xa0\x80", "\\"};
  instance.meta = {{"k\x01", "\xc0\xaf"}};
  instance.node = "\xe2\x82";
  const auto body = nlohmann::json::parse(RenderService("s\xfe", 1, {&instance}, "e\x80"));
  CHECK(body.at("error") == "e\xef\xbf\xbd");
  CHECK(body.at("service") == "s\xef\xbf\xbd");
  const auto& rendered = body.at("instances").at(0);
  CHECK(rendered.at("id") == "i\"\n\xef\xbf\xbd");
  CHECK(rendered.at("tags").at(0) == "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
  CHECK(rendered.at("tags").at(1) == "\\");
  CHECK(rendered.at("meta").at("k\x01") == "\xef\xbf\xbd\xef\xbf\xbd");
  CHECK(rendered.at("node") == "\xef\xbf\xbd");
}

TEST_CASE("random bytes in every text still give JSON") {
  std::mt19937 random(11);
  const auto text = [&] {
    std::string bytes(random() % 10, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    return bytes;
  };
  for (int round = 0; round < 2000; ++round) {
    Instance instance = Example();
    instance.id = text();
    instance.host = text();
    instance.tags = {text(), text()};
    instance.meta = {{text(), text()}};
    instance.zone = text();
    const std::string body = RenderService(text(), 1, {&instance, &instance}, text());
    if (!nlohmann::json::accept(body)) FAIL("not JSON: " << body);
  }
}

TEST_CASE("an entity tag is strong: 16 hex digits in quotes") {
  CHECK_THAT(EntityTag("body"), Catch::Matches("\"[0-9a-f]{16}\""));
  CHECK_THAT(EntityTag(""), Catch::Matches("\"[0-9a-f]{16}\""));
}

TEST_CASE("equal bodies have one entity tag, different ones have others") {
  CHECK(EntityTag("body") == EntityTag(std::string("body")));
  std::set<std::string> tags;
  for (int index = 0; index < 2'000; ++index) tags.insert(EntityTag(RenderService("s", index, {})));
  CHECK(tags.size() == 2'000);
}

}  // namespace
}  // namespace rosterd
