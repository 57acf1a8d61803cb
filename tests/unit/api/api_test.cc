// SPDX-License-Identifier: Apache-2.0
#include "api/api.h"

#include <catch2/catch.hpp>

#include "support/fake_clock.h"
#include "world.h"

namespace rosterd::api::testing {
namespace {

// The doors that the workers publish through, and an Api behind them.
struct Rig {
  Latest<Catalog> catalog;
  Latest<HealthSnapshot> health;
  Latest<RegistrationSnapshot> registration;
  Latest<EtcdSnapshot> etcd;
  Latest<Config> config;
  rosterd::testing::FakeClock clock;
  Metrics metrics;
  TimePoint last_turn = clock.Now();
  Api api{Sources{catalog, health, registration, etcd, config, clock, metrics,
                  [this] {
                    return std::vector<LoopTurn>{{"watcher", last_turn}};
                  }},
          "0.1.0"};

  http::Answer Get(const std::string& path) {
    http::Request request;
    request.method = "GET";
    request.path = path;
    return api.handler()(request);
  }
};

TEST_CASE("each request is answered from the newest snapshots") {
  Rig rig;
  CHECK(rig.Get("/services/web").status == 503);
  CHECK(rig.Get("/readyz").status == 503);
  rig.catalog.Publish(MakeCatalog(7, {{MakeInstance("web", "web-1", "10.0.0.1", 80), 7}}));
  CHECK(rig.Get("/readyz").status == 200);
  CHECK(HeaderOf(rig.Get("/services/web"), "X-Rosterd-State") == "stale");

  EtcdSnapshot etcd;
  etcd.state = EtcdState::kConnected;
  etcd.last_answer = rig.clock.Now();
  rig.etcd.Publish(std::make_shared<const EtcdSnapshot>(etcd));
  CHECK(HeaderOf(rig.Get("/services/web"), "X-Rosterd-State") == "live");
  rig.clock.Advance(seconds(6));
  CHECK(HeaderOf(rig.Get("/services/web"), "X-Rosterd-State") == "stale");
  CHECK(HeaderOf(rig.Get("/services/web"), "Age") == "6");

  rig.catalog.Publish(MakeCatalog(8, {{MakeInstance("new", "n-1", "10.0.0.1", 80), 8}}));
  CHECK(BodyOf(rig.Get("/services")) == R"({"index":8,"services":[{"name":"new","instances":1}]})");
}

TEST_CASE("uptime and liveness follow the clock") {
  Rig rig;
  rig.clock.Advance(milliseconds(9'999));
  CHECK(rig.Get("/livez").status == 200);
  CHECK(BodyOf(rig.Get("/agent")).find(R"("uptime_s":9,)") != std::string::npos);
  rig.clock.Advance(milliseconds(1));
  CHECK(BodyOf(rig.Get("/livez")) ==
        R"({"status":"unhealthy","reasons":["the watcher loop has not turned for 10 s"]})");
}

TEST_CASE("metrics tell version, uptime and how current the catalog is") {
  Rig rig;
  rig.clock.Advance(seconds(42));
  const std::string before = BodyOf(rig.Get("/metrics"));
  CHECK(before.find("rosterd_build_info{version=\"0.1.0\"} 1") != std::string::npos);
  CHECK(before.find("rosterd_uptime_seconds 42") != std::string::npos);
  CHECK(before.find("rosterd_catalog_age_seconds 42") != std::string::npos);
  CHECK(before.find("rosterd_catalog_live 0") != std::string::npos);

  EtcdSnapshot etcd;
  etcd.state = EtcdState::kConnected;
  etcd.last_answer = rig.clock.Now();
  rig.etcd.Publish(std::make_shared<const EtcdSnapshot>(etcd));
  rig.catalog.Publish(MakeCatalog(7, {}));
  const std::string after = BodyOf(rig.Get("/metrics"));
  CHECK(after.find("rosterd_catalog_age_seconds 0") != std::string::npos);
  CHECK(after.find("rosterd_catalog_live 1") != std::string::npos);
}

}  // namespace
}  // namespace rosterd::api::testing
