// SPDX-License-Identifier: Apache-2.0
#include "scripted_store.h"

#include <algorithm>
#include <utility>

namespace rosterd::testing {
namespace {

using etcd::GuardedWrite;
using etcd::KeyValue;
using etcd::WatchEvent;

constexpr milliseconds kExpiryTick{10};

}  // namespace

bool InRange(const std::string& key, const std::string& begin, const std::string& end) {
  if (end.empty()) return key == begin;
  return key >= begin && (end == std::string(1, '\0') || key < end);
}

ScriptedStore::ScriptedStore() {
  eras_.push_back({.cluster_id = 0xc1, .raft_term = 2, .revision = 1, .events = {}});
  expirer_ = std::jthread([this](std::stop_token stop) { ExpireLoop(std::move(stop)); });
}

ScriptedStore::~ScriptedStore() {
  expirer_.request_stop();
  expirer_.join();
}

void ScriptedStore::ExpireLoop(std::stop_token stop) {
  while (!stop.stop_requested()) {
    std::this_thread::sleep_for(kExpiryTick);
    std::lock_guard lock(mutex_);
    std::vector<int64_t> over;
    for (const auto& [id, lease] : leases_) {
      if (lease.ends <= clock_.Now()) over.push_back(id);
    }
    for (const int64_t id : over) EndLocked(id);
  }
}

etcd::Header ScriptedStore::MakeHeader() const {
  std::lock_guard lock(mutex_);
  const Era& era = eras_.back();
  return {era.cluster_id, 0, era.revision, era.raft_term};
}

ScriptedStore::Page ScriptedStore::Range(const std::string& begin, const std::string& end,
                                         size_t limit, int64_t revision) {
  std::lock_guard lock(mutex_);
  const Era& era = eras_.back();
  Page page;
  page.header = {era.cluster_id, 0, era.revision, era.raft_term};
  page.compacted = revision > 0 && revision < compacted_;
  page.future = revision > era.revision;
  if (page.compacted || page.future) return page;
  Kvs past;
  const Kvs* kvs = &kvs_;
  if (revision > 0 && revision < era.revision) {
    for (const WatchEvent& event : era.events) {
      if (event.kv.mod_revision > revision) break;
      if (event.kind == WatchEvent::Kind::kPut) {
        past[event.kv.key] = event.kv;
      } else {
        past.erase(event.kv.key);
      }
    }
    kvs = &past;
  }
  for (auto it = kvs->lower_bound(begin); it != kvs->end(); ++it) {
    if (!InRange(it->first, begin, end)) break;
    if (limit > 0 && page.kvs.size() == limit) {
      page.more = true;
      break;
    }
    page.kvs.push_back(it->second);
  }
  return page;
}

ScriptedStore::Outcome ScriptedStore::Write(const std::vector<GuardedWrite>& writes,
                                            etcd::WriteBatchAnswer* answer) {
  std::lock_guard lock(mutex_);
  // etcd checks the leases of the branch that is taken, and refuses all of it for one.
  const auto passes = [&](const GuardedWrite& write) {
    const auto it = kvs_.find(write.key);
    return (it == kvs_.end() ? 0 : it->second.mod_revision) == write.expected_mod_revision;
  };
  for (const GuardedWrite& write : writes) {
    if (write.kind == GuardedWrite::Kind::kPut && write.lease != 0 && passes(write) &&
        !leases_.contains(write.lease)) {
      return Outcome::kNoLease;
    }
  }
  const int64_t next = NextLocked();
  for (const GuardedWrite& write : writes) {
    etcd::WriteAnswer one;
    one.done = passes(write);
    if (!one.done) {
      const auto it = kvs_.find(write.key);
      if (it != kvs_.end()) one.current = it->second;
    } else if (write.kind == GuardedWrite::Kind::kPut) {
      PutLocked(write.key, write.value, write.lease, next);
    } else {
      DeleteLocked(write.key, next);
    }
    answer->answers.push_back(std::move(one));
  }
  const Era& era = eras_.back();
  answer->header = {era.cluster_id, 0, era.revision, era.raft_term};
  Changed();
  return Outcome::kDone;
}

ScriptedStore::Outcome ScriptedStore::Grant(int64_t lease, seconds ttl) {
  std::lock_guard lock(mutex_);
  if (leases_.contains(lease)) return Outcome::kLeaseExists;
  leases_[lease] = {ttl, clock_.Now() + ttl};
  return Outcome::kDone;
}

ScriptedStore::Outcome ScriptedStore::Renew(int64_t lease, seconds* ttl) {
  std::lock_guard lock(mutex_);
  const auto it = leases_.find(lease);
  if (it == leases_.end()) return Outcome::kNoLease;
  it->second.ends = clock_.Now() + it->second.ttl;
  *ttl = it->second.ttl;
  return Outcome::kDone;
}

ScriptedStore::Outcome ScriptedStore::Revoke(int64_t lease) {
  std::lock_guard lock(mutex_);
  if (!leases_.contains(lease)) return Outcome::kNoLease;
  EndLocked(lease);
  return Outcome::kDone;
}

ScriptedStore::Told ScriptedStore::Since(int64_t next, const std::string& begin,
                                         const std::string& end) const {
  std::lock_guard lock(mutex_);
  const Era& era = eras_.back();
  Told told;
  told.era = eras_.size() - 1;
  told.header = {era.cluster_id, 0, era.revision, era.raft_term};
  told.compacted = compacted_;
  const auto first = std::lower_bound(
      era.events.begin(), era.events.end(), next,
      [](const WatchEvent& event, int64_t r) { return event.kv.mod_revision < r; });
  for (auto it = first; it != era.events.end(); ++it) {
    if (InRange(it->kv.key, begin, end)) told.events.push_back(*it);
  }
  return told;
}

void ScriptedStore::AwaitChange(int64_t revision, size_t era, milliseconds limit) const {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, limit,
                    [&] { return eras_.back().revision != revision || eras_.size() - 1 != era; });
}

