// SPDX-License-Identifier: Apache-2.0
// Catalog: what is known of everyone, at one revision of one etcd history. A snapshot shares with
// its predecessor what did not change (256 shards), so one change among 10,000 services costs
// microseconds. Every key under the prefix is in it, garbage too: the registrar repairs by it.
// Bodies are rendered once per change, when first asked for.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "model/instance.h"
#include "model/service_body.h"

namespace rosterd {

// One key of etcd. Immutable.
struct CatalogKey {
  std::string id;
  int64_t mod_revision = 0;
  int64_t lease = 0;                         // 0: bound to none
  uint64_t value_hash = 0;                   // HashValue() of the value
  std::shared_ptr<const Instance> instance;  // null: the value cannot be read

  bool served() const { return instance != nullptr && instance->passing(); }
};

uint64_t HashValue(std::string_view value);

// Instances of one service that are gone from etcd and still served for a while: the guard against
// mass loss.
struct HeldInstances {
  std::vector<std::shared_ptr<const Instance>> instances;  // sorted by id; no key has such an id
  // Of the service's keys. Its index stands before that as long as something is held.
  int64_t last_change = 0;
};

// One service. Immutable; thread-safe.
class ServiceEntry {
 public:
  // `keys` sorted by id. `index`: etcd revision of the last change that this agent saw.
  ServiceEntry(std::string name, int64_t index, std::vector<CatalogKey> keys,
               HeldInstances held = {});

  const std::string& name() const { return name_; }
  // What answers show.
  int64_t index() const { return index_; }
  // Of the keys: the index once nothing is held any more.
  int64_t last_change() const { return held_.instances.empty() ? index_ : held_.last_change; }
  // What stands in etcd; nothing held is among them.
  const std::vector<CatalogKey>& keys() const { return keys_; }
  // How many instances are served, held ones included. 0: known no more (the index is that of its
  // end).
  size_t served() const { return served_; }
  size_t held() const { return held_.instances.size(); }
  // Sorted by id. Valid as long as this entry.
  std::vector<ServedInstance> ServedInstances() const;
  const CatalogKey* FindKey(std::string_view id) const;  // null: none

  struct Body {
    std::string json;
    std::string etag;
  };
  // Rendered on the first call, kept since. The reference lives as long as this entry.
  const Body& body() const;

 private:
  const std::string name_;
  const int64_t index_;
  const std::vector<CatalogKey> keys_;
  const HeldInstances held_;
  size_t served_ = 0;
  mutable std::once_flag rendered_;
  mutable Body body_;
};

// Immutable; thread-safe.
class Catalog {
 public:
  static constexpr size_t kShards = 256;
  using Shard = std::map<std::string, std::shared_ptr<const ServiceEntry>, std::less<>>;

  int64_t revision() const { return revision_; }
  // The same on etcd's own scale, that of mod_revision: it falls when etcd was restored, while
  // revision() never does.
  int64_t etcd_revision() const { return etcd_revision_; }
  // Largest index of any service; what GET /services shows.
  int64_t index() const { return index_; }
  // Shown for a service that was never seen: the revision of this agent's first list, raised when
  // the index of a forgotten service had to be given up.
  int64_t floor() const { return floor_; }
  size_t services() const { return services_; }    // with at least one served instance
  size_t instances() const { return instances_; }  // served, held ones included
  size_t held() const { return held_; }
  // The watch that feeds this is open. `live` also needs a recent answer, see EtcdSnapshot.
  bool watch_open() const { return watch_open_; }
  // Taken from what an earlier run left on disk; this run's etcd has not been heard yet. Good for
  // answers, not for decisions about etcd's keys.
  bool from_disk() const { return from_disk_; }
  // Counts the histories of etcd that this process has seen: what an earlier one told is void.
  uint64_t history() const { return history_; }
  // Of the etcd that told this; 0: not known.
  uint64_t cluster_id() const { return cluster_id_; }

  // Null: never seen. An entry with served() == 0 remembers the index of its end.
  std::shared_ptr<const ServiceEntry> Find(std::string_view service) const;
  // In no particular order.
  void ForEach(const std::function<void(const ServiceEntry&)>& visit) const;
  // True when both surely hold the same entry of `service`: they share its shard. False says
  // nothing.
  bool SharesWith(const Catalog& other, std::string_view service) const;
  // The index to show for `service`, known or not.
  int64_t IndexOf(std::string_view service) const;
  static size_t ShardOf(std::string_view service);

 private:
  friend class CatalogBuilder;  // catalog/: the only maker

  std::array<std::shared_ptr<const Shard>, kShards> shards_;
  int64_t revision_ = 0;
  int64_t etcd_revision_ = 0;
  int64_t index_ = 0;
  int64_t floor_ = 0;
  size_t services_ = 0;
  size_t instances_ = 0;
  size_t held_ = 0;
  bool watch_open_ = false;
  bool from_disk_ = false;
  uint64_t history_ = 0;
  uint64_t cluster_id_ = 0;
};

}  // namespace rosterd
