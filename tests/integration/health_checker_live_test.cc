// SPDX-License-Identifier: Apache-2.0
// HealthChecker with its thread and a real HttpProbe.
#include <catch2/catch.hpp>
#include <functional>
#include <string>
#include <thread>

#include "health/health_checker.h"
#include "health_probe_run.h"
#include "support/raw_server.h"

namespace rosterd::testing {
namespace {

struct SilentResolver final : LookupBackend {
  void Start(const std::string&) override {}
  void Collect(std::vector<Answer>&) override {}
};

struct Live {
  SystemClock clock;
  Log log{LogLevel::kInfo, LogFormat::kText, [](const std::string&) {}};
  Metrics metrics;
  HealthChecker checker;

  explicit Live(std::unique_ptr<LookupBackend> lookup = MakeSystemLookup())
      : checker(clock, log, metrics, *HttpProbe::Create(clock, std::move(lookup)), 1) {}

  void Apply(const std::vector<std::string>& urls, Duration timeout = milliseconds(200)) {
    auto config = std::make_shared<Config>();
    for (size_t i = 0; i < urls.size(); ++i) {
      auto service = std::make_shared<ServiceConfig>();
      service->name = "web";
      service->id = "web-" + std::to_string(100 + i);
      service->address = "127.0.0.1";
      service->port = static_cast<uint16_t>(1000 + i);
      CheckConfig check;
      check.url = urls[i];
      check.interval = check.timeout = timeout;
      check.fast_interval = milliseconds(50);
      service->checks.push_back(check);
      config->services.push_back(service);
    }
    checker.Apply(std::move(config));
  }
  bool Await(const std::string& id, HealthStatus status) {
    const TimePoint limit = clock.Now() + seconds(10);
    while (clock.Now() < limit) {
      const auto snapshot = checker.snapshots().Get();
      const auto health = snapshot == nullptr ? nullptr : snapshot->Find(id);
      if (health != nullptr && health->status == status) return true;
      std::this_thread::sleep_for(milliseconds(2));
    }
    return false;
  }
};

TEST_CASE("a real service passes, fails when it goes, and passes when it is back") {
  std::atomic<bool> well{true};
  RawServer server([&](RawServer::Connection& connection) {
    while (!connection.ReadRequest().empty() &&
           connection.Send(well ? OkAnswer() : "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")) {
    }
  });
  Live live;
  live.checker.Start();
  live.Apply({server.Url()});
  CHECK(live.Await("web-100", HealthStatus::kPassing));
  well = false;
  CHECK(live.Await("web-100", HealthStatus::kFailing));
  CHECK(live.checker.snapshots().Get()->Find("web-100")->reason.find("status 503") !=
        std::string::npos);
  well = true;
  CHECK(live.Await("web-100", HealthStatus::kPassing));
}

TEST_CASE("a stop waits for no transfer, no handshake and no lookup") {
  RawServer hole([](RawServer::Connection& connection) { connection.Hang(); });
  const std::string tls = "https://127.0.0.1:" + std::to_string(hole.port()) + "/";
  Live live(std::make_unique<SilentResolver>());
  live.checker.Start();
  live.Apply({hole.Url(), tls, "http://silent.example/", hole.Url("/b")}, seconds(60));
  const TimePoint limit = live.clock.Now() + seconds(10);
  while (hole.connections() < 3 && live.clock.Now() < limit) {
    std::this_thread::sleep_for(milliseconds(2));
  }
  REQUIRE(hole.connections() == 3);
  const TimePoint begin = live.clock.Now();
  live.checker.Stop();
  // 200 ms are promised; the rest is for a busy machine.
  CHECK(live.clock.Now() - begin < seconds(1));
  live.checker.Stop();
}

}  // namespace
}  // namespace rosterd::testing
