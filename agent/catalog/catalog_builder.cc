// SPDX-License-Identifier: Apache-2.0
#include "catalog/catalog_builder.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

namespace rosterd {

struct CatalogBuilder::Edit {
  std::vector<CatalogKey> keys;
  int64_t index = 0;
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

CatalogBuilder::CatalogBuilder(std::string prefix, size_t max_ended)
    : prefix_(std::move(prefix)), table_(max_ended) {}

CatalogBuilder::Change CatalogBuilder::ReplaceAll(const std::vector<etcd::KeyValue>& kvs,
                                                  int64_t revision) {
  const bool first = revision_ == 0;
  Change change;
  change.history_went_back = revision < revision_;

  std::vector<Listed> listed;
  listed.reserve(kvs.size());
  for (const etcd::KeyValue& kv : kvs) {
    if (auto key = ParseKey(prefix_, kv.key)) listed.push_back({std::move(*key), &kv});
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
    if (entry == nullptr || entry->keys().size() != end - begin ||
        !std::equal(entry->keys().begin(), entry->keys().end(), &listed[begin],
                    [](const CatalogKey& known, const Listed& now) { return now.SameAs(known); })) {
      differing.emplace_back(begin, end);
    }
  }
  std::vector<std::string> vanished;
  table_.ForEach([&](const ServiceEntry& entry) {
    if (!entry.keys().empty() && !present.contains(entry.name())) vanished.push_back(entry.name());
  });
  change.services = differing.size() + vanished.size();
  if (!first) change.missed = CountMissed(listed, differing, vanished, revision);

  if (first) {
    table_.RaiseFloor(revision);
  } else {
    // A difference needs an index above all that was shown, or who has seen that would miss it.
    offset_ = std::max(offset_, Shown(revision_) + (change.services > 0 ? 1 : 0) - revision);
  }
  if (first || change.services > 0 || revision != revision_) snapshot_.reset();
  revision_ = listed_revision_ = revision;

  for (const auto& [begin, end] : differing) {
    const std::string& service = listed[begin].key.service;
    const ServiceEntry* entry = table_.Find(service);
    std::vector<CatalogKey> keys;
    keys.reserve(end - begin);
    int64_t index = first ? 0 : Shown(revision);
    for (size_t i = begin; i < end; ++i) {
      const auto& [key, kv] = listed[i];
      keys.push_back(Read(key, *kv, entry == nullptr ? nullptr : entry->FindKey(key.id), change));
      if (first) index = std::max(index, kv->mod_revision);
    }
    table_.Put(service, index, std::move(keys));
  }
  for (const std::string& service : vanished) table_.Put(service, Shown(revision), {});
  return change;
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

CatalogBuilder::Change CatalogBuilder::Apply(const etcd::WatchBatch& batch) {
  Change change;
  // The header of an answer with events may be ahead of them. Only an empty one, which the server
  // sends in turn with the events, tells that nothing is missing up to its revision.
  int64_t reached = batch.events.empty() && !batch.created ? batch.header.revision : 0;
  std::map<std::string, Edit> edits;
  for (const etcd::WatchEvent& event : batch.events) {
    reached = std::max(reached, event.kv.mod_revision);
    const auto key = ParseKey(prefix_, event.kv.key);
    if (!key || event.kv.mod_revision <= listed_revision_) continue;
    const auto [slot, added] = edits.try_emplace(key->service);
    if (added) {
      if (const ServiceEntry* entry = table_.Find(key->service)) {
        slot->second = {entry->keys(), entry->index(), false};
      } else {
        slot->second.index = table_.floor();
      }
    }
    ApplyTo(slot->second, *key, event, change);
  }
  for (auto& [service, edit] : edits) {
    if (!edit.changed) continue;
    table_.Put(service, edit.index, std::move(edit.keys));
    ++change.services;
  }
  if (reached > revision_ || change.services > 0) snapshot_.reset();
  revision_ = std::max(revision_, reached);
  return change;
}

void CatalogBuilder::ApplyTo(Edit& edit, const InstanceKey& key, const etcd::WatchEvent& event,
                             Change& change) const {
  const auto place =
      std::lower_bound(edit.keys.begin(), edit.keys.end(), key.id,
                       [](const CatalogKey& k, const std::string& id) { return k.id < id; });
  const bool known = place != edit.keys.end() && place->id == key.id;
  const int64_t revision = event.kv.mod_revision;
  // Servers have repeated old events after partitions (etcd #15271, #20221).
  if (known && revision <= place->mod_revision) return;

  if (event.kind == etcd::WatchEvent::Kind::kDelete) {
    if (!known) return;
    edit.keys.erase(place);
  } else if (known) {
    *place = Read(key, event.kv, &*place, change);
  } else {
    // Older than the service's last change: it may have been deleted since.
    if (Shown(revision) < edit.index) return;
    edit.keys.insert(place, Read(key, event.kv, nullptr, change));
  }
  edit.index = std::max(edit.index, Shown(revision));
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
    catalog->watch_open_ = watch_open_;
    snapshot_ = std::move(catalog);
  }
  return snapshot_;
}

}  // namespace rosterd
