// SPDX-License-Identifier: Apache-2.0
// A front on free loopback ports with a handler of the test's, for the tests of the front.
#pragma once

#include <catch2/catch.hpp>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "http/server.h"

namespace rosterd::testing {

struct TestServer {
  explicit TestServer(http::Limits limits = {}, std::vector<std::string> listen = {"127.0.0.1:0"}) {
    http::Server::Options options;
    options.listen = std::move(listen);
    options.node_name = "web-01";
    options.limits = limits;
    auto created = http::Server::Create(
        std::move(options), [this](const http::Request& request) { return handler(request); },
        clock, log, metrics);
    INFO(created.status().ToString());
    REQUIRE(created.ok());
    server = *std::move(created);
    server->Start();
  }

  const std::string& address() const { return server->addresses().front(); }
  bool Counts(const std::string& line) const {
    return metrics.Render().find(line + "\n") != std::string::npos;
  }

  // The default: the path, the body's length and the body, so that a mix-up shows.
  static http::Answer Echo(const http::Request& request) {
    http::Answer answer;
    answer.content_type = "text/plain";
    answer.route = "echo";
    answer.body = std::make_shared<const std::string>(request.method + " " + request.path + " " +
                                                      std::to_string(request.body.size()) + " " +
                                                      request.body);
    return answer;
  }

  http::Handler handler = &Echo;  // set before the first request
  SystemClock clock;
  std::vector<std::string> lines;
  Log log{LogLevel::kWarn, LogFormat::kText,
          [this](const std::string& line) { lines.push_back(line); }};
  Metrics metrics;
  std::unique_ptr<http::Server> server;
};

}  // namespace rosterd::testing
