// SPDX-License-Identifier: Apache-2.0
// ServiceTable: the services as the next snapshot will show them, in shards that snapshots share
// until they are written to. Counts what it holds and forgets the oldest ended services. Pure.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/catalog.h"

namespace rosterd {

// Owned by the watcher thread.
class ServiceTable {
 public:
  // Remembers the index of at most `max_ended` services that have no key any more.
  explicit ServiceTable(size_t max_ended) : max_ended_(max_ended) {}

  // Null: never seen, or forgotten. Valid until the service is put again.
  const ServiceEntry* Find(std::string_view service) const;
  void ForEach(const std::function<void(const ServiceEntry&)>& visit) const;
  // `keys` sorted by id; none, and none held: the service has ended. Its index never goes down.
  void Put(const std::string& service, int64_t index, std::vector<CatalogKey> keys,
           HeldInstances held = {});
  void RaiseFloor(int64_t index);
  // For index() to show at least this.
  void RaiseIndex(int64_t index);

  // The shards as they are now; from here on they are copied before they are written to.
  std::array<std::shared_ptr<const Catalog::Shard>, Catalog::kShards> Share();

  size_t services() const { return services_; }    // with at least one served instance
  size_t instances() const { return instances_; }  // served, held ones included
  size_t unreadable() const { return unreadable_; }
  // Largest index of any service; the floor while there was none.
  int64_t index() const { return largest_index_ > 0 ? largest_index_ : floor_; }
  // At least the index of every service that was forgotten.
  int64_t floor() const { return floor_; }

 private:
  Catalog::Shard& Writable(size_t shard);
  void Uncount(const ServiceEntry& entry);
  void ForgetOldest();

  const size_t max_ended_;
  std::array<std::shared_ptr<Catalog::Shard>, Catalog::kShards> shards_;
  std::array<bool, Catalog::kShards> shared_{};
  std::set<std::pair<int64_t, std::string>> ended_;  // by index
  int64_t largest_index_ = 0;
  int64_t floor_ = 0;
  size_t services_ = 0;
  size_t instances_ = 0;
  size_t unreadable_ = 0;
};

}  // namespace rosterd
