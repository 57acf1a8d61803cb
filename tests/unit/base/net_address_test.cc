// SPDX-License-Identifier: Apache-2.0
// Hosts, ports and addresses as text.
#include "base/net_address.h"

#include <catch2/catch.hpp>

namespace rosterd {
namespace {

using namespace std::string_literals;

TEST_CASE("a port is decimal: 010 is ten") {
  const auto [text, expected] = GENERATE(table<std::string, int>(
      {{"0", 0}, {"1", 1}, {"80", 80}, {"010", 10}, {"00080", 80}, {"65535", 65535}}));
  CAPTURE(text);
  const auto port = ParsePort(text);
  REQUIRE(port.ok());
  CHECK(*port == expected);
}

TEST_CASE("what is no port is refused and quoted") {
  const std::string text = GENERATE("", "65536", "-1", "+80", " 80", "80 ", "0x50", "8e1", "http",
                                    "99999999999999999999");
  CAPTURE(text);
  const auto port = ParsePort(text);
  REQUIRE_FALSE(port.ok());
  CHECK_THAT(std::string(port.status().message()), Catch::Contains("'" + text + "' is not a port"));
}

TEST_CASE("HOST:PORT that is read") {
  const auto [text, host, port] = GENERATE(table<std::string, std::string, int>({
      {"10.0.0.5:8080", "10.0.0.5", 8080},
      {"localhost:8080", "localhost", 8080},
      {"web-1.example_2.com:010", "web-1.example_2.com", 10},
      {"[::1]:80", "::1", 80},
      {"[2001:db8::5]:65535", "2001:db8::5", 65535},
      {"[fe80::1%eth0]:1", "fe80::1%eth0", 1},
      {"[::ffff:10.0.0.5]:80", "::ffff:10.0.0.5", 80},
  }));
  CAPTURE(text);
  const auto parsed = ParseHostPort(text);
  REQUIRE(parsed.ok());
  CHECK(*parsed == HostPort{host, static_cast<uint16_t>(port)});
}

TEST_CASE("HOST:PORT that is refused") {
  const std::string text =
      GENERATE(""s, ":"s, "host"s, "host:"s, ":80"s, "host:0"s, "host:65536"s, "host:http"s, "::1"s,
               "::1:80"s, "[::1]"s, "[::1]80"s, "[:80"s, "[]:80"s, "]:80"s, "[10.0.0.5]:80"s,
               "[host]:80"s, "[::1%]:80"s, "[::1%a b]:80"s, "a b:80"s, "user@host:80"s,
               "http://host:80"s, "host:80/"s, "h\xc3\xb6st:80"s, "host\n:80"s, "1.2.3.4\0:80"s,
               "[::1\0x]:80"s, std::string(254, 'a') + ":80");
  CAPTURE(text);
  const auto parsed = ParseHostPort(text);
  REQUIRE_FALSE(parsed.ok());
  CHECK_THAT(std::string(parsed.status().message()), Catch::Contains("is not HOST:PORT"));
}

TEST_CASE("HOST:PORT is written with brackets around IPv6 and read back") {
  const auto [host, port, text] = GENERATE(table<std::string, int, std::string>({
      {"10.0.0.5", 8080, "10.0.0.5:8080"},
      {"web", 1, "web:1"},
      {"::1", 80, "[::1]:80"},
      {"fe80::1%eth0", 80, "[fe80::1%eth0]:80"},
  }));
  CHECK(FormatHostPort(host, static_cast<uint16_t>(port)) == text);
  CHECK(*ParseHostPort(text) == HostPort{host, static_cast<uint16_t>(port)});
}

TEST_CASE("which texts are IPv4, IPv6 and host names") {
  struct Row {
    std::string text;
    bool v4, v6, host;
  };
  const Row row = GENERATE(values<Row>({
      {"10.0.0.5", true, false, true},
      {"255.255.255.255", true, false, true},
      {"256.0.0.1", false, false, true},  // as a name it is possible
      {"1.2.3", false, false, true},
      {"010.0.0.1", false, false, true},  // neither octal nor decimal: no address
      {"::", false, true, true},
      {"::1", false, true, true},
      {"2001:db8:0:0:0:0:0:5", false, true, true},
      {"2001:db8::5%eth0", false, true, true},
      {"fe80::1%a-b_c.10", false, true, true},
      {"fe80::1%", false, false, false},
      {"fe80::1%e\n", false, false, false},
      {"fe80::1%eth0%eth1", false, false, false},
      {"fe80::1%an-interface-name-that-is-too-long", false, false, false},
      {"[::1]", false, false, false},
      {":::1", false, false, false},
      {"12345::", false, false, false},
      {"localhost", false, false, true},
      {"a_b-c.d", false, false, true},
      {"", false, false, false},
      {"a b", false, false, false},
      {"a/b", false, false, false},
      {"a:b", false, false, false},
      {"1.2.3.4\0"s, false, false, false},
      {"::1\0x"s, false, false, false},
      {std::string(253, 'a'), false, false, true},
      {std::string(254, 'a'), false, false, false},
      {std::string(100'000, '1'), false, false, false},
  }));
  CAPTURE(row.text);
  CHECK(IsIpv4(row.text) == row.v4);
  CHECK(IsIpv6(row.text) == row.v6);
  CHECK(IsIpLiteral(row.text) == (row.v4 || row.v6));
  CHECK(IsHostName(row.text) == row.host);
}

TEST_CASE("loopback is 127.0.0.0/8 and ::1, however it is spelt, and nothing that looks like it") {
  CHECK(IsLoopback("127.0.0.1"));
  CHECK(IsLoopback("127.255.0.9"));
  CHECK(IsLoopback("::1"));
  CHECK(IsLoopback("0:0:0:0:0:0:0:1"));
  CHECK_FALSE(IsLoopback("128.0.0.1"));
  CHECK_FALSE(IsLoopback("127.example.com"));
  CHECK_FALSE(IsLoopback("::2"));
  CHECK_FALSE(IsLoopback("localhost"));
  CHECK_FALSE(IsLoopback(""));
}

}  // namespace
}  // namespace rosterd
