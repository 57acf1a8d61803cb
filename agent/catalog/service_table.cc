// SPDX-License-Identifier: Apache-2.0
#include "catalog/service_table.h"

#include <algorithm>

namespace rosterd {
namespace {

size_t CountUnreadable(const ServiceEntry& entry) {
  return static_cast<size_t>(
      std::count_if(entry.keys().begin(), entry.keys().end(),
                    [](const CatalogKey& key) { return key.instance == nullptr; }));
}

bool Ended(const ServiceEntry& entry) { return entry.keys().empty() && entry.held() == 0; }

}  // namespace

const ServiceEntry* ServiceTable::Find(std::string_view service) const {
  const auto& shard = shards_[Catalog::ShardOf(service)];
  if (shard == nullptr) return nullptr;
  const auto it = shard->find(service);
  return it == shard->end() ? nullptr : it->second.get();
}

void ServiceTable::ForEach(const std::function<void(const ServiceEntry&)>& visit) const {
  for (const auto& shard : shards_) {
    if (shard == nullptr) continue;
    for (const auto& [name, entry] : *shard) visit(*entry);
  }
}

void ServiceTable::Put(const std::string& service, int64_t index, std::vector<CatalogKey> keys,
                       HeldInstances held) {
  Catalog::Shard& shard = Writable(Catalog::ShardOf(service));
  auto it = shard.find(service);
  if (it != shard.end()) {
    index = std::max(index, it->second->index());
    Uncount(*it->second);
  }
  keys.shrink_to_fit();
  auto entry =
      std::make_shared<const ServiceEntry>(service, index, std::move(keys), std::move(held));
  services_ += entry->served() > 0 ? 1 : 0;
  instances_ += entry->served();
  unreadable_ += CountUnreadable(*entry);
  largest_index_ = std::max(largest_index_, index);
  const bool ended = Ended(*entry);
  shard.insert_or_assign(service, std::move(entry));
  if (ended) {
    ended_.emplace(index, service);
    ForgetOldest();
  }
}

void ServiceTable::RaiseFloor(int64_t index) { floor_ = std::max(floor_, index); }

void ServiceTable::RaiseIndex(int64_t index) { largest_index_ = std::max(largest_index_, index); }

std::array<std::shared_ptr<const Catalog::Shard>, Catalog::kShards> ServiceTable::Share() {
  std::array<std::shared_ptr<const Catalog::Shard>, Catalog::kShards> shards;
  std::copy(shards_.begin(), shards_.end(), shards.begin());
  shared_.fill(true);
  return shards;
}

Catalog::Shard& ServiceTable::Writable(size_t shard) {
  auto& slot = shards_[shard];
  if (slot == nullptr) {
    slot = std::make_shared<Catalog::Shard>();
  } else if (shared_[shard]) {
    slot = std::make_shared<Catalog::Shard>(*slot);
  }
  shared_[shard] = false;
  return *slot;
}

void ServiceTable::Uncount(const ServiceEntry& entry) {
  services_ -= entry.served() > 0 ? 1 : 0;
  instances_ -= entry.served();
  unreadable_ -= CountUnreadable(entry);
  if (Ended(entry)) ended_.erase({entry.index(), entry.name()});
}

void ServiceTable::ForgetOldest() {
  while (ended_.size() > max_ended_) {
    const auto& [index, service] = *ended_.begin();
    RaiseFloor(index);
    Writable(Catalog::ShardOf(service)).erase(service);
    ended_.erase(ended_.begin());
  }
}

}  // namespace rosterd
