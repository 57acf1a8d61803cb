// SPDX-License-Identifier: Apache-2.0
#include "health/check_request.h"

#include <algorithm>
#include <catch2/catch.hpp>

namespace rosterd {
namespace {

bool Has(const std::vector<std::string>& lines, const std::string& line) {
  return std::find(lines.begin(), lines.end(), line) != lines.end();
}

TEST_CASE("user, password and query are never shown") {
  CHECK(CheckTarget("http://u:p@h:1/x?y") == "http://h:1/x?...");
  CHECK(CheckTarget("http://u:p%40@h/") == "http://h/");
  CHECK(CheckTarget("http://u:p@ss@h/") == "http://h/");
  CHECK(CheckTarget("http://h/?mail=a@b") == "http://h/?...");
  CHECK(CheckTarget("http://h:80/healthz") == "http://h:80/healthz");
  CHECK(CheckTarget("http://u:p@h") == "http://h");
  const auto bad = ParseCheckUrl("ftp://user:secret@h/");
  REQUIRE_FALSE(bad.ok());
  CHECK(std::string(bad.status().message()).find("secret") == std::string::npos);
}

TEST_CASE("URLs are taken apart") {
  const auto url = ParseCheckUrl("https://u:p@[::1]:8443/a?b#c");
  REQUIRE(url.ok());
  CHECK(url->https);
  CHECK(url->credentials == "u:p");
  CHECK(url->host == "::1");
  CHECK(url->port == 8443);
  CHECK(url->path == "/a?b");
  const auto plain = ParseCheckUrl("HTTP://web?x=1");
  REQUIRE(plain.ok());
  CHECK(plain->port == 80);
  CHECK(plain->default_port);
  CHECK(plain->path == "/?x=1");
}

TEST_CASE("what is no http URL is refused with what would be right") {
  for (const char* url :
       {"", "healthz", "ftp://h/", "http://", "http://h:0/", "http://h:70000/", "http://h:x/",
        "http://[::1/", "http://[::1]x/", "http://[h]/", "http://a b/", "file:///etc/passwd"}) {
    INFO(url);
    const auto parsed = ParseCheckUrl(url);
    REQUIRE_FALSE(parsed.ok());
    CHECK(std::string(parsed.status().message()).find("write http://") != std::string::npos);
  }
}

TEST_CASE("TLS verifies server_name while the connection and the Host stay the URL's") {
  CheckConfig check;
  check.url = "https://u:p@127.0.0.1:8443/x";
  check.tls.server_name = "web.internal";
  const auto request = MakeCheckRequest(check);
  REQUIRE(request.ok());
  CHECK(request->url == "https://u:p@web.internal:8443/x");
  CHECK(request->connects_elsewhere);
  CHECK(request->connect_host == "127.0.0.1");
  CHECK_FALSE(request->needs_lookup);
  CHECK(Has(request->header_lines, "Host: 127.0.0.1:8443"));
}

TEST_CASE("only real names need a lookup") {
  for (const auto& [url, needs] :
       {std::pair{"http://127.0.0.1:1/", false}, std::pair{"http://[::1]:1/", false},
        std::pair{"http://localhost:1/", false}, std::pair{"http://LocalHost/", false},
        std::pair{"http://web.localhost/", false}, std::pair{"http://web-1:80/", true},
        std::pair{"http://localhost.example.com/", true}}) {
    INFO(url);
    CheckConfig check;
    check.url = url;
    CHECK(MakeCheckRequest(check)->needs_lookup == needs);
  }
}

TEST_CASE("a configured Host or Content-Type is not said twice") {
  CheckConfig check;
  check.url = "http://127.0.0.1:8080/";
  check.headers = {{"host", "shop.example"}, {"X-Empty", ""}, {"X-A", "b"}};
  const auto request = MakeCheckRequest(check);
  REQUIRE(request.ok());
  CHECK(request->header_lines ==
        std::vector<std::string>{"Content-Type:", "host: shop.example", "X-Empty;", "X-A: b"});
}

TEST_CASE("status ranges match and are described") {
  const std::vector<StatusRange> ranges{{200, 299}, {404, 404}};
  CHECK(DescribeRanges(ranges) == "200-299, 404");
  CHECK(StatusMatches(ranges, 204));
  CHECK(StatusMatches(ranges, 404));
  CHECK_FALSE(StatusMatches(ranges, 300));
  CHECK_FALSE(StatusMatches(ranges, 0));
}

}  // namespace
}  // namespace rosterd
