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

#include "catalog/guard.h"
#include "catalog/lease_losses.h"
#include "catalog/saved_catalog.h"
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
  // Room for what a run may have shown after it was saved last, when etcd's own revisions do not
  // tell any more: its history was replaced meanwhile.
  static constexpr int64_t kUnsavedRoom = 1'000'000;

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
  explicit CatalogBuilder(std::string prefix, size_t max_ended = kMaxEnded, Guard guard = Guard());

  // Everything under the prefix at `revision`. Services that are as they were keep their entry,
  // the others get the list's revision as index; at the very first list a service's index is the
  // highest modification revision in it. It says nothing of leases: what is held stays held, unless
  // it stands in the list, and nothing more is held for what the list misses.
  //
  // The first one after Restore() is compared with what was saved. The run before may have shown
  // more than that, and a service that came and went leaves no trace in a list: unless `revision`
  // proves that nothing happened since, every index is raised to it.
  Change ReplaceAll(const std::vector<etcd::KeyValue>& kvs, int64_t revision,
                    uint64_t cluster_id = 0);
  // What an earlier run knew, before anything else is told. It is shown as from_disk() until the
  // next ReplaceAll().
  // `shown`: the largest revision that the run before is known to have shown.
  void Restore(SavedCatalog saved, int64_t shown);
  // The same where there is nothing to restore.
  void StartAbove(int64_t shown) { shown_before_ = shown; }
  // One whole answer of the watch. Events that are not newer than what is known are ignored. `now`
  // is the guard's time.
  Change Apply(const etcd::WatchBatch& batch, TimePoint now = {});
  // Ends the holds that are over.
  Change Release(TimePoint now);
  // The next list is of another history, whatever its revision.
  void NoteReplaced() { replaced_ = true; }
  void SetWatchOpen(bool open);

  // The same pointer again while nothing has changed.
  std::shared_ptr<const Catalog> Snapshot();

  // The last change under the prefix that is known; of a list, the last that left a key.
  struct NewestChange {
    std::string key;
    int64_t revision = 0;  // 0: none
    bool deleted = false;
    int64_t version = 0;      // !deleted
    uint64_t value_hash = 0;  // !deleted
  };
  const NewestChange& newest_change() const { return newest_change_; }

  // etcd's own revision up to which everything is known; 0: nothing yet.
  int64_t revision() const { return revision_; }
  // Keys whose value cannot be read.
  size_t unreadable() const { return table_.unreadable(); }
  Guard& guard() { return guard_; }
  const Guard& guard() const { return guard_; }

 private:
  struct Edit;    // a service while the events of a batch are applied to it
  struct Listed;  // one key of a list

  size_t CountMissed(const std::vector<Listed>& listed,
                     const std::vector<std::pair<size_t, size_t>>& differing,
                     const std::vector<std::string>& vanished, int64_t revision) const;
  int64_t Shown(int64_t revision) const { return revision + offset_; }
  void ApplyTo(Edit& edit, const InstanceKey& key, const etcd::WatchEvent& event, Change& change);
  // With what the guard holds of it; the one place where a service gets its index.
  void Put(const std::string& service, int64_t last_change, std::vector<CatalogKey> keys);
  // The same keys, after the guard has changed what it holds.
  void PutAgain(const std::string& service);
  // Unlike what the same value was read as once: another version may have saved it.
  static bool StillReads(const CatalogKey& known, const Listed& now,
                         std::vector<Unreadable>& unreadable);
  void RaiseAll(int64_t index);
  static CatalogKey Read(const InstanceKey& key, const etcd::KeyValue& kv, const CatalogKey* before,
                         Change& change);

  const std::string prefix_;
  ServiceTable table_;
  LeaseLosses losses_;
  Guard guard_;
  std::shared_ptr<const Catalog> snapshot_;  // null: out of date
  int64_t revision_ = 0;
  int64_t listed_revision_ = 0;  // of the last list
  NewestChange newest_change_;
  int64_t offset_ = 0;
  bool replaced_ = false;
  uint64_t history_ = 0;
  // After Restore() and StartAbove(), until the first list.
  int64_t shown_before_ = 0;
  int64_t saved_offset_ = 0;
  uint64_t cluster_id_ = 0;
  bool from_disk_ = false;
  bool watch_open_ = false;
};

}  // namespace rosterd
