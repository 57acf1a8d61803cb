// SPDX-License-Identifier: Apache-2.0
// The seeded random run: random faults, foreign writes and changes of health, then a checker. About
// 10 s; ROSTERD_LONG=1 makes it 60 s, ROSTERD_SEED=N repeats one.
#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>
#include <random>

#include "scripted_agent.h"
#include "scripted_chaos.h"
#include "scripted_checker.h"
#include "scripted_etcd.h"

namespace rosterd::testing {
namespace {

constexpr seconds kRage{5};
constexpr seconds kHealWithin{10};
// After overload, NOSPACE and refused credentials the next attempt may be up to 15 s away.
constexpr seconds kHealWithinAfterPatience{17};
constexpr seconds kQuiet{3};
// Retries are bounded: a loop without a pause makes thousands.
constexpr size_t kMostCallsPerSecond = 100;

uint64_t SeedOfThisRun() {
  const char* given = std::getenv("ROSTERD_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
}

bool IsLong() {
  const char* given = std::getenv("ROSTERD_LONG");
  return given != nullptr && std::string(given) == "1";
}

size_t Writes(const std::vector<std::unique_ptr<ScriptedEtcd>>& members) {
  size_t count = 0;
  for (const auto& member : members) {
    count += member->Count(ScriptedCall::kTxn) + member->Count(ScriptedCall::kGrant);
  }
  return count;
}

TEST_CASE("a seeded random run of rare faults: nothing shown was wrong, all of it heals") {
  const uint64_t seed = SeedOfThisRun();
  std::printf("scripted random run: ROSTERD_SEED=%llu\n", static_cast<unsigned long long>(seed));
  std::fflush(stdout);
  INFO("repeat it with ROSTERD_SEED=" << seed);

  auto store = std::make_shared<ScriptedStore>();
  std::vector<std::unique_ptr<ScriptedEtcd>> members;
  members.push_back(std::make_unique<ScriptedEtcd>(store, 1));
  members.push_back(std::make_unique<ScriptedEtcd>(store, 2));
  ScriptedAgent::Options options;
  options.lease_ttl = seconds(3);
  options.seed = seed;
  ScriptedAgent agent({members[0]->endpoint(), members[1]->endpoint()}, options);
  ScriptedChaos chaos(seed, *store, members, agent);

  const TimePoint began = agent.clock().Now();
  const TimePoint end = began + (IsLong() ? seconds(60) : seconds(1));
  do {
    chaos.Rage(kRage);
    chaos.Heal();
    const auto well = [&] {
      return agent.Shows(*store) && agent.Registered(*store, chaos.Wanted()) &&
             chaos.Unwanted().empty();
    };
    const TimePoint healed = agent.clock().Now();
    const bool is_well =
        agent.Within(chaos.asked_for_patience() ? kHealWithinAfterPatience : kHealWithin, well);
    INFO(chaos.story() << agent.LogText());
    CHECK(agent.Shows(*store));
    CHECK(agent.Registered(*store, chaos.Wanted()));
    CHECK(chaos.Unwanted() == std::vector<std::string>{});
    REQUIRE(is_well);
    std::printf("healed after %lld ms%s\n",
                static_cast<long long>(ToMilliseconds(agent.clock().Now() - healed).count()),
                chaos.asked_for_patience() ? ", patience asked for" : "");

    const size_t writes = Writes(members);
    agent.Within(kQuiet, [] { return false; });
    CHECK(Writes(members) == writes);
    CHECK(well());
  } while (agent.clock().Now() < end);

  const auto published = agent.Published();
  const auto wrong = CheckPublished(published, store->Eras());
  INFO(chaos.story() << agent.LogText());
  for (const std::string& one : wrong) FAIL_CHECK(one);
  std::vector<ScriptedEtcd::Record> calls;
  for (const auto& member : members) {
    const auto some = member->Calls();
    calls.insert(calls.end(), some.begin(), some.end());
  }
  const BusiestSecond busiest = FindBusiestSecond(calls);
  std::printf("%zu catalogs, %zu calls, %zu histories; busiest second: %s at %lld ms\n",
              published.size(), calls.size(), store->Eras().size(), busiest.Describe().c_str(),
              static_cast<long long>(ToMilliseconds(busiest.at - began).count()));
  INFO("busiest second: " << busiest.Describe());
  CHECK(busiest.calls <= kMostCallsPerSecond);
}

}  // namespace
}  // namespace rosterd::testing
