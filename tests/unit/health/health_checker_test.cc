// SPDX-License-Identifier: Apache-2.0
#include "health/health_checker.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>

#include "support/fake_clock.h"
#include "support/fake_probe.h"

namespace rosterd {
namespace {

using testing::FakeClock;
using testing::FakeProbe;
using Answer = FakeProbe::Answer;

CheckConfig MakeCheck(const std::string& url) {
  CheckConfig check;
  check.url = url;
  return check;
}

std::shared_ptr<ServiceConfig> MakeService(const std::string& id, size_t checks = 1) {
  auto service = std::make_shared<ServiceConfig>();
  service->name = "web";
  service->id = id;
  service->address = "10.0.0.5";
  service->port = 8080;
  for (size_t i = 0; i < checks; ++i) {
    service->checks.push_back(MakeCheck("http://" + id + "/" + std::to_string(i)));
  }
  return service;
}

// The checker with everything around it made up.
struct World {
  FakeClock clock;
  std::vector<std::string> lines;
  Log log{LogLevel::kInfo, LogFormat::kText,
          [this](const std::string& line) { lines.push_back(line.substr(line.find(' ') + 1)); }};
  Metrics metrics;
  FakeProbe* probe = new FakeProbe(clock);
  HealthChecker checker{clock, log, metrics, std::unique_ptr<Probe>(probe), 42};
  std::vector<std::pair<TimePoint, std::shared_ptr<const HealthSnapshot>>> published;

  World() {
    checker.snapshots().Subscribe([this] { published.emplace_back(clock.Now(), nullptr); });
  }

  void Apply(std::vector<std::shared_ptr<const ServiceConfig>> services) {
    auto config = std::make_shared<Config>();
    config->services = std::move(services);
    checker.Apply(std::move(config));
  }

  // Lets made-up time pass as the prober thread would see it.
  void Run(Duration d) {
    const TimePoint end = clock.Now() + d;
    while (true) {
      const TimePoint next = checker.Step(clock.Now());
      const TimePoint then = std::min({next, probe->NextEnd(), end});
      if (then > clock.Now()) clock.Advance(then - clock.Now());
      if (clock.Now() >= end && next > end) {
        checker.Step(end);
        return;
      }
    }
  }

