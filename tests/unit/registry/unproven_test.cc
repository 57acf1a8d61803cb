// SPDX-License-Identifier: Apache-2.0
// What is only remembered, or not allowed: neither makes nor costs a registration.
#include <catch2/catch.hpp>

#include "agent_host.h"

namespace rosterd::testing {
namespace {

void SetRemembered(AgentHost& host, const std::string& name, bool confirmed) {
  auto one = std::make_shared<InstanceHealth>();
  one->service = MakeService(name, 8080);
  one->status = HealthStatus::kPassing;
  one->confirmed = confirmed;
  one->checks.emplace_back();
  host.services.assign(1, one);
  host.PublishHealth();
}

TEST_CASE("an instance that only an earlier run saw passing is not registered anew") {
  OneHost t;
  SetRemembered(t.host, "a", false);
  t.host.RunFor(seconds(5));
  CHECK_FALSE(t.etcd.Get(KeyOf("a")));
  SetRemembered(t.host, "a", true);
  t.host.RunFor(seconds(1));
  CHECK(t.host.IsRegistered("a"));
}

TEST_CASE("a predecessor's key stays while its instance is only remembered") {
  OneHost t;
  t.host.Set("a");
  t.host.Settle();
  const int64_t revision = t.etcd.revision();
  SetRemembered(t.host, "a", false);
  t.host.RunFor(seconds(5));
  CHECK(t.etcd.revision() == revision);
  CHECK(t.host.IsRegistered("a"));
}

TEST_CASE("the lease is renewed while etcd denies everything else") {
  OneHost t;
  t.host.Set("a");
  t.host.Settle();
  const int64_t lease = t.host.Lease();
  t.host.Connect(EtcdState::kDenied);
  t.host.RunFor(seconds(120));
  CHECK(t.host.Lease() == lease);
  CHECK(t.host.IsRegistered("a"));
}

}  // namespace
}  // namespace rosterd::testing
