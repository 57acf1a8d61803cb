// SPDX-License-Identifier: Apache-2.0
// What one run knows of its services' checks and the next one makes of it.
#include "health/health_file.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "health/health_checker.h"
#include "health/health_keeper.h"
#include "support/fake_clock.h"
#include "support/fake_probe.h"
#include "support/temp_dir.h"

namespace rosterd {
namespace {

using testing::Disk;
using testing::FakeClock;
using testing::FakeProbe;
using Answer = FakeProbe::Answer;

std::shared_ptr<ServiceConfig> MakeService(const std::string& id, size_t checks = 1) {
  auto service = std::make_shared<ServiceConfig>();
  service->name = "web";
  service->id = id;
  service->address = "10.0.0.5";
  service->port = 8080;
  for (size_t i = 0; i < checks; ++i) {
    CheckConfig check;
    check.url = "http://user:secret@" + id + "/" + std::to_string(i);
    service->checks.push_back(check);
  }
  return service;
}

// One run of the agent's checks.
struct Run {
  explicit Run(FakeClock& c) : clock(c) {}

  void Apply(std::vector<std::shared_ptr<const ServiceConfig>> services) {
    auto config = std::make_shared<Config>();
    config->services = std::move(services);
    checker.Apply(std::move(config));
    checker.Step(clock.Now());
  }
  void For(Duration d) {
    const TimePoint end = clock.Now() + d;
    while (clock.Now() < end) {
      const TimePoint next = std::min({checker.Step(clock.Now()), probe->NextEnd(), end});
      if (next > clock.Now()) clock.Advance(next - clock.Now());
    }
    checker.Step(end);
  }
  void Fail() {
    probe->Answers([](const CheckConfig&) { return Answer{.success = false}; });
  }
  std::shared_ptr<const InstanceHealth> Health(const std::string& id) {
    return checker.snapshots().Get()->Find(id);
  }
  size_t Logged(const std::string& part) const {
    return static_cast<size_t>(std::count_if(lines.begin(), lines.end(), [&](const auto& line) {
      return line.find(part) != std::string::npos;
    }));
  }

  FakeClock& clock;
  std::vector<std::string> lines;
  Log log{LogLevel::kInfo, LogFormat::kText,
          [this](const std::string& line) { lines.push_back(line); }};
  Metrics metrics;
  FakeProbe* probe = new FakeProbe(clock);
  HealthChecker checker{clock, log, metrics, std::unique_ptr<Probe>(probe), 42};
};

// The second of two runs with a data_dir between them.
struct Restarted {
  explicit Restarted(std::vector<std::shared_ptr<const ServiceConfig>> services,
                     bool dead = false) {
    Run first(clock);
    first.Apply(services);
    first.For(seconds(10));
    if (dead) {
      first.Fail();
      first.For(seconds(10));
    }
    before = first.checker.snapshots().Get();
    REQUIRE(HealthFile(*disk.dir, "boot-1").Save(*before, clock.Now()).ok());
    clock.Advance(seconds(3));
  }
  std::optional<SavedHealth> Load(const std::string& boot = "boot-1") {
    auto loaded = HealthFile(*disk.dir, boot).Load(clock.Now());
    REQUIRE(loaded.ok());
    return *std::move(loaded);
  }
  Run& Start(std::vector<std::shared_ptr<const ServiceConfig>> services) {
    if (auto saved = Load()) second.checker.Restore(*std::move(saved));
    second.Apply(std::move(services));
    return second;
  }

