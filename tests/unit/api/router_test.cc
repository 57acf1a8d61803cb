// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "world.h"

namespace rosterd::api::testing {
namespace {

World Ready() {
  World world;
  world.AddHealth("web", "web-1", HealthStatus::kPassing, "");
  world.views.catalog = MakeCatalog(7, {{MakeInstance("web", "web-1", "10.0.0.1", 80), 7}});
  return world;
}

struct Known {
  const char* path;
  const char* route;
  int status;
};

const Known kKnown[] = {
    {"/", "/", 200},
    {"/services", "/services", 200},
    {"/services/web", "/services/NAME", 200},
    {"/agent", "/agent", 200},
    {"/agent/services/web-1", "/agent/services/ID", 200},
    {"/livez", "/livez", 200},
    {"/readyz", "/readyz", 200},
    {"/metrics", "/metrics", 200},
    {"/services/web/pick", "/services/NAME/pick", 501},
    {"/events", "/events", 501},
};

http::Answer Ask(World& world, const std::string& method, const std::string& path) {
  http::Request request;
  request.method = method;
  request.path = path;
  return world.Ask(request);
}

TEST_CASE("GET and HEAD reach each route, which is named for the metrics") {
  World world = Ready();
  for (const Known& known : kKnown) {
    CAPTURE(known.path);
    const http::Answer get = Ask(world, "GET", known.path);
    CHECK(get.status == known.status);
    CHECK(get.route == known.route);
    const http::Answer head = Ask(world, "HEAD", known.path);
    CHECK(head.status == get.status);
    CHECK(head.headers == get.headers);
    CHECK(head.content_type == get.content_type);
  }
}

TEST_CASE("other methods are 405 with what is allowed") {
  World world = Ready();
  for (const Known& known : kKnown) {
    for (const char* method : {"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "get"}) {
      CAPTURE(known.path, method);
      const http::Answer answer = Ask(world, method, known.path);
      CHECK(answer.status == 405);
      CHECK(HeaderOf(answer, "Allow") == "GET, HEAD");
      CHECK(answer.route == known.route);
    }
  }
  CHECK(BodyOf(Ask(world, "POST", "/services/web")) ==
        R"({"error":"POST is not allowed on /services/web; allowed: GET, HEAD"})");
}

TEST_CASE("what is not in the table is 404, with what there is") {
  World world = Ready();
  for (const char* path : {"/service",
                           "/services/",
                           "//services",
                           "/services//",
                           "/services//pick",
                           "/services/web/",
                           "/services/web/x",
                           "/services/web/pick/",
                           "/services/a/b/c",
                           "/agent/",
                           "/agent/services",
                           "/agent/services/",
                           "/agent/services/web-1/",
                           "/Services",
                           "/livez/",
                           "/health",
                           "//",
                           "",
                           "services",
                           "*",
                           "/v1/catalog/services"}) {
    CAPTURE(path);
    const http::Answer answer = Ask(world, "GET", path);
    CHECK(answer.status == 404);
    CHECK(answer.route == "other");
    CHECK(HeaderOf(answer, "Allow") == "(none)");
    CHECK(Ask(world, "POST", path).status == 404);
  }
  CHECK(BodyOf(Ask(world, "GET", "/x")) ==
        R"({"error":"there is no '/x' here; there are /, /services, /services/NAME, /agent, )"
        R"(/agent/services/ID, /livez, /readyz, /metrics"})");
}

TEST_CASE("a service may be called like a route") {
  World world;
  world.views.catalog = MakeCatalog(8, {{MakeInstance("pick", "p-1", "10.0.0.1", 80), 7},
                                        {MakeInstance("NAME", "n-1", "10.0.0.1", 80), 8}});
  CHECK(world.Get("/services/pick").status == 200);
  CHECK(world.Get("/services/NAME").status == 200);
  CHECK(world.Get("/services/services").status == 404);
}

TEST_CASE("what is not built yet is refused by name") {
  World world = Ready();
  CHECK(BodyOf(world.Get("/services/web/pick", {{"policy", "random"}})) ==
        R"({"error":"/services/NAME/pick is not supported yet; choose from GET /services/NAME"})");
  CHECK(BodyOf(world.Get("/events", {{"service", "web"}})) ==
        R"({"error":"/events is not supported yet; ask GET /services/NAME again with )"
        R"(If-None-Match"})");
}

TEST_CASE("GET / names each endpoint in one line for a person") {
  World world;
  const http::Answer answer = world.Get("/");
  CHECK(answer.status == 200);
  CHECK(answer.content_type == "text/plain; charset=utf-8");
  CHECK(
      BodyOf(answer) ==
      "GET /                     this list\n"
      "GET /services             all services, with the number of their instances\n"
      "GET /services/NAME        the instances of a service; ?tag=T, ?meta.KEY=V, ?zone=Z narrow "
      "it\n"
      "GET /agent                this agent, its etcd, its catalog and the services of this host\n"
      "GET /agent/services/ID    one service of this host, with its checks\n"
      "GET /livez                200 while the agent works\n"
      "GET /readyz               200 once the catalog is known\n"
      "GET /metrics              counters in Prometheus text format\n");
}

TEST_CASE("metrics go out as the renderer wrote them") {
  World world;
  const http::Answer answer = world.Get("/metrics");
  CHECK(answer.content_type == "text/plain; version=0.0.4; charset=utf-8");
  CHECK(BodyOf(answer) == "rosterd_x 1\n");
}

}  // namespace
}  // namespace rosterd::api::testing