int64_t ScriptedStore::Put(const std::string& key, const std::string& value, int64_t lease) {
  return PutAll({{key, value}}, lease);
}

int64_t ScriptedStore::PutAll(const std::map<std::string, std::string>& kvs, int64_t lease) {
  std::lock_guard lock(mutex_);
  // A lease of somebody else's never ends by itself.
  if (lease != 0) leases_.try_emplace(lease, Lease{seconds(60), kNever});
  const int64_t next = NextLocked();
  for (const auto& [key, value] : kvs) PutLocked(key, value, lease, next);
  Changed();
  return eras_.back().revision;
}

int64_t ScriptedStore::DeleteAll(const std::set<std::string>& keys) {
  std::lock_guard lock(mutex_);
  const int64_t next = NextLocked();
  for (const std::string& key : keys) DeleteLocked(key, next);
  Changed();
  return eras_.back().revision;
}

void ScriptedStore::Compact(int64_t revision) {
  std::lock_guard lock(mutex_);
  compacted_ = std::max(compacted_, std::min(revision, eras_.back().revision));
  Changed();
}

ScriptedStore::Backup ScriptedStore::TakeBackup() const {
  std::lock_guard lock(mutex_);
  Backup backup{eras_.back(), kvs_, {}};
  for (const auto& [id, lease] : leases_) backup.leases[id] = lease.ttl;
  return backup;
}

void ScriptedStore::Restore(const Backup& backup) {
  std::lock_guard lock(mutex_);
  eras_.push_back(backup.era);
  // A restored cluster begins at the first term again, its leases with their whole time.
  eras_.back().raft_term = 1;
  kvs_ = backup.kvs;
  leases_.clear();
  for (const auto& [id, ttl] : backup.leases) leases_[id] = {ttl, clock_.Now() + ttl};
  compacted_ = 0;
  Changed();
}

void ScriptedStore::ReplaceCluster() {
  std::lock_guard lock(mutex_);
  const uint64_t id = eras_.back().cluster_id + 1;
  eras_.push_back({.cluster_id = id, .raft_term = 2, .revision = 1, .events = {}});
  kvs_.clear();
  leases_.clear();
  compacted_ = 0;
  Changed();
}

int64_t ScriptedStore::revision() const {
  std::lock_guard lock(mutex_);
  return eras_.back().revision;
}

uint64_t ScriptedStore::cluster_id() const {
  std::lock_guard lock(mutex_);
  return eras_.back().cluster_id;
}

std::vector<ScriptedStore::Era> ScriptedStore::Eras() const {
  std::lock_guard lock(mutex_);
  return eras_;
}

size_t ScriptedStore::era() const {
  std::lock_guard lock(mutex_);
  return eras_.size() - 1;
}

ScriptedStore::Kvs ScriptedStore::All() const {
  std::lock_guard lock(mutex_);
  return kvs_;
}

std::optional<KeyValue> ScriptedStore::Get(const std::string& key) const {
  std::lock_guard lock(mutex_);
  const auto it = kvs_.find(key);
  return it == kvs_.end() ? std::nullopt : std::optional(it->second);
}

bool ScriptedStore::LeaseLives(int64_t lease) const {
  std::lock_guard lock(mutex_);
  return leases_.contains(lease);
}

std::set<int64_t> ScriptedStore::Leases() const {
  std::lock_guard lock(mutex_);
  std::set<int64_t> ids;
  for (const auto& [id, lease] : leases_) ids.insert(id);
  return ids;
}

void ScriptedStore::PutLocked(const std::string& key, const std::string& value, int64_t lease,
                              int64_t revision) {
  KeyValue& kv = kvs_[key];
  kv.key = key;
  kv.value = value;
  if (kv.version == 0) kv.create_revision = revision;
  ++kv.version;
  kv.mod_revision = revision;
  kv.lease = lease;
  eras_.back().revision = revision;
  eras_.back().events.push_back({WatchEvent::Kind::kPut, kv});
}

bool ScriptedStore::DeleteLocked(const std::string& key, int64_t revision) {
  if (kvs_.erase(key) == 0) return false;
  eras_.back().revision = revision;
  WatchEvent event;
  event.kind = WatchEvent::Kind::kDelete;
  event.kv.key = key;
  event.kv.mod_revision = revision;
  eras_.back().events.push_back(std::move(event));
  return true;
}

void ScriptedStore::EndLocked(int64_t lease) {
  leases_.erase(lease);
  const int64_t next = NextLocked();
  std::vector<std::string> keys;
  for (const auto& [key, kv] : kvs_) {
    if (kv.lease == lease) keys.push_back(key);
  }
  for (const std::string& key : keys) DeleteLocked(key, next);
  Changed();
}

}  // namespace rosterd::testing
