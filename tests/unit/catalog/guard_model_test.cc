// SPDX-License-Identifier: Apache-2.0
// Random histories with ending leases, lists and passing time: whatever the guard holds, the keys
// are etcd's, nobody is held beyond the time, and no index goes back or hides the end of a hold.
#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "catalog/catalog_builder.h"
#include "values.h"

namespace rosterd {
namespace {

using namespace rosterd::testing;  // NOLINT

// Cheaper than a REQUIRE, of which there would be many.
#define EXPECT(holds) \
  if (!(holds)) FAIL(#holds)

constexpr seconds kTtl{15};
constexpr seconds kHold{20};

class GuardedHistory {
 public:
  explicit GuardedHistory(uint32_t seed) : random_(seed) {
    builder_.ReplaceAll({}, revision_);
    before_ = builder_.Snapshot();
  }

  // How many checks saw something held.
  size_t Run(int steps) {
    for (int i = 0; i < steps; ++i) {
      const bool event = Step();
      Check(event);
    }
    return checks_with_held_;
  }

 private:
  size_t Draw(size_t n) { return random_() % n; }

  bool Step() {
    switch (Draw(12)) {
      case 0: {
        std::vector<etcd::KeyValue> kvs;
        for (const auto& [key, kv] : store_) kvs.push_back(kv);
        builder_.ReplaceAll(kvs, revision_);
        return false;
      }
      case 1:
        revision_ += static_cast<int64_t>(Draw(3));
        builder_.Apply(ProgressAt(revision_), now_);
        return false;
      case 2:
      case 3:
        now_ += seconds(Draw(8));
        builder_.Release(now_);
        return false;
      case 4:
      case 5:
      case 6: {
        std::vector<etcd::WatchEvent> events;
        for (size_t leases = 1 + Draw(4); leases > 0; --leases) EndLease(events);
        if (!events.empty()) builder_.Apply(BatchOf(events), now_);
        return true;
      }
      default:
        Transaction();
        return true;
    }
  }

  void EndLease(std::vector<etcd::WatchEvent>& events) {
    const auto lease = static_cast<int64_t>(1 + Draw(8));
    std::vector<std::string> keys;
    for (const auto& [key, kv] : store_) {
      if (kv.lease == lease) keys.push_back(key);
    }
    if (keys.empty()) return;
    ++revision_;
    for (const std::string& key : keys) {
      const auto name = ParseKey(kPrefix, key);
      events.push_back(DeleteOf(name->service, name->id, revision_));
      store_.erase(key);
    }
  }

  void Transaction() {
    ++revision_;
    std::vector<etcd::WatchEvent> events;
    std::set<std::string> touched;
    for (size_t writes = 1 + Draw(6); writes > 0; --writes) {
      const std::string service = "s" + std::to_string(Draw(3));
      const std::string id = std::to_string(Draw(8));
      const std::string key = KeyOf(service, id);
      if (!touched.insert(key).second) continue;
      if (Draw(8) == 0 && store_.contains(key)) {
        store_.erase(key);
        events.push_back(DeleteOf(service, id, revision_));
      } else {
        store_[key] = RawKv(key, ValueOf(service, id), revision_, static_cast<int64_t>(Draw(9)));
        events.push_back(PutOf(store_[key]));
      }
    }
    if (!events.empty()) builder_.Apply(BatchOf(events), now_);
  }

  void Check(bool event) {
    const auto now = builder_.Snapshot();
    std::map<std::string, TimePoint> held;
    size_t keys = 0;
    size_t instances = 0;
    now->ForEach([&](const ServiceEntry& entry) {
      keys += entry.keys().size();
      instances += entry.served();
      for (const CatalogKey& key : entry.keys()) {
        const auto it = store_.find(KeyOf(entry.name(), key.id));
        EXPECT(it != store_.end());
        EXPECT(it->second.mod_revision == key.mod_revision);
      }
      std::string last;
      for (const ServedInstance& served : entry.ServedInstances()) {
        EXPECT(last < served->id);
        last = served->id;
        if (!served.held) continue;
        const std::string key = KeyOf(entry.name(), served->id);
        EXPECT(!store_.contains(key));
        const auto known = held_.find(key);
        held[key] = known == held_.end() ? now_ : known->second;
        // Nothing begins without an event.
        EXPECT(known != held_.end() || event);
        EXPECT(now_ - held[key] < kHold);
      }
      EXPECT(entry.index() <= entry.last_change());
      EXPECT(entry.held() == 0 || entry.index() < entry.last_change());
      EXPECT(entry.last_change() <= now->revision());
      CheckIndex(entry, event);
    });
    EXPECT(keys == store_.size());
    EXPECT(now->instances() == instances);
    EXPECT(builder_.guard().held() == held.size());
    for (const auto& [key, since] : held_) {
      // A hold ends by its time, or because the key is back (and may be gone again).
      EXPECT(held.contains(key) || event || store_.contains(key) || now_ - since >= kHold);
    }
    checks_with_held_ += held.empty() ? 0 : 1;
    held_ = std::move(held);
    before_ = now;
  }

  void CheckIndex(const ServiceEntry& entry, bool event) {
    const auto before = before_->Find(entry.name());
    if (before == nullptr) return;
    EXPECT(entry.index() >= before->index());
    const auto shown = [](const ServiceEntry& one) {
      std::vector<std::pair<std::string, bool>> all;
      for (const ServedInstance& served : one.ServedInstances()) {
        all.emplace_back(served->id, served.held);
      }
      return all;
    };
    if (shown(*before) == shown(entry)) return;
    // The ends of all holds, and every change that etcd tells while something is held.
    if (entry.held() == 0 || (before->held() > 0 && event)) EXPECT(entry.index() > before->index());
  }

  std::mt19937 random_;
  TimePoint now_{seconds(1000)};
  int64_t revision_ = 5;
  std::map<std::string, etcd::KeyValue> store_;
  CatalogBuilder builder_{kPrefix, 2, Guard({50, kHold}, kTtl)};
  std::shared_ptr<const Catalog> before_;
  std::map<std::string, TimePoint> held_;  // since when
  size_t checks_with_held_ = 0;
};

TEST_CASE("after any history the guard has kept its promises") {
  const uint32_t seed = GENERATE(range(1u, 31u));
  INFO("seed " << seed);
  CHECK(GuardedHistory(seed).Run(400) > 20);
}

}  // namespace
}  // namespace rosterd
