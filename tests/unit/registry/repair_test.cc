// SPDX-License-Identifier: Apache-2.0
// What others and time do to our lease and keys, and that it is put right without a restart.
#include <catch2/catch.hpp>

#include "agent_host.h"
#include "registry/registrar.h"

namespace rosterd::testing {
namespace {

using etcd::ErrorClass;

size_t Puts(const FakeEtcd& etcd) {
  size_t puts = 0;
  for (const RecordedCall& call : etcd.Calls(EtcdCall::kWrite)) puts += call.writes.size();
  return puts;
}

TEST_CASE("a lease revoked behind its back is noticed by the deleted keys, all are put again") {
  OneHost t;
  for (int i = 0; i < 250; ++i) t.host.Set("s" + std::to_string(i));
  t.host.Settle();
  const int64_t old = t.host.Lease();
  t.etcd.RevokeLease(old);
  t.host.RunFor(seconds(1));
  CHECK(t.host.Lease() != old);
  CHECK(t.etcd.LeaseKeys(t.host.Lease()).size() == 250);
  CHECK(t.host.Logged("lease lost") == 1);
  CHECK(t.host.Metric("rosterd_lease_losses_total") == 1);
  CHECK(t.host.Metric("rosterd_registrations{state=\"registered\"}") == 250);
  CHECK(t.host.Metric("rosterd_registration_repairs_total") == 0);
}

TEST_CASE("without a catalog the next keepalive tells that the lease is gone") {
  OneHost t;
  t.host.with_catalog = false;
  t.host.Set("web");
  t.host.RunFor(seconds(6));
  t.etcd.RevokeLease(t.host.Lease());
  t.host.RunFor(milliseconds(6500));
  CHECK(t.host.IsRegistered("web"));
  CHECK(t.host.Metric("rosterd_lease_losses_total") == 1);
}

TEST_CASE("lease not found, said by a transaction, is believed") {
  OneHost t;
  t.host.Set("a");
  t.host.Settle();
  t.etcd.RevokeLease(t.host.Lease());
  t.host.with_catalog = false;
  t.host.Set("b");
  t.host.RunFor(seconds(1));
  CHECK(t.host.IsRegistered("a"));
  CHECK(t.host.IsRegistered("b"));
}

TEST_CASE("a lease that ended while the host slept is replaced when it wakes") {
  OneHost t;
  t.host.Set("web");
  t.host.Settle();
  t.etcd.Advance(seconds(3600));
  CHECK(t.etcd.Values(kPrefix).empty());
  t.host.RunFor(seconds(1));
  CHECK(t.host.IsRegistered("web"));
  CHECK(t.host.Logged("whole lease time") == 1);
}

TEST_CASE("a lease that outlived an outage is gone on with, nothing is written") {
  OneHost t;
  t.host.Set("web");
  t.host.RunFor(seconds(6));
  const int64_t lease = t.host.Lease();
  t.etcd.FailAll(MakeError(ErrorClass::kUnavailable));
  t.host.with_catalog = false;
  // Our clock goes on, etcd's does not: it has no leader that could end a lease.
  for (int i = 0; i < 200; ++i) {
    t.host.registrar.Step(t.clock.Now());
    t.clock.Advance(milliseconds(100));
  }
  CHECK(t.host.Logged("whole lease time") == 1);
  CHECK(t.host.Logged("could not be renewed") == 1);
  CHECK(t.host.Shown("web").state == RegistrationState::kRegistered);
  CHECK_FALSE(t.host.registrar.registrations().Get()->error.empty());
  CHECK(t.host.Metric("rosterd_lease_keepalive_failures_total") > 3);
  CHECK(t.host.Lease() == lease);
}

TEST_CASE("a young lease that a lagging member does not know is not given up") {
  FakeClock clock;
  FakeEtcd etcd(clock);
  AgentHost host(etcd, clock, {.ttl = seconds(2)});
  host.Set("web");
  host.Settle();
  const int64_t revision = etcd.revision();
  etcd.FailNext(EtcdCall::kKeepAlive, MakeError(ErrorClass::kLeaseNotFound));
  host.RunFor(seconds(30));
  CHECK(etcd.CallCount(EtcdCall::kGrant) == 1);
  CHECK(etcd.revision() == revision);
  // An old one is.
  etcd.FailNext(EtcdCall::kKeepAlive, MakeError(ErrorClass::kLeaseNotFound));
  host.RunFor(seconds(3));
  CHECK(etcd.CallCount(EtcdCall::kGrant) == 2);
  CHECK(host.IsRegistered("web"));
}

TEST_CASE("a deleted key is put back at once") {
  OneHost t;
  t.host.Set("web");
  t.host.Settle();
  t.etcd.Delete(KeyOf("web"));
  t.host.Settle();
  CHECK(t.host.IsRegistered("web"));
  CHECK(t.host.Logged("registration repaired") == 1);
  CHECK(t.host.Metric("rosterd_registration_repairs_total") == 1);
}

TEST_CASE("a key overwritten without a lease is repaired, whatever the value") {
  OneHost t;
  t.host.Set("web");
  t.host.Settle();
  const std::string good = t.etcd.Get(KeyOf("web"))->value;
  const int64_t lease = t.host.Lease();
  SECTION("garbage") { t.etcd.Put(KeyOf("web"), "\xff\xfe garbage"); }
  SECTION("another address") { t.etcd.Put(KeyOf("web"), "10.9.9.9:1"); }
  SECTION("the same value, but no lease") { t.etcd.Put(KeyOf("web"), good); }
  SECTION("garbage under our own lease") { t.etcd.Put(KeyOf("web"), "garbage", lease); }
  t.host.Settle();
  CHECK(t.host.IsRegistered("web"));
  CHECK(t.etcd.Get(KeyOf("web"))->value == good);
  CHECK(t.host.Metric("rosterd_registration_repairs_total") == 1);
}

TEST_CASE("repairs of one key are at most one per second, the first at once") {
  OneHost t;
  t.host.Set("web");
  t.host.Set("other");
  t.host.Settle();
  t.etcd.ForgetCalls();
  for (int i = 0; i < 100; ++i) {  // 10 s
    t.etcd.Delete(KeyOf("web"));
    t.host.RunFor(milliseconds(100));
  }
  CHECK(Puts(t.etcd) >= 9);
  CHECK(Puts(t.etcd) <= 11);
  // It does not hold up the others, nor a deletion that we want ourselves.
  t.etcd.Delete(KeyOf("other"));
  t.host.Settle();
  CHECK(t.host.IsRegistered("other"));
  t.host.RunFor(seconds(1));
  t.etcd.Delete(KeyOf("web"));
  t.host.Settle();
  t.host.Set("web", HealthStatus::kFailing);
  t.host.Settle();
  CHECK_FALSE(t.etcd.Get(KeyOf("web")));
}

TEST_CASE("etcd put back from an older backup gets the missing keys again") {
  OneHost t;
  t.host.Set("a");
  t.host.Set("b");
  t.host.Settle();
  for (int i = 0; i < 50; ++i) t.etcd.Put("/elsewhere", std::to_string(i));
  t.host.Settle();

  t.etcd.ReplaceCluster();
  SECTION("the catalog notices first") {}
  SECTION("our own writes notice first") {
    t.host.with_catalog = false;
    t.host.Set("c");
    t.host.RunFor(seconds(6));
    t.host.with_catalog = true;
  }
  t.host.RunFor(seconds(7));
  CHECK(t.host.IsRegistered("a"));
  CHECK(t.host.IsRegistered("b"));
  const size_t writes = t.etcd.CallCount(EtcdCall::kWrite);
  t.host.RunFor(seconds(60));
  CHECK(t.etcd.CallCount(EtcdCall::kWrite) == writes);
  // The catalog's shown revision stays above etcd's from here on; repairs must not mind.
  t.etcd.Delete(KeyOf("a"));
  t.host.Settle();
  CHECK(t.host.IsRegistered("a"));
  t.host.Set("a", HealthStatus::kFailing);
  t.host.Settle();
  CHECK_FALSE(t.etcd.Get(KeyOf("a")));
}

TEST_CASE("a key under our lease that nobody remembers is deleted by the periodic look") {
  OneHost t;
  t.host.Set("web");
  t.host.Settle();
  t.etcd.Put(KeyOf("ghost"), "10.0.0.5:1", t.host.Lease());
  t.host.RunFor(seconds(70));
  CHECK_FALSE(t.etcd.Get(KeyOf("ghost")));
  CHECK(t.host.IsRegistered("web"));
}

}  // namespace
}  // namespace rosterd::testing
