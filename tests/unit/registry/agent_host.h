// SPDX-License-Identifier: Apache-2.0
// AgentHost: a Registrar with everything around it made up: health as the test says, a catalog that
// follows the fake etcd when the test wants, time that the test moves.
#pragma once

#include <algorithm>
#include <catch2/catch.hpp>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "catalog/catalog_builder.h"
#include "registry/registrar.h"
#include "support/fake_clock.h"
#include "support/fake_etcd.h"

namespace rosterd::testing {

inline constexpr char kPrefix[] = "/services/";

inline std::shared_ptr<const ServiceConfig> MakeService(const std::string& name, uint16_t port) {
  auto service = std::make_shared<ServiceConfig>();
  service->name = name;
  service->id = name + "-1";
  service->address = "10.0.0.5";
  service->port = port;
  service->checks.emplace_back();
  return service;
}

inline std::string KeyOf(const std::string& name) { return kPrefix + name + "/" + name + "-1"; }

class AgentHost {
 public:
  struct Options {
    std::string node = "web-01";
    std::string agent = "uuid-1";
    seconds ttl{15};
    bool with_catalog = true;  // follows etcd at every Settle()
    LeaseFile* file = nullptr;
    std::optional<LeaseRecord> predecessor{};
    uint64_t seed = 7;
  };

  AgentHost(FakeEtcd& e, FakeClock& c, Options options)
      : etcd(e),
        clock(c),
        with_catalog(options.with_catalog),
        log(LogLevel::kDebug, LogFormat::kText,
            [this](const std::string& l) { lines.push_back(l); }),
        registrar({etcd, clock, catalog, health, state, log, metrics, options.file},
                  Identity{options.node, "", options.agent, kPrefix, options.ttl},
                  options.predecessor, options.seed) {
    Connect();
  }
  AgentHost(FakeEtcd& e, FakeClock& c) : AgentHost(e, c, Options()) {}

  void Connect(EtcdState to = EtcdState::kConnected) {
    auto snapshot = std::make_shared<EtcdSnapshot>();
    snapshot->state = to;
    snapshot->generation = ++generation;
    if (to != EtcdState::kConnected) snapshot->error = "cut off";
    state.Publish(snapshot);
  }

  // Replaces or adds one service; Forget() takes it out of the configuration.
  void Set(std::shared_ptr<const ServiceConfig> service,
           HealthStatus status = HealthStatus::kPassing, int failures = 0) {
    auto one = std::make_shared<InstanceHealth>();
    one->service = std::move(service);
    one->status = status;
    if (status != HealthStatus::kPassing) one->reason = "2 of 3 failures";
    one->checks.emplace_back().failures = failures;
    Erase(one->service->id);
    services.push_back(std::move(one));
    PublishHealth();
  }
  void Set(const std::string& name, HealthStatus status = HealthStatus::kPassing,
           int failures = 0) {
    Set(MakeService(name, 8080), status, failures);
  }
  void Forget(const std::string& name) {
    Erase(name + "-1");
    PublishHealth();
  }
  void PublishHealth() {
    auto snapshot = std::make_shared<HealthSnapshot>();
    snapshot->instances = services;
    health.Publish(snapshot);
  }

  void SyncCatalog() {
    const auto list = etcd.List(kPrefix, milliseconds(100));
    if (!list.ok()) return;
    builder.ReplaceAll(list->kvs, list->header.revision);
    builder.SetWatchOpen(true);
    catalog.Publish(builder.Snapshot());
  }

  // Steps until nothing is due; returns when something will be.
  TimePoint Settle() {
    for (int i = 0; i < 2000; ++i) {
      if (with_catalog) SyncCatalog();
      const TimePoint next = registrar.Step(clock.Now());
      if (next > clock.Now()) return next;
    }
    FAIL("the registrar never comes to rest");
    return kNever;
  }
  // As the thread around it would, until `d` has passed.
  void RunFor(Duration d) {
    const TimePoint end = clock.Now() + d;
    TimePoint next = Settle();
    while (clock.Now() < end) {
      etcd.Advance(std::min(next, end) - clock.Now());
      next = Settle();
    }
  }

  Registration Shown(const std::string& name) const {
    const auto snapshot = registrar.registrations().Get();
    const auto it = snapshot->instances.find(name + "-1");
    return it == snapshot->instances.end() ? Registration{} : it->second;
  }
  int64_t Lease() const { return registrar.registrations().Get()->lease; }
  bool IsRegistered(const std::string& name) const {
    const auto kv = etcd.Get(KeyOf(name));
    return kv && Lease() != 0 && kv->lease == Lease() &&
           Shown(name).state == RegistrationState::kRegistered;
  }
  size_t Logged(const std::string& text) const {
    return static_cast<size_t>(std::count_if(lines.begin(), lines.end(), [&](const auto& line) {
      return line.find(text) != std::string::npos;
    }));
  }
  // Of a line "NAME VALUE" in the metrics; -1: there is none.
  double Metric(const std::string& name) const {
    const std::string text = "\n" + metrics.Render();
    const size_t at = text.find("\n" + name + " ");
    return at == std::string::npos ? -1 : std::stod(text.substr(at + name.size() + 2));
  }

  FakeEtcd& etcd;
  FakeClock& clock;
  bool with_catalog;
  std::vector<std::string> lines;
  Log log;
  Metrics metrics;
  Latest<Catalog> catalog;
  Latest<HealthSnapshot> health;
  Latest<EtcdSnapshot> state;
  std::vector<std::shared_ptr<const InstanceHealth>> services;
  CatalogBuilder builder{kPrefix};
  uint64_t generation = 0;
  Registrar registrar;

 private:
  void Erase(const std::string& id) {
    std::erase_if(services, [&](const auto& s) { return s->service->id == id; });
  }
};

// A clock, an etcd and one agent.
struct OneHost {
  FakeClock clock;
  FakeEtcd etcd{clock};
  AgentHost host{etcd, clock};
};

}  // namespace rosterd::testing
