// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "world.h"

namespace rosterd::api::testing {
namespace {

const char kSince[] = "2026-09-21T14:13:20.000Z";  // 1'790'000'000

TEST_CASE("/agent shows everything of a working agent") {
  World world;
  world.views.catalog = MakeCatalog(57, {{MakeInstance("web", "web-1", "10.0.0.1", 80), 57},
                                         {MakeInstance("web", "web-2", "10.0.0.2", 80), 50},
                                         {MakeInstance("api", "api-1", "10.0.0.3", 80), 12}});
  world.registration.lease = 0x694d71ddacfda227;
  world.registration.lease_ttl = seconds(15);
  world.registration.last_keepalive = world.views.now - milliseconds(120);
  world.AddHealth("web", "web-1", HealthStatus::kPassing, "");
  world.registration.instances["web-1"] = {RegistrationState::kRegistered, "", {}};
  const http::Answer answer = world.Get("/agent");
  CHECK(answer.status == 200);
  CHECK(answer.content_type == "application/json");
  CHECK(answer.route == "/agent");
  CHECK(BodyOf(answer) ==
        std::string(R"({"node":"web-01","version":"0.1.0","uptime_s":100,)") +
            R"("etcd":{"endpoint":"http://127.0.0.1:2379","state":"connected","error":"",)"
            R"("lease":"694d71ddacfda227","lease_ttl_s":15,"keepalive_age_ms":120},)"
            R"("catalog":{"state":"live","index":57,"services":2,"instances":3,"age_ms":1900},)"
            R"("services":[{"id":"web-1","name":"web","address":"10.0.0.5","port":8080,)"
            R"("state":"passing","registered":true,"reason":"","since":")" +
            kSince + R"(","checks":[]}]})");
}

TEST_CASE("/agent has every field before any worker has published") {
  World world;
  http::Request request;
  request.method = "GET";
  request.path = "/agent";
  const http::Answer answer =
      Route(world.views, request, RouteTools{world.service_list, world.render_metrics});
  CHECK(BodyOf(answer) ==
        R"({"node":"","version":"0.1.0","uptime_s":100,)"
        R"("etcd":{"endpoint":"","state":"connecting","error":"","lease":"","lease_ttl_s":0,)"
        R"("keepalive_age_ms":-1},)"
        R"("catalog":{"state":"none","index":0,"services":0,"instances":0,"age_ms":100000},)"
        R"("services":[]})");
}

TEST_CASE("/agent names the state of etcd and its error") {
  World world;
  world.etcd.state = EtcdState::kDenied;
  world.etcd.error = "wrong user name or password";
  world.registration.lease = 0x0a;
  const std::string body = BodyOf(world.Get("/agent"));
  CHECK(body.find(R"("state":"denied","error":"wrong user name or password")") !=
        std::string::npos);
  CHECK(body.find(R"("lease":"000000000000000a","lease_ttl_s":0,"keepalive_age_ms":-1)") !=
        std::string::npos);
}

TEST_CASE("without a lease there is no keepalive to be old") {
  World world;
  world.registration.last_keepalive = world.views.now - seconds(1);
  CHECK(BodyOf(world.Get("/agent")).find(R"("lease":"","lease_ttl_s":0,"keepalive_age_ms":-1)") !=
        std::string::npos);
}

TEST_CASE("before the first try /agent shows the first endpoint of the configuration") {
  World world;
  world.etcd = EtcdSnapshot{};
  world.config.etcd.endpoints = {"http://10.0.0.1:2379", "http://10.0.0.2:2379"};
  CHECK(BodyOf(world.Get("/agent")).find(R"("endpoint":"http://10.0.0.1:2379")") !=
        std::string::npos);
}

TEST_CASE("/agent/services/ID shows a service with its checks") {
  World world;
  InstanceHealth& health =
      world.AddHealth("web", "web-1", HealthStatus::kStarting,
                      "1 of 2 successes needed: GET http://127.0.0.1:8080/healthz: connection "
                      "refused");
  CheckReport check;
  check.target = "http://127.0.0.1:8080/healthz";
  check.status = HealthStatus::kFailing;
  check.error = "connection refused";
  check.duration = milliseconds(1);
  check.last_run = WallTime(seconds(1'790'000'000));
  check.failures = 4;
  CheckReport not_run;
  not_run.target = "http://127.0.0.1:8080/b";
  health.checks = {check, not_run};

  const http::Answer answer = world.Get("/agent/services/web-1");
  CHECK(answer.status == 200);
  CHECK(answer.route == "/agent/services/ID");
  CHECK(BodyOf(answer) ==
        std::string(R"({"id":"web-1","name":"web","address":"10.0.0.5","port":8080,)") +
            R"("state":"starting","registered":false,"reason":"1 of 2 successes needed: GET )"
            R"(http://127.0.0.1:8080/healthz: connection refused","since":")" +
            kSince +
            R"(","checks":[{"target":"http://127.0.0.1:8080/healthz","state":"failing","status":0,)"
            R"("error":"connection refused","duration_ms":1,"last_run":")" +
            kSince +
            R"(","successes":0,"failures":4},{"target":"http://127.0.0.1:8080/b",)"
            R"("state":"starting","status":0,"error":"","duration_ms":0,"last_run":"",)"
            R"("successes":0,"failures":0}]})");
}

TEST_CASE("an id that this host does not run is 404") {
  World world;
  world.AddHealth("web", "web-1", HealthStatus::kPassing, "");
  const http::Answer answer = world.Get("/agent/services/web");
  CHECK(answer.status == 404);
  CHECK(BodyOf(answer) ==
        R"({"error":"no service with the id 'web' is configured on this host; GET /agent lists )"
        R"(those that are"})");
}

