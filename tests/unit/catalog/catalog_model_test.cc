// SPDX-License-Identifier: Apache-2.0
// Random histories against a naive map: whatever happens, the catalog is etcd's state at its
// revision, and nothing it shows goes back.
#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "catalog/catalog_builder.h"
#include "values.h"

namespace rosterd {
namespace {

using namespace rosterd::testing;  // NOLINT

// Cheaper than a REQUIRE, of which there would be a million.
#define EXPECT(holds) \
  if (!(holds)) FAIL(#holds)

// etcd, as naive as possible.
struct Store {
  int64_t revision = 1;
  std::map<std::string, etcd::KeyValue> kvs;

  std::vector<etcd::KeyValue> List() const {
    std::vector<etcd::KeyValue> all;
    for (const auto& [key, kv] : kvs) all.push_back(kv);
    return all;
  }
};

class History {
 public:
  explicit History(uint32_t seed) : random_(seed) { builder_.ReplaceAll({}, store_.revision); }

  void Run(int steps) {
    before_ = builder_.Snapshot();
    for (int i = 0; i < steps; ++i) {
      Step();
      Check();
    }
  }

 private:
  int Draw(size_t n) { return static_cast<int>(random_() % n); }

  etcd::WatchEvent Write(const std::string& service, const std::string& id) {
    const std::string key = KeyOf(service, id);
    if (Draw(3) == 0 && store_.kvs.contains(key)) {
      store_.kvs.erase(key);
      return DeleteOf(service, id, store_.revision);
    }
    const bool garbage = Draw(8) == 0;
    const std::string value = garbage ? "garbage " + std::to_string(Draw(2))
                                      : ValueOf(service, id, static_cast<uint16_t>(1 + Draw(3)),
                                                Draw(5) == 0 ? "draining" : "passing");
    store_.kvs[key] = RawKv(key, value, store_.revision, Draw(3));
    return PutOf(store_.kvs[key]);
  }

  etcd::WatchBatch Batch() {
    std::vector<etcd::WatchEvent> events;
    for (int revisions = 1 + Draw(3); revisions > 0; --revisions) {
      ++store_.revision;
      std::map<std::string, int> touched;  // one write per key and revision, as in etcd
      for (int writes = 1 + Draw(3); writes > 0; --writes) {
        const std::string service = "s" + std::to_string(Draw(12));
        const std::string id = std::to_string(Draw(3));
        if (touched[service + id]++ == 0) events.push_back(Write(service, id));
      }
    }
    return BatchOf(std::move(events));
  }

  void Step() {
    switch (Draw(20)) {
      case 0:  // events are lost, a list finds them
        for (int lost = Draw(3); lost > 0; --lost) Batch();
        builder_.ReplaceAll(store_.List(), store_.revision);
        break;
      case 1:
        saved_ = store_;
        break;
      case 2:  // a backup is restored
        if (saved_.revision > 1) store_ = saved_;
        past_.clear();
        builder_.ReplaceAll(store_.List(), store_.revision);
        break;
      case 3:  // old events again
        if (!past_.empty()) builder_.Apply(past_[static_cast<size_t>(Draw(past_.size()))]);
        break;
      case 4:
        store_.revision += Draw(4);
        builder_.Apply(ProgressAt(store_.revision));
        break;
      default:
        past_.push_back(Batch());
        builder_.Apply(past_.back());
    }
  }

  void Check() {
    const auto now = builder_.Snapshot();
    size_t services = 0, instances = 0, unreadable = 0, keys = 0;
    int64_t largest = 0;
    now->ForEach([&](const ServiceEntry& entry) {
      services += entry.served() > 0 ? 1 : 0;
      largest = std::max(largest, entry.index());
      for (const CatalogKey& key : entry.keys()) {
        ++keys;
        const auto it = store_.kvs.find(KeyOf(entry.name(), key.id));
        EXPECT(it != store_.kvs.end());
        EXPECT(key.mod_revision == it->second.mod_revision);
        EXPECT(key.lease == it->second.lease);
        EXPECT(key.value_hash == HashValue(it->second.value));
        instances += key.served() ? 1 : 0;
        unreadable += key.instance == nullptr ? 1 : 0;
        if (before_->Find(entry.name()).get() == &entry) continue;
        const auto instance = DecodeInstance({entry.name(), key.id}, it->second.value);
        EXPECT(instance.ok() == (key.instance != nullptr));
        if (instance.ok()) EXPECT(*instance == *key.instance);
      }
    });
    EXPECT(keys == store_.kvs.size());
    EXPECT(now->services() == services);
    EXPECT(now->instances() == instances);
    EXPECT(builder_.unreadable() == unreadable);
    EXPECT(builder_.revision() == store_.revision);

    EXPECT(now->revision() >= before_->revision());
    EXPECT(now->index() >= before_->index());
    EXPECT(now->floor() >= before_->floor());
    EXPECT(now->index() >= largest);
    EXPECT(now->index() <= now->revision());
    for (int i = 0; i < 12; ++i) {
      const std::string service = "s" + std::to_string(i);
      EXPECT(now->IndexOf(service) >= before_->IndexOf(service));
      EXPECT(now->IndexOf(service) <= now->revision());
      // Who has seen the catalog's revision must not miss a later change.
      if (ServedOf(*now, service) != ServedOf(*before_, service)) {
        EXPECT(now->IndexOf(service) > before_->revision());
      }
    }
    before_ = now;
  }

  std::mt19937 random_;
  Store store_;
  Store saved_;
  std::vector<etcd::WatchBatch> past_;  // of this history
  CatalogBuilder builder_{kPrefix, 3};
  std::shared_ptr<const Catalog> before_;
};

TEST_CASE("after any history the catalog is etcd's state, and nothing shown goes back") {
  const uint32_t seed = GENERATE(range(1u, 21u));
  INFO("seed " << seed);
  History(seed).Run(100);
}

}  // namespace
}  // namespace rosterd
