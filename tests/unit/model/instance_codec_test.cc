// SPDX-License-Identifier: Apache-2.0
// The wire contract: every form of value that is written or read, and every reason to refuse one.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <random>

#include "model/instance.h"

namespace rosterd {
namespace {

using namespace std::string_literals;
using Strings = std::vector<std::string>;
using Map = std::map<std::string, std::string>;

const InstanceKey kKey{"my-service", "i-1"};

Instance Example() {
  Instance instance;
  instance.service = "my-service";
  instance.id = "my-service-web-01-8080";
  instance.host = "10.0.0.5";
  instance.port = 8080;
  instance.tags = {"v1"};
  instance.meta = {{"version", "1.4.2"}};
  instance.endpoints = {"http://10.0.0.5:8080"};
  instance.node = "web-01";
  instance.zone = "eu-1a";
  instance.agent = "6f1c1f3e-2a3b-4c5d-8e9f-001122334455";
  return instance;
}

// What a value without further members stands for.
Instance Bare(std::string host, uint16_t port) {
  Instance instance;
  instance.service = kKey.service;
  instance.id = kKey.id;
  instance.host = std::move(host);
  instance.port = port;
  return instance;
}

Instance Decoded(std::string_view value) {
  CAPTURE(value);
  auto instance = DecodeInstance(kKey, value);
  INFO(instance.status().ToString());
  REQUIRE(instance.ok());
  return *instance;
}

// The reason why `value` is refused; checked to be fit for a log line.
std::string Refused(std::string_view value) {
  const auto instance = DecodeInstance(kKey, value);
  REQUIRE_FALSE(instance.ok());
  const std::string reason(instance.status().message());
  CHECK_FALSE(reason.empty());
  CHECK(reason.size() <= 160);
  for (const char c : reason) CHECK((c >= ' ' && c <= '~'));
  return reason;
}

// An object that can be read, with `member` in it.
std::string With(const std::string& member) {
  return R"({"host":"10.0.0.5","port":8080,)" + member + "}";
}

TEST_CASE("an instance is written with its members in the documented order") {
  CHECK(EncodeInstance(Example()) ==
        R"({"id":"my-service-web-01-8080","name":"my-service","host":"10.0.0.5","port":8080,)"
        R"("weight":100,"tags":["v1"],"Addr":"10.0.0.5:8080","Metadata":{"version":"1.4.2"},)"
        R"("endpoints":["http://10.0.0.5:8080"],"node":"web-01","zone":"eu-1a",)"
        R"("agent":"6f1c1f3e-2a3b-4c5d-8e9f-001122334455","state":"passing"})");
}

TEST_CASE("empty members are written too") {
  CHECK(EncodeInstance(Bare("h", 1)) ==
        R"({"id":"i-1","name":"my-service","host":"h","port":1,"weight":100,"tags":[],)"
        R"("Addr":"h:1","Metadata":{},"endpoints":[],"node":"","zone":"","agent":"",)"
        R"("state":"passing"})");
}

TEST_CASE("IPv6 is bare in host and bracketed in Addr") {
  const std::string value = EncodeInstance(Bare("2001:db8::5", 8080));
  CHECK_THAT(value, Catch::Contains(R"("host":"2001:db8::5",)") &&
                        Catch::Contains(R"("Addr":"[2001:db8::5]:8080",)"));
  CHECK(Decoded(value) == Bare("2001:db8::5", 8080));
}

TEST_CASE("what is written is read back as it was") {
  Instance instance = Example();
  const InstanceKey key{instance.service, instance.id};
  SECTION("as it is") {}
  SECTION("several of everything") {
    instance.tags = {"b", "a", "", "a"};
    instance.meta = {{"", "empty"}, {"a.b/c", "x\ny\t\"z\"\\"}, {"\xc3\xbc", "\xe6\x9c\x8d"}};
    instance.endpoints = {"http://10.0.0.5:8080", "grpc://10.0.0.5:9090"};
  }
  SECTION("weight 0 and 65535") { instance.weight = GENERATE(as<uint16_t>(), 0, 65535); }
  SECTION("another state") { instance.state = "draining"; }
  SECTION("a NUL in a text") { instance.meta["nul"] = "a\0b"s; }
  SECTION("host name, ports at the limits") {
    instance.host = "web-01.example.com";
    instance.port = GENERATE(as<uint16_t>(), 1, 65535);
  }
  const auto decoded = DecodeInstance(key, EncodeInstance(instance));
  REQUIRE(decoded.ok());
  CHECK(*decoded == instance);
}

TEST_CASE("bytes that are not UTF-8 are written as U+FFFD, so that any reader can read them") {
  Instance instance = Example();
  instance.id = "i\xff";
  const std::string value = EncodeInstance(instance);
  CHECK(nlohmann::json::accept(value));
  CHECK_THAT(value, Catch::StartsWith("{\"id\":\"i\xef\xbf\xbd\""));
}

TEST_CASE("the key decides service and id, whatever the value says") {
  const Instance instance = Decoded(With(R"("id":"other","name":"other")"));
  CHECK(instance.service == "my-service");
  CHECK(instance.id == "i-1");
}

TEST_CASE("an object with host and port alone has defaults for the rest") {
  CHECK(Decoded(R"({"host":"10.0.0.5","port":8080})") == Bare("10.0.0.5", 8080));
}

TEST_CASE("host and port go before Addr, which stands in where they cannot be used") {
  const auto [value, host, port] = GENERATE(table<std::string, std::string, int>({
      {R"({"host":"a","port":1,"Addr":"b:2"})", "a", 1},
      {R"({"Addr":"b:2","port":1,"host":"a"})", "a", 1},
      {R"({"host":"a","port":1,"Addr":"nonsense"})", "a", 1},
      {R"({"host":"a","port":1,"Addr":7})", "a", 1},
      {R"({"host":"a","Addr":"b:2"})", "b", 2},
      {R"({"host":"a","port":0,"Addr":"b:2"})", "b", 2},
      {R"({"host":"a","port":65536,"Addr":"b:2"})", "b", 2},
      {R"({"host":"a","port":-1,"Addr":"b:2"})", "b", 2},
      {R"({"host":"a","port":"1","Addr":"b:2"})", "b", 2},
      {R"({"host":"a","port":1.0,"Addr":"b:2"})", "b", 2},
      {R"({"host":"a","port":null,"Addr":"b:2"})", "b", 2},
      {R"({"host":"a","port":[1],"Addr":"b:2"})", "b", 2},
      {R"({"host":"a","port":{"port":1},"Addr":"b:2"})", "b", 2},
      {R"({"host":"","port":1,"Addr":"b:2"})", "b", 2},
      {R"({"host":null,"port":1,"Addr":"b:2"})", "b", 2},
      {R"({"port":1,"Addr":"b:2"})", "b", 2},
      {R"({"Addr":"[::1]:2"})", "::1", 2},
  }));
  CHECK(Decoded(value) == Bare(host, static_cast<uint16_t>(port)));
}

TEST_CASE("what gRPC-Go's endpoint manager writes is read") {
  CHECK(Decoded(R"({"Op":0,"Addr":"10.0.0.5:8080","Metadata":null})") == Bare("10.0.0.5", 8080));
  Instance expected = Bare("10.0.0.5", 8080);
  expected.meta = {{"zone", "a"}, {"weight", "5"}};
  CHECK(Decoded(R"({"Op":0,"Addr":"10.0.0.5:8080","Metadata":{"zone":"a","weight":5}})") ==
        expected);
}

TEST_CASE("what SkyDNS writers put is read") {
  Instance expected = Bare("10.0.0.5", 8080);
  expected.weight = 20;
  CHECK(
      Decoded(R"({"host":"10.0.0.5","port":8080,"priority":10,"weight":20,"text":"","ttl":30})") ==
      expected);
}

TEST_CASE("plain HOST:PORT is read") {
  const auto [value, host, port] = GENERATE(table<std::string, std::string, int>({
      {"10.0.0.5:8080", "10.0.0.5", 8080},
      {"localhost:8080", "localhost", 8080},
      {"[2001:db8::5]:80", "2001:db8::5", 80},
      {"10.0.0.5:8080\n", "10.0.0.5", 8080},
      {" \t10.0.0.5:8080\r\n", "10.0.0.5", 8080},
  }));
  CHECK(Decoded(value) == Bare(host, static_cast<uint16_t>(port)));
}

TEST_CASE("NAME HOST:PORT is read, the key decides the name") {
  const auto [value, host, port] = GENERATE(table<std::string, std::string, int>({
      {"my-service localhost:8080", "localhost", 8080},
      {"another.name_1 10.0.0.5:80", "10.0.0.5", 80},
      {"my-service [::1]:80", "::1", 80},
      {"my-service   10.0.0.5:80\n", "10.0.0.5", 80},
      {"my-service\t10.0.0.5:80", "10.0.0.5", 80},
  }));
  CHECK(Decoded(value) == Bare(host, static_cast<uint16_t>(port)));
}

TEST_CASE("a name that is no service name of ours is read where the key has it too") {
  const std::string name = "\xe6\x9c\x8d\xe5\x8a\xa1";
  const auto instance = DecodeInstance({name, "1"}, name + " 10.0.0.5:80");
  REQUIRE(instance.ok());
  CHECK(instance->host == "10.0.0.5");
  CHECK_FALSE(DecodeInstance(kKey, name + " 10.0.0.5:80").ok());
}

TEST_CASE("white space around an object is no part of it") {
  CHECK(Decoded(" \n{ \"host\" : \"h\" , \"port\" : 1 }\r\n") == Bare("h", 1));
}

TEST_CASE("members that only describe never make a value unreadable") {
  struct Row {
    std::string member;
    Strings tags;
    Map meta;
  };
  const Row row = GENERATE(values<Row>({
      {R"("tags":["a","b"])", {"a", "b"}, {}},
      {R"("tags":[])", {}, {}},
      {R"("tags":null)", {}, {}},
      {R"("tags":"a")", {}, {}},
      {R"("tags":7)", {}, {}},
      {R"("tags":{"a":"b"})", {}, {}},
      {R"("tags":["a",1,null,true,["b",["c"]],{"d":"e"},"f"])", {"a", "f"}, {}},
      {R"("endpoints":5,"node":5,"zone":["z"],"agent":{"a":"b"})", {}, {}},
      {R"("endpoints":null,"node":null,"zone":true,"agent":1.5)", {}, {}},
      {R"("Metadata":{"k":"v","":""})", {}, {{"k", "v"}, {"", ""}}},
      {R"("Metadata":null)", {}, {}},
      {R"("Metadata":"text")", {}, {}},
      {R"("Metadata":["a"])", {}, {}},
      {R"("Metadata":17)", {}, {}},
      {R"("meta":{"k":"v"})", {}, {{"k", "v"}}},
      {R"("meta":{"k":"v"},"Metadata":{"a":"b"})", {}, {{"a", "b"}}},
      {R"("Metadata":{},"meta":{"k":"v"})", {}, {}},
      {R"("Metadata":null,"meta":{"k":"v"})", {}, {{"k", "v"}}},
      {R"("unknown":{"host":"x","tags":["y"],"Metadata":{"k":"v"}},"more":[{"port":1}])", {}, {}},
      {R"("HOST":"x","Port":1,"addr":"y:1","Tags":["z"])", {}, {}},
  }));
  Instance expected = Bare("10.0.0.5", 8080);
  expected.tags = row.tags;
  expected.meta = row.meta;
  CHECK(Decoded(With(row.member)) == expected);
}

TEST_CASE("metadata that is no string is kept as its compact JSON text") {
  const auto [json, text] = GENERATE(table<std::string, std::string>({
      {"5", "5"},
      {"-5", "-5"},
      {"18446744073709551615", "18446744073709551615"},
      {"1.50", "1.50"},
      {"true", "true"},
      {"false", "false"},
      {"null", "null"},
      {"[ ]", "[]"},
      {"{ }", "{}"},
      {"[ 1 , \"a\" , [ ] , [ [ 2 ] , null ] ]", R"([1,"a",[],[[2],null]])"},
      {R"({ "b" : { "c" : [ "," , ":" , "[" ] } , "a" : "\"\n" })",
       R"({"b":{"c":[",",":","["]},"a":"\"\n"})"},
      {R"([{"a":1},{"b":false}])", R"([{"a":1},{"b":false}])"},
  }));
  const Instance instance =
      Decoded(With(R"("Metadata":{"x":"before","k":)" + json + R"(,"y":"after","z":[1]})"));
  CHECK(instance.meta == Map{{"x", "before"}, {"k", text}, {"y", "after"}, {"z", "[1]"}});
}

TEST_CASE("of two members with one name the last one counts") {
  CHECK(Decoded(R"({"host":"a","port":1,"host":"b","port":2})") == Bare("b", 2));
  CHECK(Decoded(R"({"host":7,"host":"b","port":"x","port":2})") == Bare("b", 2));
  CHECK(Decoded(With(R"("weight":"x","weight":7)")).weight == 7);
  CHECK(Decoded(With(R"("tags":["a"],"tags":["b"])")).tags == Strings{"b"});
  CHECK(Decoded(With(R"("tags":["a"],"tags":null)")).tags.empty());
  CHECK(Decoded(With(R"("Metadata":{"a":"1"},"Metadata":{"b":"2"})")).meta == Map{{"b", "2"}});
  CHECK(Decoded(With(R"("zone":"a","zone":5)")).zone.empty());
  CHECK_THAT(Refused(With(R"("state":"passing","state":5)")), Catch::Contains("state"));
}

TEST_CASE("weight is a whole number from 0 to 65535; without one it is 100") {
  CHECK(Decoded(With(R"("weight":0)")).weight == 0);
  CHECK(Decoded(With(R"("weight":65535)")).weight == 65535);
  CHECK(Decoded(With(R"("weight":null)")).weight == 100);
  const std::string weight = GENERATE("-1", "65536", "1.5", "100.0", "1e2", "\"100\"", "true", "[]",
                                      "{}", "99999999999999999999999");
  CAPTURE(weight);
  CHECK(Refused(With("\"weight\":" + weight)) == "weight is not a whole number from 0 to 65535");
}

TEST_CASE("state is a string; only passing is served") {
  CHECK(Decoded(With(R"("state":"passing")")).passing());
  CHECK(Decoded(With(R"("state":null)")).passing());
  for (const std::string state : {"", "failing", "draining", "PASSING", "passing "}) {
    const Instance instance = Decoded(With("\"state\":\"" + state + "\""));
    CHECK(instance.state == state);
    CHECK_FALSE(instance.passing());
  }
  const std::string state = GENERATE("1", "true", "[\"passing\"]", "{}");
  CHECK(Refused(With("\"state\":" + state)) == "state is not a string");
}

TEST_CASE("objects that do not say where to send traffic are refused with the reason") {
  const auto [value, reason] = GENERATE(table<std::string, std::string>({
      {"{}", "neither host and port nor Addr"},
      {R"({"port":80})", "neither host and port nor Addr"},
      {R"({"host":""})", "neither host and port nor Addr"},
      {R"({"endpoints":["http://10.0.0.5:80"]})", "neither host and port nor Addr"},
      {R"({"host":"a"})", "host without a port"},
      {R"({"host":"a","port":0})", "port is not a whole number from 1 to 65535"},
      {R"({"host":"a","port":65536})", "port is not a whole number from 1 to 65535"},
      {R"({"host":"a","port":-80})", "port is not a whole number from 1 to 65535"},
      {R"({"host":"a","port":"80"})", "port is not a whole number from 1 to 65535"},
      {R"({"host":"a","port":80.5})", "port is not a whole number from 1 to 65535"},
      {R"({"host":"a","port":true})", "port is not a whole number from 1 to 65535"},
      {R"({"host":"a","port":[80]})", "port is not a whole number from 1 to 65535"},
      {R"({"host":5,"port":80,"Addr":"b:2"})", "host is not a string"},
      {R"({"host":["a"],"port":80})", "host is not a string"},
      {R"({"host":"a b","port":80})", "host 'a b' is not a host name or an IP"},
      {R"({"host":"[::1]","port":80})", "host '[::1]' is not a host name or an IP"},
      {R"({"host":"a:80","port":80})", "host 'a:80' is not a host name or an IP"},
      {R"({"host":"http://a","port":80,"Addr":"b:2"})",
       "host 'http://a' is not a host name or an IP"},
      {R"({"host":"a\r\nX: y","port":80})", "host 'a??X: y' is not a host name or an IP"},
      {R"({"host":"a\u0000","port":80})", "host 'a?' is not a host name or an IP"},
      {R"({"host":"::1%\n","port":80})", "host '::1%?' is not a host name or an IP"},
      {R"({"Addr":5})", "Addr is not a string"},
      {R"({"Addr":""})", "Addr '' is not HOST:PORT"},
      {R"({"Addr":"10.0.0.5"})", "Addr '10.0.0.5' is not HOST:PORT"},
      {R"({"Addr":"10.0.0.5:0"})", "Addr '10.0.0.5:0' is not HOST:PORT"},
      {R"({"Addr":"::1:80"})", "Addr '::1:80' is not HOST:PORT"},
      {R"({"Addr":"a:1\u001b[2J"})", "Addr 'a:1?[2J' is not HOST:PORT"},
      {R"({"host":"a","Addr":"b"})", "Addr 'b' is not HOST:PORT"},
  }));
  CAPTURE(value);
  CHECK(Refused(value) == reason);
}

TEST_CASE("what is no JSON object is refused with the place") {
  const auto [value, reason] = GENERATE(table<std::string, std::string>({
      {"{", "not valid JSON at byte 2"},
      {"{\"host\":\"a\",}", "not valid JSON at byte 13"},
      {"{\"host\":\"a\"}}", "not valid JSON at byte 13"},
      {"{\"host\":\"a\",\"port\":010}", "not valid JSON at byte 22"},
      {"{\"host\":\"a\"} 10.0.0.5:80", "not valid JSON at byte 17"},
      {"{'host':'a'}", "not valid JSON at byte 2"},
      {"{\"a\":1e999}", "not valid JSON at byte 10"},
      {"{\"a\":\"\\ud800\"}", "not valid JSON at byte 13"},
      {"{\"host\":\"a\",\"port\":80}\0 more"s, "not valid JSON at byte 23"},
      {"{\"zone\":\"\xff\"}", "not UTF-8 at byte 10"},
      {"{\"zone\":\"\xc0\xaf\"}", "not UTF-8 at byte 10"},
      {"{\"zone\":\"\xed\xa0\x80\"}", "not UTF-8 at byte 11"},
      {"{\"zo\xe2\x82\":1}", "not UTF-8 at byte 7"},
  }));
  CAPTURE(value);
  CHECK(Refused(value) == reason);
}

TEST_CASE("other plain texts are refused and quoted") {
  const std::string value = GENERATE(
      "[]", "[\"10.0.0.5:80\"]", "\"10.0.0.5:80\"", "null", "42", "10.0.0.5", "10.0.0.5:", ":80",
      "10.0.0.5:0", "10.0.0.5:99999", "10.0.0.5 80", "a b 10.0.0.5:80", "my-service",
      "my-service localhost", "my-service localhost:8080 more", "error: 10.0.0.5:80",
      "<x> 10.0.0.5:80", "http://10.0.0.5:80", "::1:80", "my-service ::1:80");
  CHECK(Refused(value) == "'" + value + "' is not a JSON object, HOST:PORT or NAME HOST:PORT");
}

TEST_CASE("empty values are refused") {
  CHECK(Refused("") == "empty");
  CHECK(Refused(" \n\t") == "empty");
}

TEST_CASE("a reason quotes little of the value and no byte that a terminal would act on") {
  CHECK_THAT(Refused("\x1b[2J\n\xff\0:80"s),
             Catch::StartsWith("'?[2J????:80'") || Catch::StartsWith("'?[2J???:80'"));
  CHECK_THAT(Refused(std::string(5000, 'x')),
             Catch::StartsWith("'" + std::string(60, 'x') + "...'"));
  Refused("{\"Addr\":\"" + std::string(5000, 'x') + "\"}");
  Refused("{\"host\":\"" + std::string(5000, 'x') + "\",\"port\":1}");
  Refused("{\"host\":\"a\" \"" + std::string(5000, 'x') + "\"}");
}

TEST_CASE("a value may be 1 MiB long and no longer") {
  const std::string head = R"({"host":"h","port":1,"zone":")";
  const size_t padding = (1 << 20) - head.size() - 2;
  CHECK(Decoded(head + std::string(padding, 'z') + "\"}").zone.size() == padding);
  CHECK(Refused(head + std::string(padding + 1, 'z') + "\"}") ==
        "1048577 bytes long, more than 1048576");
}

TEST_CASE("a value may nest 32 levels and no deeper, wherever it nests") {
  const std::string name = GENERATE("unknown", "Metadata", "tags", "host");
  const auto nested = [&](int levels) {
    return With("\"" + name + "\":" + std::string(levels, '[') + std::string(levels, ']'));
  };
  CAPTURE(name);
  if (name != "host") CHECK(DecodeInstance(kKey, nested(31)).ok());
  CHECK(Refused(nested(32)) == "nested deeper than 32 levels");
  CHECK(Refused(With("\"" + name + "\":" + std::string(500'000, '['))) ==
        "nested deeper than 32 levels");
}

TEST_CASE("damaged values are refused or read, and never anything else") {
  std::mt19937 random(7);
  const std::string original = EncodeInstance(Example());
  int read = 0;
  for (int round = 0; round < 4'000; ++round) {
    std::string value = original;
    for (int i = 0; i <= static_cast<int>(random() % 3); ++i) {
      const size_t at = random() % value.size();
      switch (random() % 3) {
        case 0:
          value[at] = static_cast<char>(random());
          break;
        case 1:
          value.erase(at, 1 + random() % 8);
          break;
        default:
          value.insert(at, 1, "{}[]\",:0"[random() % 8]);
      }
      if (value.empty()) value = "x";
    }
    const auto instance = DecodeInstance(kKey, value);
    if (instance.ok()) {
      ++read;
      if (instance->port == 0 || instance->host.empty()) FAIL("no place to go: " << value);
      if (!nlohmann::json::accept(value)) FAIL("read though no JSON: " << value);
      const auto again = DecodeInstance(kKey, EncodeInstance(*instance));
      if (!again.ok() || !(*again == *instance)) FAIL("not read back: " << value);
    }
  }
  CHECK(read > 50);
}

}  // namespace
}  // namespace rosterd
