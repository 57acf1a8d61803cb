// SPDX-License-Identifier: Apache-2.0
// Transactions that fail: what is unknown is asked again by its guard, what etcd refuses is asked
// slowly, and neither costs the lease.
#include <catch2/catch.hpp>

#include "agent_host.h"
#include "registry/registrar.h"

namespace rosterd::testing {
namespace {

using Catch::Matchers::Contains;
using etcd::ErrorClass;

TEST_CASE("a write with an unknown outcome is asked again and done once") {
  OneHost t;
  t.host.with_catalog = false;
  t.host.Set("web");
  SECTION("it had happened") {
    t.etcd.FailNextAfterEffect(EtcdCall::kWrite, MakeError(ErrorClass::kTimeout));
  }
  SECTION("it had not") { t.etcd.FailNext(EtcdCall::kWrite, MakeError(ErrorClass::kUnavailable)); }
  t.host.RunFor(seconds(3));
  CHECK(t.host.IsRegistered("web"));
  CHECK(t.etcd.Get(KeyOf("web"))->version == 1);
  CHECK(t.etcd.CallCount(EtcdCall::kWrite) == 2);
  CHECK(t.host.registrar.registrations().Get()->error.empty());
}

TEST_CASE("an instance that fails after a put with an unknown outcome leaves no key") {
  OneHost t;
  t.host.with_catalog = false;
  t.host.Set("web");
  t.host.registrar.Step(t.clock.Now());  // the lease
  t.etcd.FailNextAfterEffect(EtcdCall::kWrite, MakeError(ErrorClass::kTimeout));
  t.host.registrar.Step(t.clock.Now());
  REQUIRE(t.etcd.Get(KeyOf("web")));
  SECTION("it fails") { t.host.Set("web", HealthStatus::kFailing); }
  SECTION("it is configured no more") { t.host.Forget("web"); }
  t.host.RunFor(seconds(3));
  CHECK_FALSE(t.etcd.Get(KeyOf("web")));
}

TEST_CASE("a put that is carried out after its time-out and after the deletion is undone") {
  OneHost t;
  t.host.Set("web");
  t.host.registrar.Step(t.clock.Now());
  t.etcd.FailNext(EtcdCall::kWrite, MakeError(ErrorClass::kTimeout));
  t.host.registrar.Step(t.clock.Now());
  const auto late = t.etcd.Calls(EtcdCall::kWrite).back().writes;
  t.host.Set("web", HealthStatus::kFailing);
  t.host.RunFor(seconds(3));
  REQUIRE_FALSE(t.etcd.Get(KeyOf("web")));
  REQUIRE(t.etcd.Write(late, milliseconds(100)).ok());
  REQUIRE(t.etcd.Get(KeyOf("web")));
  t.host.RunFor(seconds(1));
  CHECK_FALSE(t.etcd.Get(KeyOf("web")));
}

TEST_CASE("a deletion with an unknown outcome is asked again") {
  OneHost t;
  t.host.Set("web");
  t.host.Settle();
  t.host.Set("web", HealthStatus::kFailing);
  SECTION("it had happened") {
    t.etcd.FailNextAfterEffect(EtcdCall::kWrite, MakeError(ErrorClass::kTimeout));
  }
  SECTION("it had not") { t.etcd.FailNext(EtcdCall::kWrite, MakeError(ErrorClass::kTimeout)); }
  t.host.RunFor(seconds(3));
  CHECK_FALSE(t.etcd.Get(KeyOf("web")));
  t.host.Set("web");
  t.host.RunFor(seconds(1));
  CHECK(t.host.IsRegistered("web"));
}

TEST_CASE("while etcd refuses, it is asked at most every few seconds, the lease is kept") {
  OneHost t;
  t.host.Set("old");
  t.host.Settle();
  const int64_t lease = t.host.Lease();
  ErrorClass refused{};
  SECTION("no space") { refused = ErrorClass::kNoSpace; }
  SECTION("too many requests") { refused = ErrorClass::kOverloaded; }
  SECTION("permission denied") { refused = ErrorClass::kDenied; }
  t.etcd.FailAll(EtcdCall::kWrite, MakeError(refused));
  t.etcd.ForgetCalls();
  t.host.Set("new");
  t.host.RunFor(seconds(120));
  CHECK(t.etcd.CallCount(EtcdCall::kWrite) >= 120 / 15);
  CHECK(t.etcd.CallCount(EtcdCall::kWrite) <= 60);
  CHECK(t.etcd.CallCount(EtcdCall::kRevoke) == 0);
  CHECK(t.host.Logged("cannot be written to etcd") == 1);
  CHECK_THAT(t.host.Shown("new").reason, Contains("made up by the test"));
  CHECK(t.host.Shown("old").state == RegistrationState::kRegistered);
  CHECK(t.host.Lease() == lease);

  t.etcd.FailAll(EtcdCall::kWrite, std::nullopt);
  t.host.RunFor(seconds(16));
  CHECK(t.host.IsRegistered("new"));
  CHECK(t.host.IsRegistered("old"));
  CHECK(t.host.Logged("get through to etcd again") == 1);
}

TEST_CASE("while etcd has no space, what fails is still taken out") {
  OneHost t;
  t.host.Set("old");
  t.host.Settle();
  t.etcd.FailNext(EtcdCall::kWrite, MakeError(ErrorClass::kNoSpace));
  t.host.Set("new");
  t.host.Settle();
  CHECK_FALSE(t.host.IsRegistered("new"));
  t.host.Set("old", HealthStatus::kFailing);
  t.host.Settle();
  CHECK_FALSE(t.etcd.Get(KeyOf("old")));
  CHECK_FALSE(t.host.IsRegistered("new"));
}

TEST_CASE("one key that etcd will not have does not hold up the others") {
  OneHost t;
  t.host.with_catalog = false;
  // The fake refuses, as etcd does, a batch that names one key twice; a value that is too large
  // fails alike.
  for (int i = 0; i < 8; ++i) t.etcd.FailNext(EtcdCall::kWrite, MakeError(ErrorClass::kInvalid));
  for (int i = 0; i < 100; ++i) t.host.Set("s" + std::to_string(i));
  t.host.Settle();
  size_t registered = 0;
  for (int i = 0; i < 100; ++i) registered += t.host.IsRegistered("s" + std::to_string(i)) ? 1 : 0;
  CHECK(registered == 98);
  t.host.RunFor(seconds(16));
  for (int i = 0; i < 100; ++i) CHECK(t.host.IsRegistered("s" + std::to_string(i)));
}

TEST_CASE("etcd that refuses every single write is not asked for each of them in a row") {
  OneHost t;
  t.host.with_catalog = false;
  t.etcd.FailAll(EtcdCall::kWrite, MakeError(ErrorClass::kInvalid));
  for (int i = 0; i < 100; ++i) t.host.Set("s" + std::to_string(i));
  t.host.RunFor(seconds(60));
  CHECK(t.etcd.CallCount(EtcdCall::kWrite) < 60);
  t.etcd.FailAll(EtcdCall::kWrite, std::nullopt);
  t.host.RunFor(seconds(31));
  for (int i = 0; i < 100; ++i) CHECK(t.host.IsRegistered("s" + std::to_string(i)));
}

TEST_CASE("the cut of a connection is asked again as soon as there is another") {
  OneHost t;
  t.host.with_catalog = false;
  t.host.Settle();
  t.host.Set("web");
  t.etcd.FailNext(EtcdCall::kWrite, MakeError(ErrorClass::kUnavailable));
  t.host.registrar.Step(t.clock.Now());
  t.host.Connect(EtcdState::kLost);
  t.host.Settle();
  CHECK_FALSE(t.etcd.Get(KeyOf("web")));
  t.host.Connect();
  t.host.Settle();
  CHECK(t.host.IsRegistered("web"));
}

}  // namespace
}  // namespace rosterd::testing