  FakeClock clock;
  Disk disk;
  std::shared_ptr<const HealthSnapshot> before;
  Run second{clock};
};

TEST_CASE("a passing service passes at once after a restart, since when it did, unconfirmed") {
  const auto service = MakeService("a", 2);
  Restarted t({service});
  Run& run = t.Start({service});
  const auto health = run.Health("a");
  CHECK(health->status == HealthStatus::kPassing);
  CHECK(health->since == t.before->Find("a")->since);
  CHECK(health->since < t.clock.WallNow() - seconds(10));
  CHECK_FALSE(health->confirmed);
  CHECK(health->checks.at(0).status == HealthStatus::kPassing);
  CHECK(health->checks.at(0).successes == t.before->Find("a")->checks.at(0).successes);
  CHECK(run.Logged("go on as the last run left them") == 1);
  CHECK(run.Logged("service is passing") == 0);

  SECTION("its first runs come soon and confirm it") {
    run.For(milliseconds(500));
    CHECK(run.probe->runs().size() == 2);
    CHECK(run.Health("a")->confirmed);
    CHECK(run.Health("a")->since == health->since);
    CHECK(run.Logged("service is passing") == 0);
  }
  SECTION("one failure neither confirms nor condemns; three do") {
    run.Fail();
    run.For(milliseconds(400));
    CHECK(run.Health("a")->status == HealthStatus::kPassing);
    CHECK(run.Health("a")->checks.at(0).failures == 1);
    CHECK_FALSE(run.Health("a")->confirmed);
    run.For(seconds(2));
    CHECK(run.Health("a")->status == HealthStatus::kFailing);
    CHECK(run.Health("a")->confirmed);
    CHECK(run.Logged("service is failing") == 1);
  }
  SECTION("one of two checks is not enough to confirm it") {
    run.probe->Answers(
        [](const CheckConfig& check) { return Answer{.success = check.url.ends_with("/0")}; });
    run.For(milliseconds(400));
    CHECK_FALSE(run.Health("a")->confirmed);
  }
  SECTION("that it is confirmed is published at once") {
    bool confirmed = false;
    run.checker.snapshots().Subscribe(
        [&] { confirmed = run.checker.snapshots().Get()->Find("a")->confirmed; });
    while (run.probe->runs().size() < 2) run.For(milliseconds(1));
    run.For(milliseconds(3));
    CHECK(confirmed);
  }
}

TEST_CASE("a failing service stays failing until it has risen") {
  const auto service = MakeService("a");
  Restarted t({service}, /*dead=*/true);
  Run& run = t.Start({service});
  CHECK(run.Health("a")->status == HealthStatus::kFailing);
  CHECK(run.Health("a")->since == t.before->Find("a")->since);
  run.For(milliseconds(100));
  CHECK(run.Health("a")->status == HealthStatus::kFailing);
  run.For(seconds(1));
  CHECK(run.Health("a")->status == HealthStatus::kPassing);
  CHECK(run.Health("a")->confirmed);
}

TEST_CASE("a half-run streak goes on") {
  const auto service = MakeService("a");
  FakeClock clock;
  SavedInstance saved{FingerprintOf(*service),
                      HealthStatus::kPassing,
                      WallTime(seconds(5)),
                      {{HealthStatus::kPassing, 0, 2}}};
  Run run(clock);
  run.checker.Restore({"boot-1", clock.Now(), {{"a", saved}}});
  run.Apply({service});
  run.Fail();
  run.For(milliseconds(100));
  CHECK(run.Health("a")->status == HealthStatus::kFailing);
}

TEST_CASE("other checks, another place, or never passed: it starts anew") {
  const auto service = MakeService("a");
  const auto fresh = MakeService("a");
  SECTION("other checks") { fresh->checks[0].url += "x"; }
  SECTION("another header") { fresh->checks[0].headers = {{"Authorization", "x"}}; }
  SECTION("another address") { fresh->address = "10.0.0.6"; }
  SECTION("another port") { fresh->port = 8081; }
  SECTION("other rise") { fresh->checks[0].rise = 3; }
  Restarted t({service});
  Run& run = t.Start({fresh});
  CHECK(run.Health("a")->status == HealthStatus::kStarting);
  CHECK(run.Health("a")->confirmed);
  CHECK(run.Health("a")->since == t.clock.WallNow());
}

TEST_CASE("what was starting starts anew") {
  const auto service = MakeService("a");
  FakeClock clock;
  SavedInstance saved{FingerprintOf(*service),
                      HealthStatus::kStarting,
                      WallTime(seconds(5)),
                      {{HealthStatus::kStarting, 1, 0}}};
  Run run(clock);
  run.checker.Restore({"boot-1", clock.Now(), {{"a", saved}}});
  run.Apply({service});
  CHECK(run.Health("a")->status == HealthStatus::kStarting);
  CHECK(run.Health("a")->since == clock.WallNow());
}

TEST_CASE("tags, meta and weight do not matter; check: none passes at once and confirmed") {
  const auto service = MakeService("a");
  const auto none = MakeService("none", 0);
  const auto described = MakeService("a");
  described->tags = {"v2"};
  described->weight = 1;
  described->meta = {{"a", "b"}};
  Restarted t({service, none});
  Run& run = t.Start({described, none});
  CHECK(run.Health("a")->status == HealthStatus::kPassing);
  CHECK(run.Health("none")->status == HealthStatus::kPassing);
  CHECK(run.Health("none")->confirmed);
}

TEST_CASE("a reload is no restart: what it adds starts anew") {
  const auto a = MakeService("a");
  const auto b = MakeService("b");
  Restarted t({a, b});
  Run& run = t.Start({a});
  run.Apply({a, b});
  CHECK(run.Health("a")->status == HealthStatus::kPassing);
  CHECK(run.Health("b")->status == HealthStatus::kStarting);
}

TEST_CASE("a file of another boot or of more than an hour ago is not used") {
  Restarted t({MakeService("a")});
  CHECK(t.Load());
  CHECK_FALSE(t.Load("boot-2"));
  CHECK_FALSE(t.Load(""));
  t.clock.Advance(std::chrono::minutes(59));
  CHECK(t.Load());
  t.clock.Advance(std::chrono::minutes(1));
  CHECK_FALSE(t.Load());
}

TEST_CASE("the file holds no secret of a check") {
  const auto service = MakeService("a");
  service->checks[0].headers = {{"Authorization", "Bearer token"}};
  Restarted t({service});
  const std::string text = testing::ReadAll(t.disk.dir->path() + "/health");
  CHECK(text.find("\"passing\"") != std::string::npos);
  for (const char* secret : {"secret", "user", "http", "token", "Authorization"}) {
    CHECK(text.find(secret) == std::string::npos);
  }
}

TEST_CASE("every broken line is noticed") {
  Restarted t({MakeService("a"), MakeService("b", 2)});
  std::string body;
  EncodeHealth(*t.before, "boot-1", t.clock.Now(), [&](std::string_view p) { body += p; });
  REQUIRE(DecodeHealth(body).ok());
  CHECK(DecodeHealth(body)->instances.size() == 2);
  for (size_t at = 0; at < body.size(); at = body.find('\n', at) + 1) {
    std::string bad = body;
    bad[at] = 'x';
    CHECK_FALSE(DecodeHealth(bad).ok());
  }
  for (const char* field : {"fingerprint", "status", "since_ms", "checks", "saved_ns", "passing"}) {
    std::string bad = body;
    bad.replace(bad.find(field), 1, "x");
    CHECK_FALSE(DecodeHealth(bad).ok());
  }
  CHECK_FALSE(DecodeHealth(body.substr(0, body.size() - 1)).ok());
  CHECK_FALSE(DecodeHealth("").ok());
}

TEST_CASE("the keeper saves transitions, at most once a second, and refreshes now and then") {
  FakeClock clock;
  Disk disk;
  Run run(clock);
  HealthKeeper keeper(HealthFile(*disk.dir, "boot-1"), run.checker.snapshots());
  CHECK(keeper.Step(clock.Now()) == kNever);
  const std::string path = disk.dir->path() + "/health";
  int saves = 0;
  const auto step_for = [&](Duration d) {
    saves = 0;
    for (const TimePoint end = clock.Now() + d; clock.Now() < end;) {
      run.For(milliseconds(100));
      keeper.Step(clock.Now());
      if (!std::filesystem::exists(path)) continue;
      ++saves;
      std::filesystem::rename(path, path + ".seen");
    }
  };
  const auto a = MakeService("a");
  run.Apply({a});
  step_for(seconds(10));
  CHECK(saves == 2);  // starting, passing
  step_for(std::chrono::minutes(5));
  CHECK(saves == 0);
  run.Fail();
  step_for(seconds(10));
  CHECK(saves == 1);
  step_for(std::chrono::minutes(61));
  CHECK(saves >= 4);  // so that it never looks too old
  CHECK(saves <= 8);

  testing::FillDiskFor(path);
  keeper.Finish(clock.Now());
  CHECK(disk.Failures("health") == 1);
  keeper.Finish(clock.Now());
  CHECK(std::filesystem::exists(path));
}

}  // namespace
}  // namespace rosterd
