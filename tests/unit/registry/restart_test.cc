// SPDX-License-Identifier: Apache-2.0
// One agent goes, another comes with the same data_dir: nothing is written that is right already.
#include <catch2/catch.hpp>
#include <memory>
#include <optional>

#include "agent_host.h"
#include "registry/lease_file.h"
#include "registry/registrar.h"
#include "support/temp_dir.h"

namespace rosterd::testing {
namespace {

struct Restart {
  ~Restart() {
    host.reset();
    file.reset();
  }

  // As the agent does; the fields of `options` that the file decides are overwritten.
  AgentHost& Start(AgentHost::Options options = {}, bool rebooted = false) {
    host.reset();
    if (file) (void)file->Finish();  // the keeper's part
    file.reset();
    disk.Open();
    file = std::make_unique<LeaseFile>(*disk.dir);
    auto loaded = file->Load(kPrefix, options.node);
    REQUIRE(loaded.ok());
    options.file = file.get();
    options.predecessor = *loaded;
    if (options.predecessor && rebooted) options.predecessor->boot_id = "another boot";
    options.agent =
        options.predecessor ? options.predecessor->agent : "uuid-" + std::to_string(++runs);
    options.seed = 100 + static_cast<uint64_t>(++runs);
    host.emplace(etcd, clock, options);
    return *host;
  }

  FakeClock clock;
  FakeEtcd etcd{clock};
  Disk disk;
  int runs = 0;
  std::unique_ptr<LeaseFile> file;
  std::optional<AgentHost> host;
};

TEST_CASE("a successor goes on with lease, keys and uuid and writes nothing") {
  Restart t;
  AgentHost* host = &t.Start();
  host->Set("a");
  host->Set("b");
  host->Settle();
  const int64_t lease = host->Lease();
  SECTION("after a stop that keeps") { host->registrar.Stop(OnStop::kKeep); }
  SECTION("after a SIGKILL") {}
  const int64_t revision = t.etcd.revision();
  t.etcd.Advance(seconds(8));

  bool with_catalog = GENERATE(true, false);
  host = &t.Start({.with_catalog = with_catalog});
  host->Set("a", HealthStatus::kStarting);
  host->Set("b", HealthStatus::kStarting);
  host->RunFor(seconds(2));
  CHECK(host->Lease() == lease);
  CHECK(t.etcd.revision() == revision);
  host->Set("a");
  host->Set("b");
  host->RunFor(seconds(60));
  CHECK(t.etcd.revision() == revision);
  CHECK(host->IsRegistered("a"));
  CHECK(host->IsRegistered("b"));
  CHECK(t.etcd.CallCount(EtcdCall::kGrant) == 1);
  CHECK(host->Logged("goes on") == 1);
}

TEST_CASE("a key kept while its check starts is decided by the check") {
  Restart t;
  AgentHost* host = &t.Start();
  host->Set("web");
  host->Settle();
  host = &t.Start();
  host->Set("web", HealthStatus::kStarting);
  host->Settle();
  CHECK(host->IsRegistered("web"));

  SECTION("it fails") { host->Set("web", HealthStatus::kFailing); }
  SECTION("it has failed as often as it takes, without ever passing") {
    host->Set("web", HealthStatus::kStarting, 2);
    host->Settle();
    CHECK(host->IsRegistered("web"));
    host->Set("web", HealthStatus::kStarting, 3);
  }
  SECTION("it is configured no more") { host->Forget("web"); }
  SECTION("its address changed") { host->Set(MakeService("web", 9090), HealthStatus::kStarting); }
  host->Settle();
  CHECK_FALSE(t.etcd.Get(KeyOf("web")));
}

TEST_CASE("keys of services that went away during the restart are deleted, the rest stays") {
  Restart t;
  AgentHost* host = &t.Start();
  host->Set("stays");
  host->Set("goes");
  host->Settle();
  const int64_t stays = t.etcd.Get(KeyOf("stays"))->mod_revision;
  host = &t.Start();
  host->Set("stays");
  host->Settle();
  CHECK_FALSE(t.etcd.Get(KeyOf("goes")));
  CHECK(t.etcd.Get(KeyOf("stays"))->mod_revision == stays);
}

TEST_CASE("nothing is deleted before health has spoken") {
  Restart t;
  t.Start().Set("web");
  t.host->Settle();
  AgentHost& host = t.Start();
  host.RunFor(seconds(3));
  CHECK(t.etcd.Get(KeyOf("web")));
}

TEST_CASE("after a reboot a key is not kept for a service that is not up yet") {
  Restart t;
  t.Start().Set("web");
  t.host->Settle();
  AgentHost& host = t.Start({}, true);
  host.Set("web", HealthStatus::kStarting);
  host.Settle();
  CHECK_FALSE(t.etcd.Get(KeyOf("web")));
  host.Set("web");
  host.Settle();
  CHECK(host.IsRegistered("web"));
}

TEST_CASE("a lease that ended meanwhile is replaced at once") {
  Restart t;
  t.Start().Set("web");
  t.host->Settle();
  t.etcd.Advance(seconds(20));
  AgentHost& host = t.Start();
  host.Set("web");
  host.Settle();
  CHECK(host.IsRegistered("web"));
  CHECK(host.Metric("rosterd_lease_losses_total") == 0);
}

TEST_CASE("another lease_ttl means another lease; the keys move over and are no conflict") {
  Restart t;
  t.Start().Set("web");
  t.host->Settle();
  const int64_t lease = t.host->Lease();
  AgentHost& host = t.Start({.ttl = seconds(60)});
  host.Set("web");
  host.Settle();
  CHECK(host.Lease() != lease);
  CHECK(host.IsRegistered("web"));
  CHECK(host.Logged("conflict") == 0);
}

TEST_CASE("after a stop that deregisters only the uuid is left to a successor") {
  Restart t;
  t.Start().Set("web");
  t.host->Settle();
  t.host->registrar.Stop(OnStop::kDeregister);
  t.etcd.ForgetCalls();
  AgentHost& host = t.Start();
  host.Set("web");
  host.Settle();
  CHECK(t.etcd.CallCount(EtcdCall::kKeepAlive) == 0);
  CHECK(host.IsRegistered("web"));
  REQUIRE(t.file->Finish().ok());
  const auto record = t.file->Load(kPrefix, "web-01");
  REQUIRE(record.ok());
  CHECK((*record)->lease == host.Lease());
  CHECK((*record)->agent == "uuid-1");
  CHECK((*record)->cluster_id != 0);
}

TEST_CASE("a full disk is told once, costs nothing but the memory, and is tried again") {
  Restart t;
  AgentHost& host = t.Start();
  FillDiskFor(t.file->path());
  host.Set("web");
  host.Settle();
  CHECK(host.IsRegistered("web"));
  t.file->Step(t.clock.Now());
  FillDiskFor(t.file->path());
  t.etcd.RevokeLease(host.Lease());
  host.RunFor(seconds(2));
  CHECK(host.IsRegistered("web"));
  const TimePoint again = t.file->Step(t.clock.Now());
  CHECK(t.disk.Logged("state cannot be kept on disk") == 1);
  CHECK(t.disk.Failures("lease") == 2);
  CHECK_FALSE((*t.file->Load(kPrefix, "web-01")).has_value());
  CHECK(again > t.clock.Now());
  CHECK(again <= t.clock.Now() + seconds(10));
  t.file->Step(again);
  CHECK((*t.file->Load(kPrefix, "web-01"))->lease == host.Lease());
  CHECK(t.disk.Logged("kept on disk again") == 1);
}

}  // namespace
}  // namespace rosterd::testing
