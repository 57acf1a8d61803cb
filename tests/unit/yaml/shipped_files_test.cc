// SPDX-License-Identifier: Apache-2.0
// The files of config/ that people start from.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "config_folder.h"

namespace rosterd {
namespace {

ParseResult LoadShipped(const std::string& name) {
  const ParseResult result =
      LoadConfig(std::string(ROSTERD_CONFIG_FOLDER) + "/" + name, TestEnvironment());
  INFO(Listing(result));
  REQUIRE(result.ok());
  return result;
}

TEST_CASE("config/rosterd.yaml passes and shows the defaults") {
  const Config config = *LoadShipped("rosterd.yaml").config;
  CHECK(config.etcd == EtcdConfig());
  CHECK(config.http == HttpConfig());
  CHECK(config.log == LogConfig());
  CHECK(config.on_stop == OnStop::kDeregister);
  REQUIRE(config.services.size() == 3);
  CheckConfig check;
  check.url = "http://127.0.0.1:8080/healthz";
  CHECK(config.services[0]->checks.at(0) == check);
  CHECK(config.services[1]->checks.size() == 2);
  CHECK(config.services[2]->checks.empty());
}

TEST_CASE("config/rosterd.yaml names every key that there is") {
  std::ifstream file(std::string(ROSTERD_CONFIG_FOLDER) + "/rosterd.yaml");
  std::stringstream text;
  text << file.rdbuf();
  for (const char* key :
       {"name",          "advertise",     "zone",          "endpoints", "prefix",
        "lease_ttl",     "username",      "password_file", "tls",       "listen",
        "allowed_hosts", "data_dir",      "on_stop",       "max_drop",  "hold",
        "level",         "format",        "include",       "services",  "id",
        "address",       "port",          "protocol",      "tags",      "meta",
        "weight",        "check",         "checks",        "http",      "method",
        "headers",       "expect_status", "expect_body",   "ca",        "server_name",
        "cert",          "key",           "insecure",      "interval",  "fast_interval",
        "timeout",       "rise",          "fall"}) {
    INFO(key);
    CHECK(text.str().find(std::string(key) + ":") != std::string::npos);
  }
}

TEST_CASE("config/demo.yaml is one service on this host, checked often") {
  const Config config = *LoadShipped("demo.yaml").config;
  CHECK(config.node.name == "demo");
  CHECK(config.http.listen == std::vector<std::string>{"127.0.0.1:8500"});
  REQUIRE(config.services.size() == 1);
  const ServiceConfig& service = *config.services[0];
  CHECK(service.name == "my-service");
  CHECK(service.address == "127.0.0.1");
  CHECK(service.port == 8080);
  CHECK(service.checks.at(0).url == "http://127.0.0.1:8080/healthz");
  CHECK(service.checks.at(0).fast_interval <= milliseconds(200));
}

}  // namespace
}  // namespace rosterd
