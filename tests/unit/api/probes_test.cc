// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "world.h"

namespace rosterd::api::testing {
namespace {

TEST_CASE("live while every loop has turned in the last 10 s") {
  World world;
  CHECK(BodyOf(world.Get("/livez")) == R"({"status":"ok"})");
  world.views.loops = {{"registrar", world.views.now - seconds(10) + Duration(1)},
                       {"watcher", world.views.now},
                       {"prober", world.views.now + seconds(1)}};
  const http::Answer answer = world.Get("/livez");
  CHECK(answer.status == 200);
  CHECK(BodyOf(answer) == R"({"status":"ok"})");
}

TEST_CASE("a loop that does not turn is named") {
  World world;
  world.views.loops = {{"registrar", world.views.now - seconds(10)},
                       {"watcher", world.views.now},
                       {"prober", world.views.now - milliseconds(12'900)}};
  const http::Answer answer = world.Get("/livez");
  CHECK(answer.status == 503);
  CHECK(BodyOf(answer) ==
        R"({"status":"unhealthy","reasons":["the registrar loop has not turned for 10 s",)"
        R"("the prober loop has not turned for 12 s"]})");
}

TEST_CASE("an agent that lost etcd is live and ready as long as it has a catalog") {
  World world;
  world.etcd.state = EtcdState::kLost;
  world.etcd.error = "connection refused";
  world.etcd.last_answer = TimePoint{};
  world.views.catalog = MakeCatalog(5, {}, /*watch_open=*/false);
  CHECK(world.Get("/livez").status == 200);
  CHECK(world.Get("/readyz").status == 200);
  CHECK(BodyOf(world.Get("/readyz")) == R"({"status":"ok"})");
}

TEST_CASE("not ready before the first catalog, with the reason") {
  World world;
  const auto reason = [&] {
    const http::Answer answer = world.Get("/readyz");
    CHECK(answer.status == 503);
    CHECK(HeaderOf(answer, "Retry-After") == "1");
    return BodyOf(answer);
  };
  const auto body = [](const std::string& why) {
    return R"({"status":"not ready","reasons":["no catalog yet: )" + why + "\"]}";
  };
  CHECK(reason() == body("the first list from etcd http://127.0.0.1:2379 is on its way"));
  world.etcd.state = EtcdState::kLost;
  world.etcd.error = "connection refused";
  CHECK(reason() == body("etcd http://127.0.0.1:2379: connection refused"));
  world.etcd = EtcdSnapshot{};
  world.config.etcd.endpoints = {"http://10.0.0.1:2379"};
  CHECK(reason() == body("connecting to etcd http://10.0.0.1:2379"));
}

}  // namespace
}  // namespace rosterd::api::testing
