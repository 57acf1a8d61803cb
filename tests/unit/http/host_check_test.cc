// SPDX-License-Identifier: Apache-2.0
#include "http/host_check.h"

#include <catch2/catch.hpp>

namespace rosterd::http {
namespace {

bool Passes(std::optional<std::string> host, std::optional<std::string> origin = std::nullopt) {
  static const HostCheck check("Web-01", {"Discovery.Example.com", "other.example:9000", ""});
  FramedRequest request;
  request.host = std::move(host);
  if (origin) request.headers.emplace_back("origin", *origin);
  return !check.Refuse(request).has_value();
}

}  // namespace

TEST_CASE("names that are ours pass, whatever their case, port or dot at the end") {
  for (const char* host :
       {"localhost", "localhost:8500", "LOCALHOST", "localhost.", "localhost.:80",
        "localhost:", "web-01", "WEB-01:8500", "discovery.example.com", "discovery.EXAMPLE.com.:1",
        "other.example", "127.0.0.1", "127.0.0.1:8500", "10.0.0.5", "[::1]", "[::1]:8500",
        "[2001:db8::1]:80", "[::ffff:127.0.0.1]"}) {
    INFO(host);
    CHECK(Passes(host));
  }
  CHECK(Passes(std::nullopt));
}

TEST_CASE("every other name is refused") {
  for (const char* host : {"evil.example",
                           "evil.example:8500",
                           "localhost.evil.example",
                           "xlocalhost",
                           "",
                           ".",
                           ":80",
                           "localhost..",
                           "localhost:80x",
                           "localhost:123456",
                           "localhost:80:80",
                           "[::1",
                           "[::1]x",
                           "[::1]:x",
                           "[127.0.0.1]",
                           "[localhost]",
                           "::1",
                           "127.0.0.1.evil.example",
                           "127.1",
                           "0x7f000001",
                           "web-01.evil.example",
                           "web-01 ",
                           "localhost,evil.example"}) {
    INFO(host);
    CHECK_FALSE(Passes(host));
  }
}

TEST_CASE("an Origin is held to the same names") {
  CHECK(Passes("localhost", "http://localhost:3000"));
  CHECK(Passes("localhost", "https://WEB-01"));
  CHECK(Passes("localhost", "http://[::1]:8500"));
  for (const char* origin :
       {"null", "", "http://", "localhost", "http://evil.example", "http://localhost/path",
        "://localhost", "file://", "http://localhost http://evil.example"}) {
    INFO(origin);
    CHECK_FALSE(Passes("localhost", origin));
  }
  CHECK_FALSE(Passes(std::nullopt, "http://evil.example"));
}

TEST_CASE("each of several Origin headers counts") {
  FramedRequest request;
  request.host = "localhost";
  request.headers = {{"origin", "http://localhost"}, {"origin", "http://evil.example"}};
  CHECK(HostCheck("", {}).Refuse(request).has_value());
}

TEST_CASE("the refusal names the header, the name and what to do") {
  FramedRequest request;
  request.host = "evil.example:8500";
  CHECK(
      HostCheck("n", {}).Refuse(request) ==
      "Host 'evil.example:8500' is not allowed; use localhost, an IP address or this node's name, "
      "or add the name to http.allowed_hosts");
}

TEST_CASE("an empty node name lets no empty host in") {
  FramedRequest request;
  request.host = "";
  CHECK(HostCheck("", {""}).Refuse(request).has_value());
}

}  // namespace rosterd::http
