// SPDX-License-Identifier: Apache-2.0
#include "model/catalog.h"

#include <algorithm>

#include "model/service_body.h"

namespace rosterd {

uint64_t HashValue(std::string_view value) { return std::hash<std::string_view>()(value); }

ServiceEntry::ServiceEntry(std::string name, int64_t index, std::vector<CatalogKey> keys,
                           HeldInstances held)
    : name_(std::move(name)), index_(index), keys_(std::move(keys)), held_(std::move(held)) {
  served_ = held_.instances.size() +
            static_cast<size_t>(std::count_if(keys_.begin(), keys_.end(),
                                              [](const CatalogKey& k) { return k.served(); }));
}

std::vector<ServedInstance> ServiceEntry::ServedInstances() const {
  std::vector<ServedInstance> served;
  served.reserve(served_);
  auto held = held_.instances.begin();
  for (const CatalogKey& key : keys_) {
    if (!key.served()) continue;
    for (; held != held_.instances.end() && (*held)->id < key.id; ++held) {
      served.emplace_back(held->get(), true);
    }
    served.emplace_back(key.instance.get());
  }
  for (; held != held_.instances.end(); ++held) served.emplace_back(held->get(), true);
  return served;
}

const CatalogKey* ServiceEntry::FindKey(std::string_view id) const {
  const auto it = std::lower_bound(
      keys_.begin(), keys_.end(), id,
      [](const CatalogKey& key, std::string_view wanted) { return key.id < wanted; });
  return it != keys_.end() && it->id == id ? &*it : nullptr;
}

const ServiceEntry::Body& ServiceEntry::body() const {
  std::call_once(rendered_, [this] {
    body_.json = RenderService(name_, index_, ServedInstances());
    body_.etag = EntityTag(body_.json);
  });
  return body_;
}

std::shared_ptr<const ServiceEntry> Catalog::Find(std::string_view service) const {
  const auto& shard = shards_[ShardOf(service)];
  if (shard == nullptr) return nullptr;
  const auto it = shard->find(service);
  return it == shard->end() ? nullptr : it->second;
}

void Catalog::ForEach(const std::function<void(const ServiceEntry&)>& visit) const {
  for (const auto& shard : shards_) {
    if (shard == nullptr) continue;
    for (const auto& [name, entry] : *shard) visit(*entry);
  }
}

bool Catalog::SharesWith(const Catalog& other, std::string_view service) const {
  const size_t shard = ShardOf(service);
  return shards_[shard] == other.shards_[shard];
}

int64_t Catalog::IndexOf(std::string_view service) const {
  const auto entry = Find(service);
  return entry == nullptr ? floor_ : entry->index();
}

size_t Catalog::ShardOf(std::string_view service) {
  return std::hash<std::string_view>()(service) % kShards;
}

}  // namespace rosterd
