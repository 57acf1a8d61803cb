// SPDX-License-Identifier: Apache-2.0
#include "catalog/catalog_builder.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <tuple>
#include <utility>

namespace rosterd {

struct CatalogBuilder::Edit {
  std::vector<CatalogKey> keys;
  int64_t last_change = 0;
  bool changed = false;
};

struct CatalogBuilder::Listed {
  InstanceKey key;
  const etcd::KeyValue* kv = nullptr;

  bool SameAs(const CatalogKey& known) const {
    return known.id == key.id && known.mod_revision == kv->mod_revision &&
           known.lease == kv->lease && known.value_hash == HashValue(kv->value);
  }
};

namespace {

size_t CountServed(const std::vector<CatalogKey>& keys) {
  return static_cast<size_t>(
      std::count_if(keys.begin(), keys.end(), [](const CatalogKey& key) { return key.served(); }));
}

CatalogBuilder::NewestChange ToChange(const etcd::KeyValue& kv, bool deleted) {
  if (deleted) return {kv.key, kv.mod_revision, true, 0, 0};
  return {kv.key, kv.mod_revision, false, kv.version, HashValue(kv.value)};
}

}  // namespace

CatalogBuilder::CatalogBuilder(std::string prefix, size_t max_ended, Guard guard)
    : prefix_(std::move(prefix)), table_(max_ended), guard_(std::move(guard)) {}

CatalogBuilder::Change CatalogBuilder::ReplaceAll(const std::vector<etcd::KeyValue>& kvs,
                                                  int64_t revision, uint64_t cluster_id) {
  const bool first = revision_ == 0;
  const bool restored = std::exchange(from_disk_, false);
  const int64_t restored_revision = revision_;
  const int64_t shown = std::max(std::exchange(shown_before_, 0), Shown(revision_));
  if (restored) offset_ = saved_offset_;
  const bool other_history = revision < revision_ || Shown(revision) < shown ||
                             (cluster_id != 0 && cluster_id_ != 0 && cluster_id != cluster_id_) ||
                             replaced_;
  replaced_ = false;
  if (other_history && !first) ++history_;
  Change change;
  change.history_went_back = revision < revision_;
  cluster_id_ = cluster_id;

  std::vector<Listed> listed;
  listed.reserve(kvs.size());
  losses_.Reset();
  for (const etcd::KeyValue& kv : kvs) {
    auto key = ParseKey(prefix_, kv.key);
    if (!key) continue;
    listed.push_back({std::move(*key), &kv});
    losses_.AddListed(kv.lease);
  }
  std::sort(listed.begin(), listed.end(), [](const Listed& a, const Listed& b) {
    return std::tie(a.key.service, a.key.id) < std::tie(b.key.service, b.key.id);
  });

  // What differs is found before anything is written: whether anything does decides the offset.
  std::vector<std::pair<size_t, size_t>> differing;  // [begin, end) of one service in `listed`
  std::set<std::string_view> present;
  for (size_t begin = 0, end = 0; begin < listed.size(); begin = end) {
    const std::string& service = listed[begin].key.service;
    while (end < listed.size() && listed[end].key.service == service) ++end;
    present.insert(service);
    const ServiceEntry* entry = table_.Find(service);
    std::vector<Unreadable> unreadable;
    if (entry == nullptr || entry->keys().size() != end - begin ||
        !std::equal(entry->keys().begin(), entry->keys().end(), &listed[begin],
                    [&](const CatalogKey& known, const Listed& now) {
                      return now.SameAs(known) && (!restored || StillReads(known, now, unreadable));
                    })) {
      differing.emplace_back(begin, end);
    } else {
      std::move(unreadable.begin(), unreadable.end(), std::back_inserter(change.unreadable));
    }
  }
  std::vector<std::string> vanished;
  table_.ForEach([&](const ServiceEntry& entry) {
    if (!entry.keys().empty() && !present.contains(entry.name())) vanished.push_back(entry.name());
  });
  change.services = differing.size() + vanished.size();
  if (!first && !restored) change.missed = CountMissed(listed, differing, vanished, revision);

  if (first) {
    // Nothing but a number is left of the run before: it may have shown any index up to that.
    if (revision < shown) offset_ = shown + kUnsavedRoom - revision;
    table_.RaiseFloor(Shown(revision));
  } else {
    // A difference needs an index above all that was shown, or who has seen that would miss it.
    offset_ = std::max(offset_, shown + (change.services > 0 ? 1 : 0) - revision);
  }
  if (restored && other_history) {
    offset_ = std::max(offset_, shown + kUnsavedRoom - revision);
  }
  if (first || restored || change.services > 0 || revision != revision_) snapshot_.reset();
  revision_ = listed_revision_ = revision;
  const auto newest = std::max_element(kvs.begin(), kvs.end(),
                                       [](const etcd::KeyValue& a, const etcd::KeyValue& b) {
                                         return a.mod_revision < b.mod_revision;
                                       });
  newest_change_ = {};
  if (newest != kvs.end()) newest_change_ = ToChange(*newest, false);

  for (const auto& [begin, end] : differing) {
    const std::string& service = listed[begin].key.service;
    const ServiceEntry* entry = table_.Find(service);
    std::vector<CatalogKey> keys;
    keys.reserve(end - begin);
    int64_t index = first ? 0 : Shown(revision);
    for (size_t i = begin; i < end; ++i) {
      const auto& [key, kv] = listed[i];
      const bool reuse = entry != nullptr && !restored;
      keys.push_back(Read(key, *kv, reuse ? entry->FindKey(key.id) : nullptr, change));
      if (first) index = std::max(index, shown > 0 ? Shown(revision) : kv->mod_revision);
      guard_.OnPut(service, key.id);
    }
    Put(service, index, std::move(keys));
  }
  for (const std::string& service : vanished) Put(service, Shown(revision), {});
  if (restored) {
    table_.RaiseFloor(Shown(revision));
    if (other_history || revision != restored_revision) RaiseAll(Shown(revision));
  }
  return change;
}

bool CatalogBuilder::StillReads(const CatalogKey& known, const Listed& now,
                                std::vector<Unreadable>& unreadable) {
  const auto instance = DecodeInstance(now.key, now.kv->value);
  if (!instance.ok()) {
    unreadable.push_back({now.kv->key, std::string(instance.status().message())});
    return known.instance == nullptr;
  }
  return known.instance != nullptr && *known.instance == *instance;
}

void CatalogBuilder::RaiseAll(int64_t index) {
  std::vector<std::pair<std::string, std::vector<CatalogKey>>> services;
  table_.ForEach([&](const ServiceEntry& entry) {
    if (entry.index() < index) services.emplace_back(entry.name(), entry.keys());
  });
  for (auto& [service, keys] : services) Put(service, index, std::move(keys));
  table_.RaiseIndex(index);
}

void CatalogBuilder::Restore(SavedCatalog saved, int64_t shown) {
  revision_ = listed_revision_ = saved.revision;
  shown_before_ = std::max(shown, saved.revision + saved.offset);
  saved_offset_ = saved.offset;
  offset_ = shown_before_ - saved.revision;
  cluster_id_ = saved.cluster_id;
  from_disk_ = true;
  table_.RaiseFloor(saved.floor);
  for (SavedCatalog::Service& service : saved.services) {
    table_.Put(service.name, service.index, std::move(service.keys));
  }
  table_.RaiseIndex(saved.index);
  if (offset_ > saved_offset_) {
    // What changed after the save is not known: any service may have been shown up to there.
    RaiseAll(shown_before_);
    table_.RaiseFloor(shown_before_);
  }
  snapshot_.reset();
}

// A key that is newer than what is known is ordinary news, and one that is gone may have been
// deleted since, unless nothing at all has happened since.
size_t CatalogBuilder::CountMissed(const std::vector<Listed>& listed,
                                   const std::vector<std::pair<size_t, size_t>>& differing,
                                   const std::vector<std::string>& vanished,
                                   int64_t revision) const {
  const bool nothing_since = revision == revision_;
  if (nothing_since) return differing.size() + vanished.size();
  return static_cast<size_t>(
      std::count_if(differing.begin(), differing.end(), [&](const auto& range) {
        const ServiceEntry* entry = table_.Find(listed[range.first].key.service);
        return std::any_of(
            &listed[range.first], &listed[range.first] + (range.second - range.first),
            [&](const Listed& now) {
              if (now.kv->mod_revision > revision_) return false;
              const CatalogKey* known = entry == nullptr ? nullptr : entry->FindKey(now.key.id);
              return known == nullptr || !now.SameAs(*known);
            });
      }));
}

CatalogBuilder::Change CatalogBuilder::Apply(const etcd::WatchBatch& batch, TimePoint now) {
  Change change;
  // The header of an answer with events may be ahead of them. Only an empty one, which the server
  // sends in turn with the events, tells that nothing is missing up to its revision.
  int64_t reached = batch.events.empty() && !batch.created ? batch.header.revision : 0;
  std::map<std::string, Edit> edits;
  for (const etcd::WatchEvent& event : batch.events) {
    reached = std::max(reached, event.kv.mod_revision);
    if (event.kv.mod_revision > newest_change_.revision) {
      newest_change_ = ToChange(event.kv, event.kind == etcd::WatchEvent::Kind::kDelete);
    }
    const auto key = ParseKey(prefix_, event.kv.key);
    if (!key || event.kv.mod_revision <= listed_revision_) continue;
    const auto [slot, added] = edits.try_emplace(key->service);
    if (added) {
      if (const ServiceEntry* entry = table_.Find(key->service)) {
        slot->second = {entry->keys(), entry->last_change(), false};
      } else {
        slot->second.last_change = table_.floor();
      }
    }
    ApplyTo(slot->second, *key, event, change);
  }
  const auto held_more = guard_.OnLosses(losses_.Take(), now, [&](const std::string& service) {
    const auto edit = edits.find(service);
    if (edit != edits.end()) return CountServed(edit->second.keys);
    const ServiceEntry* entry = table_.Find(service);
    return entry == nullptr ? 0 : CountServed(entry->keys());
  });
  if (reached > revision_) snapshot_.reset();
  revision_ = std::max(revision_, reached);
  for (auto& [service, edit] : edits) {
    if (!edit.changed) continue;
    Put(service, edit.last_change, std::move(edit.keys));
    ++change.services;
  }
  for (const std::string& service : held_more) {
    const auto edit = edits.find(service);
    if (edit != edits.end() && edit->second.changed) continue;
    PutAgain(service);
    ++change.services;
  }
  return change;
}

CatalogBuilder::Change CatalogBuilder::Release(TimePoint now) {
  Change change;
  for (const std::string& service : guard_.Release(now)) {
    PutAgain(service);
    ++change.services;
  }
  return change;
}

void CatalogBuilder::Put(const std::string& service, int64_t last_change,
                         std::vector<CatalogKey> keys) {
  const ServiceEntry* entry = table_.Find(service);
  auto held = guard_.HeldOf(service);
  const ShownIndex next = NextIndex(entry == nullptr ? 0 : entry->index(), last_change,
                                    Shown(revision_), !held.empty());
  table_.Put(service, next.index, std::move(keys), {std::move(held), next.last_change});
  snapshot_.reset();
}

void CatalogBuilder::PutAgain(const std::string& service) {
  const ServiceEntry* entry = table_.Find(service);
  // Null: it ended so long ago that it was forgotten.
  Put(service, entry == nullptr ? table_.floor() : entry->last_change(),
      entry == nullptr ? std::vector<CatalogKey>() : entry->keys());
}

void CatalogBuilder::ApplyTo(Edit& edit, const InstanceKey& key, const etcd::WatchEvent& event,
                             Change& change) {
  const auto place =
      std::lower_bound(edit.keys.begin(), edit.keys.end(), key.id,
                       [](const CatalogKey& k, const std::string& id) { return k.id < id; });
  const bool known = place != edit.keys.end() && place->id == key.id;
  const int64_t revision = event.kv.mod_revision;
  // Servers have repeated old events after partitions (etcd #15271, #20221).
  if (known && revision <= place->mod_revision) return;

  if (event.kind == etcd::WatchEvent::Kind::kDelete) {
    if (!known) return;
    losses_.OnDelete(revision, key.service, *place);
    edit.keys.erase(place);
  } else {
    // Older than the service's last change: it may have been deleted since.
    if (!known && Shown(revision) < edit.last_change) return;
    CatalogKey* const before = known ? &*place : nullptr;
    losses_.OnPut(revision, key.service, key.id, before, event.kv.lease);
    guard_.OnPut(key.service, key.id);
    CatalogKey now = Read(key, event.kv, before, change);
    if (known) {
      *place = std::move(now);
    } else {
      edit.keys.insert(place, std::move(now));
    }
  }
  edit.last_change = std::max(edit.last_change, Shown(revision));
  edit.changed = true;
}

CatalogKey CatalogBuilder::Read(const InstanceKey& key, const etcd::KeyValue& kv,
                                const CatalogKey* before, Change& change) {
  CatalogKey read{key.id, kv.mod_revision, kv.lease, HashValue(kv.value), nullptr};
  if (before != nullptr && before->value_hash == read.value_hash) {
    read.instance = before->instance;
    return read;
  }
  if (auto instance = DecodeInstance(key, kv.value); instance.ok()) {
    // A copy, not a move: its strings and lists have no spare room.
    read.instance = std::make_shared<const Instance>(*instance);
  } else {
    change.unreadable.push_back({kv.key, std::string(instance.status().message())});
  }
  return read;
}

void CatalogBuilder::SetWatchOpen(bool open) {
  if (watch_open_ != open) snapshot_.reset();
  watch_open_ = open;
}

std::shared_ptr<const Catalog> CatalogBuilder::Snapshot() {
  if (snapshot_ == nullptr) {
    auto catalog = std::make_shared<Catalog>();
    catalog->shards_ = table_.Share();
    catalog->revision_ = Shown(revision_);
    catalog->etcd_revision_ = revision_;
    catalog->index_ = table_.index();
    catalog->floor_ = table_.floor();
    catalog->services_ = table_.services();
    catalog->instances_ = table_.instances();
    catalog->held_ = guard_.held();
    catalog->history_ = history_;
    catalog->watch_open_ = watch_open_;
    catalog->from_disk_ = from_disk_;
    catalog->cluster_id_ = cluster_id_;
    snapshot_ = std::move(catalog);
  }
  return snapshot_;
}

}  // namespace rosterd
