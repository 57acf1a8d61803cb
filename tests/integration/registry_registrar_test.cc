// SPDX-License-Identifier: Apache-2.0
// The registrar against a real etcd: leases, guarded transactions and their answers as they are.
#include <catch2/catch.hpp>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "catalog/catalog_builder.h"
#include "registry/registrar.h"
#include "support/etcd_process.h"

namespace rosterd {
namespace {

constexpr char kPrefix[] = "/services/";

// A registrar whose catalog is a list of etcd before every Step.
struct Host {
  Host(testing::EtcdProcess& etcd, const std::string& node)
      : client(etcd.NewClient()),
        log(LogLevel::kDebug, LogFormat::kText,
            [](const std::string& line) { UNSCOPED_INFO(line); }),
        registrar({*client, clock, catalog, health, state, log, metrics},
                  Identity{node, "", "uuid-" + node, kPrefix, seconds(5)}) {
    auto connected = std::make_shared<EtcdSnapshot>();
    connected->state = EtcdState::kConnected;
    state.Publish(connected);
  }

  void SetServices(int count, HealthStatus status = HealthStatus::kPassing) {
    auto snapshot = std::make_shared<HealthSnapshot>();
    for (int i = 0; i < count; ++i) {
      auto service = std::make_shared<ServiceConfig>();
      service->name = "s" + std::to_string(i);
      service->id = service->name + "-1";
      service->address = "10.0.0.5";
      service->port = 8080;
      auto one = std::make_shared<InstanceHealth>();
      one->service = std::move(service);
      one->status = status;
      snapshot->instances.push_back(std::move(one));
    }
    health.Publish(snapshot);
  }

  void Step() {
    const auto list = client->List(kPrefix, etcd::kCallTimeout);
    if (list.ok()) {
      builder.ReplaceAll(list->kvs, list->header.revision);
      builder.SetWatchOpen(true);
      catalog.Publish(builder.Snapshot());
    }
    registrar.Step(clock.Now());
  }

  bool Within(Duration limit, const std::function<bool()>& condition) {
    const TimePoint end = clock.Now() + limit;
    while (!condition()) {
      if (clock.Now() > end) return false;
      Step();
      std::this_thread::sleep_for(milliseconds(5));
    }
    return true;
  }

  size_t Count(RegistrationState wanted) const {
    size_t count = 0;
    for (const auto& [id, one] : registrar.registrations().Get()->instances) {
      if (one.state == wanted) ++count;
    }
    return count;
  }
  // Keys in etcd under the present lease.
  size_t Standing() const {
    const auto list = client->List(kPrefix, etcd::kCallTimeout);
    if (!list.ok()) return 0;
    const int64_t lease = registrar.registrations().Get()->lease;
    size_t count = 0;
    for (const auto& kv : list->kvs) count += lease != 0 && kv.lease == lease ? 1 : 0;
    return count;
  }

  std::shared_ptr<etcd::GrpcClient> client;
  SystemClock clock;
  Log log;
  Metrics metrics;
  Latest<Catalog> catalog;
  Latest<HealthSnapshot> health;
  Latest<EtcdSnapshot> state;
  CatalogBuilder builder{kPrefix};
  Registrar registrar;
};

TEST_CASE("registered in real etcd, repaired, in conflict, deregistered") {
  testing::EtcdProcess etcd;
  Host host(etcd, "web-01");
  host.SetServices(250);
  REQUIRE(
      host.Within(seconds(5), [&] { return host.Count(RegistrationState::kRegistered) == 250; }));
  CHECK(host.Standing() == 250);

  SECTION("a lease revoked behind its back is replaced within 2 s, with all keys") {
    const int64_t old = host.registrar.registrations().Get()->lease;
    REQUIRE(host.client->Revoke(old, etcd::kCallTimeout).ok());
    CHECK(host.Within(seconds(2), [&] {
      return host.registrar.registrations().Get()->lease != old && host.Standing() == 250;
    }));
  }
  SECTION("deleted and overwritten keys are put back") {
    etcd.Delete("/services/s7/s7-1");
    etcd.Put("/services/s8/s8-1", "garbage");
    CHECK(host.Within(seconds(2), [&] { return host.Standing() == 250; }));
  }
  SECTION("a second agent with the same ids waits in conflict and takes over") {
    Host other(etcd, "web-02");
    other.SetServices(250);
    REQUIRE(
        other.Within(seconds(3), [&] { return other.Count(RegistrationState::kConflict) == 250; }));
    CHECK(host.Standing() == 250);
    host.registrar.Stop(OnStop::kDeregister);
    CHECK(other.Within(seconds(3), [&] { return other.Standing() == 250; }));
  }
  SECTION("what fails is taken out") {
    host.SetServices(250, HealthStatus::kFailing);
    CHECK(host.Within(seconds(2), [&] { return host.Standing() == 0; }));
  }
  SECTION("the lease outlives its first TTL") {
    const int64_t lease = host.registrar.registrations().Get()->lease;
    host.Within(seconds(7), [] { return false; });
    CHECK(host.registrar.registrations().Get()->lease == lease);
    CHECK(host.Standing() == 250);
  }
  SECTION("a restart of etcd costs nothing") {
    const int64_t lease = host.registrar.registrations().Get()->lease;
    etcd.Kill();
    host.Step();
    etcd.Restart();
    CHECK(host.Within(seconds(4), [&] { return host.Standing() == 250; }));
    CHECK(host.registrar.registrations().Get()->lease == lease);
  }
  SECTION("a stop leaves no key") {
    host.registrar.Stop(OnStop::kDeregister);
    CHECK(host.client->List(kPrefix, etcd::kCallTimeout)->kvs.empty());
  }
}

}  // namespace
}  // namespace rosterd
