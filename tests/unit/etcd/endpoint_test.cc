// SPDX-License-Identifier: Apache-2.0
#include "etcd/endpoint.h"

#include <catch2/catch.hpp>

#include "etcd/key_range.h"

namespace rosterd::etcd {
namespace {

TEST_CASE("endpoints become gRPC targets that ask the resolver only for names") {
  const auto target = [](const std::string& url) { return ParseEndpoint(url)->GrpcTarget(); };
  CHECK(target("http://127.0.0.1:2379") == "ipv4:127.0.0.1:2379");
  CHECK(target("http://127.0.0.1:2379/") == "ipv4:127.0.0.1:2379");
  CHECK(target("http://[::1]:12379") == "ipv6:%5B::1%5D:12379");
  CHECK(target("http://etcd-1.example.com:2379") == "dns:///etcd-1.example.com:2379");
  CHECK(target("http://etcd-1") == "dns:///etcd-1:2379");
  CHECK(target("http://[::1]") == "ipv6:%5B::1%5D:2379");
  CHECK(target("https://etcd-1:2379") == "dns:///etcd-1:2379");
  CHECK(ParseEndpoint("https://etcd-1")->https);
  CHECK_FALSE(ParseEndpoint("http://etcd-1")->https);
}

TEST_CASE("what is not an endpoint is refused with the reason") {
  const auto [url, reason] = GENERATE(table<std::string, std::string>({
      {"127.0.0.1:2379", "expected http://HOST:PORT"},
      {"ftp://127.0.0.1:2379", "expected http://HOST:PORT"},
      {"https://", "etcd endpoint 'https://'"},
      {"http://", "etcd endpoint 'http://'"},
      {"http://host:99999", "etcd endpoint 'http://host:99999'"},
      {"http://host:2379/v3", "only a host and a port"},
      {"http://user:secret@host:2379", "only a host and a port"},
      {"http://ho st:2379", "etcd endpoint"},
  }));
  INFO(url);
  const auto parsed = ParseEndpoint(url);
  REQUIRE_FALSE(parsed.ok());
  CHECK(std::string(parsed.status().message()).find(reason) != std::string::npos);
}

TEST_CASE("a prefix is the range up to the next prefix of its length") {
  CHECK(RangeOfPrefix("/services/").begin == "/services/");
  CHECK(RangeOfPrefix("/services/").end == "/services0");
  CHECK(RangeOfPrefix("a\xff\xff").end == "b");
  CHECK(RangeOfPrefix("\xff").end == std::string(1, '\0'));
  CHECK(RangeOfPrefix("").begin == std::string(1, '\0'));
  CHECK(RangeOfPrefix("").end == std::string(1, '\0'));
  CHECK(NextKey("a") == std::string("a\0", 2));
}

}  // namespace
}  // namespace rosterd::etcd
