// SPDX-License-Identifier: Apache-2.0
// What discovery answers when there is nothing to show, or nothing fresh.
#include <catch2/catch.hpp>

#include "world.h"

namespace rosterd::api::testing {
namespace {

std::shared_ptr<const Catalog> OneService(bool watch_open = true) {
  return MakeCatalog(57, {{MakeInstance("web", "web-1", "10.0.0.1", 8080), 41}}, watch_open);
}

World WithWeb() {
  World world;
  world.views.catalog = OneService();
  return world;
}

TEST_CASE("an unknown service is 404 with index, state and age") {
  World world = WithWeb();
  const http::Answer answer = world.Get("/services/nothing");
  const std::string floor = "57";  // the revision of the first list
  CHECK(answer.status == 404);
  CHECK(answer.content_type == "application/json");
  CHECK(BodyOf(answer) == R"({"error":"no instance of 'nothing' is registered",)"
                          R"("service":"nothing","index":)" +
                              floor + R"(,"instances":[]})");
  CHECK(HeaderOf(answer, "X-Rosterd-Index") == floor);
  CHECK(HeaderOf(answer, "X-Rosterd-State") == "live");
  CHECK(HeaderOf(answer, "Age") == "1");
  CHECK(HeaderOf(answer, "ETag") == "(none)");
  CHECK(world.Get("/services/nothing", {}, {{"if-none-match", "*"}}).status == 404);
  CHECK(world.Get("/services/nothing", {{"tag", "x"}}).status == 404);
}

std::string ErrorOf(const http::Answer& answer) {
  const std::string body = BodyOf(answer);
  const std::string start = R"({"error":")";
  REQUIRE(body.starts_with(start));
  return body.substr(start.size(), body.find(R"(","service")") - start.size());
}

TEST_CASE("the 404 of a service of this host says why it is not registered") {
  World world = WithWeb();
  const std::string none = "no instance of 'shop' is registered";
  const auto error = [&] { return ErrorOf(world.Get("/services/shop")); };

  SECTION("failing") {
    world.AddHealth("shop", "shop-1", HealthStatus::kFailing,
                    "GET http://127.0.0.1:8080/: connection refused");
    CHECK(error() == none +
                         "; this host runs shop-1 but it is failing: GET http://127.0.0.1:8080/: "
                         "connection refused");
  }
  SECTION("starting") {
    world.AddHealth("shop", "shop-1", HealthStatus::kStarting, "1 of 2 successes needed");
    CHECK(error() == none + "; this host runs shop-1 but it is starting: 1 of 2 successes needed");
  }
  SECTION("not checked yet") {
    world.AddService("shop", "shop-1");
    CHECK(error() == none + "; this host runs shop-1 but it is starting: not checked yet");
  }
  SECTION("in conflict") {
    world.AddHealth("shop", "shop-1", HealthStatus::kPassing, "");
    world.registration.instances["shop-1"] = {
        RegistrationState::kConflict, "another agent holds the key", {}};
    CHECK(error() ==
          none + "; this host runs shop-1 but it is in conflict: another agent holds the key");
  }
  SECTION("passing, etcd away") {
    world.AddHealth("shop", "shop-1", HealthStatus::kPassing, "");
    world.etcd.error = "connection refused";
    CHECK(error() == none +
                         "; this host runs shop-1, which passes its checks but is not registered: "
                         "connection refused");
  }
  SECTION("passing, registered a moment ago") {
    world.AddHealth("shop", "shop-1", HealthStatus::kPassing, "");
    world.registration.instances["shop-1"] = {RegistrationState::kRegistered, "", {}};
    CHECK(error() ==
          none + "; this host runs shop-1 and has registered it, which etcd does not show yet");
  }
  SECTION("several, of which only a few are named") {
    for (const char* id : {"shop-1", "shop-2", "shop-3", "shop-4", "shop-5"}) {
      world.AddHealth("shop", id, HealthStatus::kFailing, "down");
    }
    CHECK(error() == none +
                         "; this host runs shop-1 but it is failing: down; this host runs shop-2 "
                         "but it is failing: down; this host runs shop-3 but it is failing: down; "
                         "and 2 more, see /agent");
  }
  SECTION("a service of another name says nothing") {
    world.AddHealth("other", "other-1", HealthStatus::kFailing, "down");
    CHECK(error() == none);
  }
}

TEST_CASE("keys that cannot be served are mentioned in the 404") {
  World world;
  Row unreadable{MakeInstance("broken", "b-1", "10.0.0.9", 1), 8};
  unreadable.readable = false;
  world.views.catalog = MakeCatalog(9, {unreadable});
  CHECK(ErrorOf(world.Get("/services/broken")) ==
        "no instance of 'broken' is registered; keys of it in etcd that are unreadable or not "
        "passing: 1");
}

TEST_CASE("a name that is not UTF-8 does not make the answer fail") {
  World world = WithWeb();
  const http::Answer answer = world.Get("/services/\xff\xfe");
  CHECK(answer.status == 404);
  CHECK(BodyOf(answer).find("\xEF\xBF\xBD") != std::string::npos);
  CHECK(BodyOf(answer).find('\xff') == std::string::npos);
}

TEST_CASE("without a catalog discovery is 503, with the reason and when to come back") {
  World world;
  world.etcd.state = EtcdState::kConnecting;
  for (const std::string path : {"/services", "/services/web"}) {
    world.etcd.error = "connection refused";
    const http::Answer answer = world.Get(path);
    CHECK(answer.status == 503);
    CHECK(BodyOf(answer) ==
          R"({"error":"no catalog yet: etcd http://127.0.0.1:2379: connection refused"})");
    CHECK(HeaderOf(answer, "Retry-After") == "1");
    CHECK(HeaderOf(answer, "X-Rosterd-Index") == "(none)");

    world.etcd.error = "etcd http://127.0.0.1:2379: connection refused";
    CHECK(BodyOf(world.Get(path)) == BodyOf(answer));
  }
}

TEST_CASE("the catalog is live while its watch is open and etcd answered less than 5 s ago") {
  World world = WithWeb();
  const auto state = [&] { return HeaderOf(world.Get("/services/web"), "X-Rosterd-State"); };
  const auto age = [&] { return HeaderOf(world.Get("/services/web"), "Age"); };

  world.etcd.last_answer = world.views.now - seconds(5) + Duration(1);
  CHECK(state() == "live");
  CHECK(age() == "4");
  world.etcd.last_answer = world.views.now - seconds(5);
  CHECK(state() == "stale");
  CHECK(age() == "5");

  world.etcd.last_answer = world.views.now + seconds(2);
  CHECK(state() == "live");
  CHECK(age() == "0");

  for (const EtcdState away : {EtcdState::kConnecting, EtcdState::kLost}) {
    world.etcd.state = away;
    CHECK(state() == "stale");
  }
  // Refused as a user, but the watch is open and keepalives are answered.
  world.etcd.state = EtcdState::kDenied;
  CHECK(state() == "live");
  world.etcd.state = EtcdState::kConnected;
  world.views.catalog = OneService(/*watch_open=*/false);
  CHECK(state() == "stale");
}

TEST_CASE("a catalog from disk is stale and as old as the agent until etcd answers") {
  World world = WithWeb();
  world.etcd.last_answer = TimePoint{};
  const http::Answer answer = world.Get("/services/web");
  CHECK(answer.status == 200);
  CHECK(HeaderOf(answer, "X-Rosterd-State") == "stale");
  CHECK(HeaderOf(answer, "Age") == "100");
}

}  // namespace
}  // namespace rosterd::api::testing