  std::shared_ptr<const InstanceHealth> Health(const std::string& id) {
    const auto snapshot = checker.snapshots().Get();
    return snapshot == nullptr ? nullptr : snapshot->Find(id);
  }
  HealthStatus Status(const std::string& id) { return Health(id)->status; }
};

void Refuse(World& world) {
  world.probe->Answers([](const CheckConfig&) { return Answer{.success = false}; });
}
void Accept(World& world) {
  world.probe->Answers([](const CheckConfig&) { return Answer{}; });
}

TEST_CASE(
    "a service passes after rise successes at the fast interval, and once it fails it falls") {
  World world;
  world.Apply({MakeService("a")});
  world.Run(milliseconds(2));
  CHECK(world.Status("a") == HealthStatus::kStarting);
  world.Run(milliseconds(510));
  CHECK(world.Status("a") == HealthStatus::kPassing);
  CHECK(world.Health("a")->reason.empty());
  Refuse(world);
  world.Run(seconds(2) + 2 * milliseconds(500) + milliseconds(10));
  CHECK(world.Status("a") == HealthStatus::kFailing);
  CHECK(world.Health("a")->reason == "2 of 2 successes needed: GET http://a/0: connection refused");
  CHECK(world.Health("a")->checks[0].failures == 3);
  CHECK(world.lines.size() == 2);
  CHECK(world.lines[0] == "info service is passing service=web id=a");
  CHECK(world.lines[1] ==
        "warn service is failing service=web id=a reason=\"2 of 2 successes needed: GET "
        "http://a/0: connection refused\"");
}

TEST_CASE("check: none passes at once and never runs") {
  World world;
  world.Apply({MakeService("a", 0)});
  CHECK(world.checker.Step(world.clock.Now()) == kNever);
  CHECK(world.Status("a") == HealthStatus::kPassing);
  CHECK(world.probe->runs().empty());
}

TEST_CASE("all checks must pass, and the reason names the one that does not") {
  World world;
  world.probe->Answers([](const CheckConfig& check) {
    return Answer{.success = check.url != "http://a/1", .error = "status 503, wanted 200-299"};
  });
  world.Apply({MakeService("a", 3)});
  world.Run(seconds(1));
  CHECK(world.Status("a") == HealthStatus::kStarting);
  world.Run(seconds(1));
  CHECK(world.Status("a") == HealthStatus::kStarting);  // it has never passed
  CHECK(world.Health("a")->checks[1].status == HealthStatus::kFailing);
  CHECK(world.Health("a")->reason ==
        "2 of 2 successes needed: GET http://a/1: status 503, wanted 200-299");
  CHECK(world.Health("a")->checks[0].status == HealthStatus::kPassing);
  Accept(world);
  world.Run(seconds(3));
  CHECK(world.Status("a") == HealthStatus::kPassing);
}

TEST_CASE("1,000 checks a second, 200 of them black holes: all others start within 100 ms") {
  World world;
  std::vector<std::shared_ptr<const ServiceConfig>> services;
  for (int i = 0; i < 1000; ++i) {
    auto service = MakeService("s" + std::to_string(i));
    CheckConfig& check = service->checks[0];
    check.url = (i % 5 == 0 ? "http://hole/" : "http://good/") + std::to_string(i);
    check.interval = check.fast_interval = seconds(1);
    check.timeout = i % 10 == 0 ? seconds(1) : milliseconds(400);
    services.push_back(service);
  }
  std::sort(services.begin(), services.end(),
            [](const auto& a, const auto& b) { return a->id < b->id; });
  world.probe->Answers([](const CheckConfig& check) {
    const bool hole = check.url.starts_with("http://hole/");
    return Answer{.after = hole ? seconds(3600) : milliseconds(3)};
  });
  world.Apply(services);
  world.Run(seconds(10));

  std::map<std::string, std::vector<TimePoint>> starts;
  for (const auto& run : world.probe->runs()) starts[run.url].push_back(run.at);
  REQUIRE(starts.size() == 1000);
  Duration worst{0};
  for (const auto& [url, times] : starts) {
    if (url.starts_with("http://hole/")) continue;
    REQUIRE(times.size() >= 9);
    for (size_t i = 1; i < times.size(); ++i) {
      worst = std::max(worst, times[i] - times[i - 1] - seconds(1));
    }
  }
  CHECK(worst < milliseconds(100));
  CHECK_FALSE(world.probe->overlapped());
  CHECK(world.Status("s1") == HealthStatus::kPassing);
  CHECK(world.Status("s10") == HealthStatus::kStarting);
  CHECK(world.Health("s10")->checks[0].status == HealthStatus::kFailing);
}

TEST_CASE("a slow check is never started while it runs and keeps no other from running") {
  World world;
  auto slow = MakeService("slow");
  slow->checks[0].interval = slow->checks[0].fast_interval = milliseconds(100);
  slow->checks[0].timeout = seconds(1);
  auto quick = MakeService("quick");
  quick->checks[0].interval = quick->checks[0].fast_interval = milliseconds(100);
  world.probe->Answers([](const CheckConfig& check) {
    return Answer{.after = check.url == "http://slow/0" ? milliseconds(350) : milliseconds(1)};
  });
  world.Apply({quick, slow});
  world.Run(milliseconds(3500));
  CHECK_FALSE(world.probe->overlapped());
  const auto count = [&](const std::string& url) {
    return std::count_if(world.probe->runs().begin(), world.probe->runs().end(),
                         [&](const auto& run) { return run.url == url; });
  };
  CHECK(count("http://slow/0") == 10);
  CHECK(count("http://quick/0") == 35);
}

TEST_CASE(
    "a transition is published at once, details at most every 200 ms, nothing without a run") {
  World world;
  auto service = MakeService("a");
  service->checks[0].interval = milliseconds(20);
  service->checks[0].fast_interval = milliseconds(20);
  world.Apply({service});
  world.Run(milliseconds(50));
  REQUIRE(world.Status("a") == HealthStatus::kPassing);
  CHECK(world.Health("a")->checks[0].successes >= 2);
  world.published.clear();
  world.Run(seconds(2));
  CHECK(world.published.size() >= 9);
  CHECK(world.published.size() <= 11);
  for (size_t i = 1; i < world.published.size(); ++i) {
    CHECK(world.published[i].first - world.published[i - 1].first >= milliseconds(200));
  }
  world.published.clear();
  Refuse(world);
  const TimePoint failing_since = world.clock.Now();
  world.Run(milliseconds(90));
  CHECK(world.Status("a") == HealthStatus::kFailing);
  REQUIRE(!world.published.empty());
  CHECK(world.published.back().first - failing_since < milliseconds(90));

  World idle;
  auto rare = MakeService("a");
  rare->checks[0].interval = rare->checks[0].fast_interval = seconds(60);
  idle.Apply({rare});
  idle.Run(seconds(1));
  idle.published.clear();
  idle.Run(seconds(50));
  CHECK(idle.published.empty());
}

TEST_CASE("a snapshot shares the instances that did not change") {
  World world;
  auto rare = MakeService("rare");
  rare->checks[0].interval = rare->checks[0].fast_interval = seconds(60);
  world.Apply({MakeService("a"), rare});
  world.Run(milliseconds(300));
  const auto rare_before = world.Health("rare");
  const auto a_before = world.Health("a");
  world.Run(seconds(2));
  CHECK(world.Health("rare") == rare_before);
  CHECK(world.Health("a") != a_before);
}

TEST_CASE("a reload that changes only the description keeps the state of the checks") {
  World world;
  world.Apply({MakeService("a"), MakeService("b")});
  world.Run(seconds(1));
  REQUIRE(world.Status("a") == HealthStatus::kPassing);
  const WallTime since = world.Health("a")->since;
  const auto b_before = world.Health("b");
  world.probe->ForgetRuns();
  auto described = MakeService("a");
  described->tags = {"v2"};
  described->meta["k"] = "v";
  described->weight = 5;
  described->protocol = "grpc";
  world.Apply({described, MakeService("b")});
  world.Run(milliseconds(1));
  CHECK(world.Health("a")->service->tags == std::vector<std::string>{"v2"});
  CHECK(world.Status("a") == HealthStatus::kPassing);
  CHECK(world.Health("a")->since == since);
  CHECK(world.Health("a")->checks[0].successes == 2);
  CHECK(world.probe->runs().empty());
  CHECK(world.Health("b") == b_before);
}

TEST_CASE("other checks of the same address keep the status and count anew") {
  World world;
  world.Apply({MakeService("a")});
  world.Run(seconds(1));
  REQUIRE(world.Status("a") == HealthStatus::kPassing);
  const WallTime since = world.Health("a")->since;
  auto changed = MakeService("a");
  changed->checks[0].url = "http://a/other";
  Refuse(world);
  world.lines.clear();
  world.Apply({changed});
  world.Run(milliseconds(10));
  CHECK(world.Status("a") == HealthStatus::kPassing);
  CHECK(world.Health("a")->since == since);
  CHECK(world.lines.empty());
  CHECK(world.probe->checks() == 1);
  world.Run(seconds(2));
  CHECK(world.Status("a") == HealthStatus::kFailing);
}

TEST_CASE("checks taken away let a failing service pass, and the time of that is told") {
  World world;
  world.Apply({MakeService("a")});
  world.Run(seconds(3));
  Refuse(world);
  world.Run(seconds(5));
  REQUIRE(world.Status("a") == HealthStatus::kFailing);
  const WallTime since = world.Health("a")->since;
  world.Apply({MakeService("a", 0)});
  world.Run(milliseconds(1));
  CHECK(world.Status("a") == HealthStatus::kPassing);
  CHECK(world.Health("a")->since > since);
  CHECK(world.probe->checks() == 0);
}

TEST_CASE("another address or port starts anew") {
  World world;
  world.Apply({MakeService("a"), MakeService("b")});
  world.Run(seconds(1));
  auto other_port = MakeService("a");
  other_port->port = 9090;
  auto other_address = MakeService("b");
  other_address->address = "10.0.0.6";
  Refuse(world);
  world.Apply({other_port, other_address});
  world.checker.Step(world.clock.Now());
  CHECK(world.Status("a") == HealthStatus::kStarting);
  CHECK(world.Status("b") == HealthStatus::kStarting);
  CHECK(world.Health("a")->reason == "2 of 2 successes needed: GET http://a/0: not checked yet");
}

TEST_CASE("a removed service is gone at once, with its run in flight; the others do not notice") {
  World world;
  world.probe->Answers([](const CheckConfig&) { return Answer{.after = milliseconds(900)}; });
  world.Apply({MakeService("a"), MakeService("b")});
  world.Run(milliseconds(10));
  world.Apply({MakeService("b")});
  world.Run(milliseconds(1));
  CHECK(world.Health("a") == nullptr);
  CHECK(world.probe->checks() == 1);
  world.Run(seconds(5));
  CHECK(world.Status("b") == HealthStatus::kPassing);
  world.Apply({});
  world.Run(seconds(1));
  CHECK(world.checker.snapshots().Get()->instances.empty());
}

TEST_CASE("a suspend counts nothing against a service, and what fell due runs spread") {
  World world;
  std::vector<std::shared_ptr<const ServiceConfig>> services;
  for (int i = 100; i < 200; ++i) {
    auto service = MakeService("s" + std::to_string(i));
    service->checks[0].fall = 1;
    services.push_back(service);
  }
  world.Apply(services);
  world.Run(seconds(3));
  REQUIRE(world.Status("s150") == HealthStatus::kPassing);
  // Runs are in flight when the host goes to sleep; each of them times out over it.
  world.probe->Answers([](const CheckConfig&) { return Answer{.after = seconds(30)}; });
  world.Run(milliseconds(1900));
  world.lines.clear();
  world.probe->ForgetRuns();
  world.clock.Advance(seconds(3600));
  Accept(world);
  const TimePoint awake = world.clock.Now();
  world.checker.Step(awake);
  CHECK(world.probe->runs().size() <= 2);
  world.Run(milliseconds(110));
  CHECK(world.probe->runs().size() >= 98);
  world.Run(seconds(5));
  for (const auto& instance : world.checker.snapshots().Get()->instances) {
    CHECK(instance->status == HealthStatus::kPassing);
  }
  REQUIRE(world.lines.size() == 1);
  CHECK(world.lines[0].find("suspended") != std::string::npos);
}

TEST_CASE("what we ourselves could not run counts nothing, but is told") {
  World world;
  auto service = MakeService("a");
  service->checks[0].fall = 1;
  world.Apply({service});
  world.Run(seconds(1));
  world.probe->Answers([](const CheckConfig&) {
    return Answer{.success = false, .error = "cannot open a socket", .own_trouble = true};
  });
  world.Run(seconds(20));
  CHECK(world.Status("a") == HealthStatus::kPassing);
  CHECK(world.Health("a")->checks[0].error == "cannot open a socket");
  CHECK(world.Health("a")->checks[0].failures == 0);
}

TEST_CASE("metrics count runs and states") {
  World world;
  world.probe->Answers(
      [](const CheckConfig& check) { return Answer{.success = check.url == "http://good/0"}; });
  world.Apply({MakeService("bad"), MakeService("good")});
  world.Run(seconds(2));
  const std::string text = world.metrics.Render();
  CHECK(text.find("rosterd_instances{state=\"passing\"} 1") != std::string::npos);
  CHECK(text.find("rosterd_instances{state=\"failing\"} 0") != std::string::npos);
  CHECK(text.find("rosterd_instances{state=\"starting\"} 1") != std::string::npos);
  CHECK(text.find("rosterd_checks_total{result=\"failure\"} 4") != std::string::npos);
  CHECK(text.find("rosterd_check_start_lateness_seconds_count") != std::string::npos);
}

TEST_CASE("Apply wakes the prober, and a loop that does not come back falls behind") {
  World world;
  world.Apply({MakeService("a")});
  CHECK(world.probe->wakes() == 1);
  CHECK(world.checker.LastTurn(world.clock.Now()) == world.clock.Now());
}

}  // namespace
}  // namespace rosterd
