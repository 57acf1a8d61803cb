// SPDX-License-Identifier: Apache-2.0
// Which leases lost all their keys in one revision: by example, and by random histories against a
// naive model.
#include "catalog/lease_losses.h"

#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace rosterd {
namespace {

using Losses = std::vector<LeaseLosses::Loss>;

CatalogKey KeyOn(const std::string& id, int64_t lease) {
  CatalogKey key;
  key.id = id;
  key.lease = lease;
  return key;
}

std::vector<std::string> Gone(const LeaseLosses::Found& found) {
  std::vector<std::string> names;
  for (const auto& gone : found.gone) names.push_back(gone.service + "/" + gone.key.id);
  return names;
}

// Lease 1 has two keys, lease 2 one.
LeaseLosses TwoLeases() {
  LeaseLosses losses;
  for (const int64_t lease : {1, 1, 2, 0}) losses.AddListed(lease);
  CHECK(losses.leases() == 2);
  return losses;
}

TEST_CASE("a lease whose keys go in one revision is lost whole") {
  LeaseLosses losses = TwoLeases();
  losses.OnDelete(10, "api", KeyOn("a", 1));
  losses.OnDelete(10, "web", KeyOn("a", 1));
  const auto found = losses.Take();
  CHECK(found.losses == Losses{{1, 10, true}});
  CHECK(Gone(found) == std::vector<std::string>{"api/a", "web/a"});
  CHECK(losses.leases() == 1);
  CHECK(losses.Take().losses.empty());
}

TEST_CASE("a lease that keeps a key, or whose keys go one by one, is lost in part first") {
  LeaseLosses losses = TwoLeases();
  losses.OnDelete(10, "api", KeyOn("a", 1));
  losses.OnDelete(11, "web", KeyOn("a", 1));
  CHECK(losses.Take().losses == Losses{{1, 10, false}, {1, 11, true}});
}

TEST_CASE("leases that are lost in one revision are told apart") {
  LeaseLosses losses = TwoLeases();
  losses.OnDelete(10, "api", KeyOn("a", 1));
  losses.OnDelete(10, "api", KeyOn("b", 2));
  CHECK(losses.Take().losses == Losses{{1, 10, false}, {2, 10, true}});
}

TEST_CASE("a key that goes over to another lease is no loss") {
  LeaseLosses losses = TwoLeases();
  const CatalogKey before = KeyOn("b", 2);
  losses.OnPut(10, "api", "b", &before, 3);
  CHECK(losses.Take().losses.empty());
  SECTION("and counts for the new one") {
    losses.OnDelete(11, "api", KeyOn("b", 3));
    CHECK(losses.Take().losses == Losses{{3, 11, true}});
  }
  SECTION("and makes what is deleted beside it a part") {
    const CatalogKey moved = KeyOn("a", 1);
    losses.OnPut(12, "api", "a", &moved, 3);
    losses.OnDelete(12, "web", KeyOn("a", 1));
    CHECK(losses.Take().losses == Losses{{1, 12, false}});
  }
}

TEST_CASE("a lease that gets a key in the same revision is not lost") {
  LeaseLosses losses = TwoLeases();
  losses.OnDelete(10, "api", KeyOn("b", 2));
  losses.OnPut(10, "api", "new", nullptr, 2);
  CHECK(losses.Take().losses == Losses{{2, 10, false}});
}

TEST_CASE("the same key put again with its lease changes nothing") {
  LeaseLosses losses = TwoLeases();
  const CatalogKey before = KeyOn("b", 2);
  losses.OnPut(10, "api", "b", &before, 2);
  losses.OnDelete(11, "api", KeyOn("b", 2));
  CHECK(losses.Take().losses == Losses{{2, 11, true}});
}

TEST_CASE("keys without a lease never count") {
  LeaseLosses losses = TwoLeases();
  losses.OnDelete(10, "api", KeyOn("x", 0));
  const auto found = losses.Take();
  CHECK(found.losses.empty());
  CHECK(found.gone.empty());
}

TEST_CASE("a key that comes back among the same events is not gone") {
  LeaseLosses losses = TwoLeases();
  losses.OnDelete(10, "api", KeyOn("b", 2));
  losses.OnPut(11, "api", "b", nullptr, 4);
  const auto found = losses.Take();
  CHECK(found.losses == Losses{{2, 10, true}});
  CHECK(found.gone.empty());
}

TEST_CASE("a list begins anew") {
  LeaseLosses losses = TwoLeases();
  losses.OnDelete(10, "api", KeyOn("a", 1));
  losses.Reset();
  losses.AddListed(7);
  CHECK(losses.Take().losses.empty());
  losses.OnDelete(11, "api", KeyOn("a", 7));
  CHECK(losses.Take().losses == Losses{{7, 11, true}});
}

// --- Random histories

// Keeps whole states and compares them: what each lease had before the revision, and after it.
class Naive {
 public:
  using State = std::map<std::string, int64_t>;  // key to lease