// state, registered, reason as /agent/services/web-1 shows them.
std::string StatusLine(World& world) {
  const std::string body = BodyOf(world.Get("/agent/services/web-1"));
  const size_t start = body.find(R"("state")");
  const size_t end = body.find(R"(,"checks")");
  REQUIRE(start != std::string::npos);
  return body.substr(start, end - start);
}

std::string Line(const std::string& state, bool registered, const std::string& reason,
                 const std::string& since) {
  return R"("state":")" + state + R"(","registered":)" + (registered ? "true" : "false") +
         R"(,"reason":")" + reason + R"(","since":")" + since + "\"";
}

TEST_CASE("state, registered and reason put health and registration together") {
  World world;
  Registration& registration = world.registration.instances["web-1"];

  SECTION("a service that no check has looked at") {
    world.AddService("web", "web-1");
    CHECK(StatusLine(world) == Line("starting", false, "not checked yet", ""));
  }
  SECTION("passing and registered") {
    world.AddHealth("web", "web-1", HealthStatus::kPassing, "");
    registration.state = RegistrationState::kRegistered;
    CHECK(StatusLine(world) == Line("passing", true, "", kSince));
  }
  SECTION("passing, absent: the most special reason is shown") {
    world.AddHealth("web", "web-1", HealthStatus::kPassing, "");
    CHECK(StatusLine(world) ==
          Line("passing", false, "waiting for its turn to be registered", kSince));
    world.etcd.error = "etcd's reason";
    CHECK(StatusLine(world) == Line("passing", false, "etcd's reason", kSince));
    world.registration.error = "the registrar's reason";
    CHECK(StatusLine(world) == Line("passing", false, "the registrar's reason", kSince));
    registration.reason = "its own reason";
    CHECK(StatusLine(world) == Line("passing", false, "its own reason", kSince));
  }
  SECTION("conflict, since it was found") {
    world.AddHealth("web", "web-1", HealthStatus::kPassing, "");
    registration = {RegistrationState::kConflict, "agent b on web-02 holds the key",
                    WallTime(seconds(1'790'000'001))};
    CHECK(StatusLine(world) ==
          Line("conflict", false, "agent b on web-02 holds the key", "2026-09-21T14:13:21.000Z"));
  }
  SECTION("failing, and its key not yet removed") {
    world.AddHealth("web", "web-1", HealthStatus::kFailing, "down");
    registration.state = RegistrationState::kRegistered;
    CHECK(StatusLine(world) == Line("failing", true, "down", kSince));
  }
  SECTION("failing outranks a conflict: it wants no key") {
    world.AddHealth("web", "web-1", HealthStatus::kFailing, "down");
    registration = {RegistrationState::kConflict, "held", {}};
    CHECK(StatusLine(world) == Line("failing", false, "down", kSince));
  }
}

TEST_CASE("every service of the host is found among many") {
  World world;
  for (const char* id : {"a", "b", "c", "d", "e"}) {
    world.AddHealth("web", id, HealthStatus::kFailing, std::string("reason of ") + id);
  }
  const std::string body = BodyOf(world.Get("/agent"));
  for (const char* id : {"a", "b", "c", "d", "e"}) {
    CHECK(body.find(R"("id":")" + std::string(id) +
                    R"(","name":"web","address":"10.0.0.5","port":8080,"state":"failing",)"
                    R"("registered":false,"reason":"reason of )" +
                    id + "\"") != std::string::npos);
  }
}

TEST_CASE("what a check is configured with stays secret") {
  World world;
  InstanceHealth& health = world.AddHealth("web", "web-1", HealthStatus::kFailing, "down");
  ServiceConfig service = *world.config.services[0];
  CheckConfig check;
  check.url = "http://user:hunter2@127.0.0.1:8080/";
  check.headers = {{"Authorization", "Bearer hunter2"}};
  service.checks = {check};
  world.config.services[0] = std::make_shared<const ServiceConfig>(service);
  health.service = world.config.services[0];
  health.checks = {CheckReport{}};
  CHECK(BodyOf(world.Get("/agent")).find("hunter2") == std::string::npos);
  CHECK(BodyOf(world.Get("/agent/services/web-1")).find("hunter2") == std::string::npos);
  CHECK(BodyOf(world.Get("/services/web")).find("hunter2") == std::string::npos);
}

TEST_CASE("bytes that are not UTF-8 become U+FFFD in status pages") {
  World world;
  world.AddHealth("web", "web-1", HealthStatus::kFailing, "got \xff\xfe");
  const http::Answer answer = world.Get("/agent/services/web-1");
  CHECK(answer.status == 200);
  CHECK(BodyOf(answer).find("got \xEF\xBF\xBD") != std::string::npos);
  CHECK(BodyOf(world.Get("/agent/services/\xff")).find("\xEF\xBF\xBD") != std::string::npos);
}

}  // namespace
}  // namespace rosterd::api::testing
