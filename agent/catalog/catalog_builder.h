// SPDX-License-Identifier: Apache-2.0
// CatalogBuilder: turns etcd's lists and watch events into Catalog snapshots. Pure: no clock, no
// I/O, no logging; what a person should hear of comes back as a Change. Runs on the watcher thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "catalog/service_table.h"
#include "etcd/client.h"
#include "model/catalog.h"
#include "model/instance.h"

namespace rosterd {

// Shown revisions and indexes are etcd's plus an offset. It is 0 until etcd's history goes back (a
// restored backup): what this process shows never goes back with it.
//
// Owned by the watcher thread.
class CatalogBuilder {
 public:
  // Ended services whose index is remembered; beyond that the oldest raises the floor instead.
  static constexpr size_t kMaxEnded = 10'000;

  struct Unreadable {
    std::string key;
    std::string reason;
  };
  struct Change {
    size_t services = 0;             // that have a new entry
    size_t missed = 0;               // of a list: of these, changes the watch should have told
    bool history_went_back = false;  // the list is older than what was known
    // Values that cannot be read; each is reported once, as long as it stands there.
    std::vector<Unreadable> unreadable;
  };

  // `prefix` ends with a slash.
  explicit CatalogBuilder(std::string prefix, size_t max_ended = kMaxEnded);

  // Everything under the prefix at `revision`. Services that are as they were keep their entry,
  // the others get the list's revision as index; at the very first list a service's index is the
  // highest modification revision in it.
  Change ReplaceAll(const std::vector<etcd::KeyValue>& kvs, int64_t revision);
  // One whole answer of the watch. Events that are not newer than what is known are ignored.
  Change Apply(const etcd::WatchBatch& batch);
  void SetWatchOpen(bool open);

  // The same pointer again while nothing has changed.
  std::shared_ptr<const Catalog> Snapshot();

  // etcd's own revision up to which everything is known; 0: nothing yet.
  int64_t revision() const { return revision_; }
  // Keys whose value cannot be read.
  size_t unreadable() const { return table_.unreadable(); }

 private:
  struct Edit;    // a service while the events of a batch are applied to it
  struct Listed;  // one key of a list

  size_t CountMissed(const std::vector<Listed>& listed,
                     const std::vector<std::pair<size_t, size_t>>& differing,
                     const std::vector<std::string>& vanished, int64_t revision) const;
  int64_t Shown(int64_t revision) const { return revision + offset_; }
  void ApplyTo(Edit& edit, const InstanceKey& key, const etcd::WatchEvent& event,
               Change& change) const;
  static CatalogKey Read(const InstanceKey& key, const etcd::KeyValue& kv, const CatalogKey* before,
                         Change& change);

  const std::string prefix_;
  ServiceTable table_;
  std::shared_ptr<const Catalog> snapshot_;  // null: out of date
  int64_t revision_ = 0;
  int64_t listed_revision_ = 0;  // of the last list
  int64_t offset_ = 0;
  bool watch_open_ = false;
};

}  // namespace rosterd