  static Losses Compare(const State& before, const State& after,
                        const std::set<std::string>& deleted, int64_t revision) {
    std::map<int64_t, std::set<std::string>> had;
    std::set<int64_t> has;
    for (const auto& [key, lease] : before) had[lease].insert(key);
    for (const auto& [key, lease] : after) has.insert(lease);
    Losses losses;
    for (const auto& [lease, keys] : had) {
      if (lease == 0) continue;
      size_t gone = 0;
      for (const std::string& key : keys) gone += deleted.contains(key) ? 1 : 0;
      if (gone > 0)
        losses.push_back({lease, revision, gone == keys.size() && !has.contains(lease)});
    }
    return losses;
  }
};

void RunHistory(uint32_t seed) {
  std::mt19937 random(seed);
  const auto draw = [&](size_t n) { return random() % n; };
  LeaseLosses losses;
  Naive::State state;
  int64_t revision = 1;
  for (int step = 0; step < 400; ++step) {
    Losses expected;
    std::map<std::string, int64_t> lost;  // deleted in this batch and not back
    for (size_t revisions = 1 + draw(3); revisions > 0; --revisions) {
      ++revision;
      const Naive::State before = state;
      std::set<std::string> deleted;
      const auto erase = [&](const std::string& key) {
        const int64_t lease = state.at(key);
        losses.OnDelete(revision, "s", KeyOn(key, lease));
        if (lease != 0) lost[key] = revision;
        deleted.insert(key);
        state.erase(key);
      };
      const auto lease = static_cast<int64_t>(draw(6));
      if (draw(3) == 0) {  // a lease ends
        for (const auto& [key, its_lease] : before) {
          if (its_lease == lease && lease != 0) erase(key);
        }
      } else {  // a transaction: one write per key at most
        std::set<std::string> touched;
        for (size_t writes = 1 + draw(4); writes > 0; --writes) {
          const std::string key(1, static_cast<char>('a' + draw(10)));
          if (!touched.insert(key).second) continue;
          const auto known = state.find(key);
          if (draw(3) == 0 && known != state.end()) {
            erase(key);
            continue;
          }
          const auto new_lease = static_cast<int64_t>(draw(6));
          CatalogKey old;
          if (known != state.end()) old = KeyOn(key, known->second);
          losses.OnPut(revision, "s", key, known != state.end() ? &old : nullptr, new_lease);
          state[key] = new_lease;
          lost.erase(key);
        }
      }
      for (const auto& loss : Naive::Compare(before, state, deleted, revision)) {
        expected.push_back(loss);
      }
    }
    const auto found = losses.Take();
    REQUIRE(found.losses == expected);
    std::map<std::string, int64_t> gone;
    for (const auto& one : found.gone) gone[one.key.id] = one.revision;
    REQUIRE(gone == lost);
    std::set<int64_t> leases;
    for (const auto& [key, lease] : state) {
      if (lease != 0) leases.insert(lease);
    }
    REQUIRE(losses.leases() == leases.size());
    if (draw(40) == 0) {
      losses.Reset();
      for (const auto& [key, lease] : state) losses.AddListed(lease);
    }
  }
}

TEST_CASE("random histories find the same losses as a comparison of whole states") {
  const uint32_t seed = GENERATE(range(1u, 31u));
  INFO("seed " << seed);
  RunHistory(seed);
}

}  // namespace
}  // namespace rosterd
