// SPDX-License-Identifier: Apache-2.0
#include "support/fake_etcd.h"

#include <algorithm>
#include <utility>

namespace rosterd::testing {
namespace {

using etcd::Error;
using etcd::ErrorClass;
using etcd::GuardedWrite;
using etcd::KeyValue;
using etcd::WatchEvent;

Error Refusal(int code, const std::string& text) {
  return Error{etcd::Classify(code, text), code, text, "fake", 0};
}

int CodeOf(ErrorClass error_class) {
  switch (error_class) {
    case ErrorClass::kUnavailable:
      return 14;
    case ErrorClass::kTimeout:
      return 4;
    case ErrorClass::kCancelled:
      return 1;
    case ErrorClass::kLeaseNotFound:
      return 5;
    case ErrorClass::kLeaseExists:
      return 9;
    case ErrorClass::kCompacted:
    case ErrorClass::kFutureRevision:
      return 11;
    case ErrorClass::kNoSpace:
    case ErrorClass::kOverloaded:
      return 8;
    case ErrorClass::kUnauthenticated:
      return 16;
    case ErrorClass::kDenied:
      return 7;
    case ErrorClass::kCorrupt:
      return 15;
    case ErrorClass::kInvalid:
      return 3;
  }
  return 2;
}

// As etcd checks a request before it looks at any key.
std::optional<Error> Malformed(const std::vector<GuardedWrite>& writes) {
  if (writes.size() > etcd::kMaxTxnOps) {
    return Refusal(3, "etcdserver: too many operations in txn request");
  }
  std::set<std::string> keys;
  for (const GuardedWrite& write : writes) {
    if (write.key.empty()) return Refusal(3, "etcdserver: key is not provided");
    if (!keys.insert(write.key).second) {
      return Refusal(3, "etcdserver: duplicate key given in txn request");
    }
  }
  return std::nullopt;
}

}  // namespace

Error MakeError(ErrorClass error_class, std::string text) {
  return Error{error_class, CodeOf(error_class), std::move(text), "fake", 0};
}

etcd::Result<etcd::GrantAnswer> FakeEtcd::Grant(int64_t lease, seconds ttl, milliseconds timeout) {
  std::lock_guard lock(mutex_);
  if (auto error =
          Begin({.kind = EtcdCall::kGrant, .lease = lease, .ttl = ttl, .timeout = timeout})) {
    return *error;
  }
  if (leases_.contains(lease)) return Refusal(9, "etcdserver: lease already exists");
  const seconds given = std::max(ttl, kMinTtl);
  leases_[lease] = Lease{given, clock_.Now() + given, {}};
  if (auto error = LoseAnswer(EtcdCall::kGrant)) return *error;
  return etcd::GrantAnswer{MakeHeader(), lease, given};
}

etcd::Result<etcd::KeepAliveAnswer> FakeEtcd::KeepAlive(int64_t lease, milliseconds timeout) {
  std::lock_guard lock(mutex_);
  if (auto error = Begin({.kind = EtcdCall::kKeepAlive, .lease = lease, .timeout = timeout})) {
    return *error;
  }
  const auto it = leases_.find(lease);
  if (it != leases_.end() && it->second.ends != kNever) {
    it->second.ends = clock_.Now() + it->second.ttl;
  }
  if (auto error = LoseAnswer(EtcdCall::kKeepAlive)) return *error;
  return etcd::KeepAliveAnswer{MakeHeader(), it == leases_.end() ? seconds(0) : it->second.ttl};
}

etcd::Result<etcd::Header> FakeEtcd::Revoke(int64_t lease, milliseconds timeout) {
  std::lock_guard lock(mutex_);
  if (auto error = Begin({.kind = EtcdCall::kRevoke, .lease = lease, .timeout = timeout})) {
    return *error;
  }
  if (!leases_.contains(lease)) return Refusal(5, "etcdserver: requested lease not found");
  RevokeLocked(lease);
  if (auto error = LoseAnswer(EtcdCall::kRevoke)) return *error;
  return MakeHeader();
}

etcd::Result<etcd::WriteBatchAnswer> FakeEtcd::Write(const std::vector<GuardedWrite>& writes,
                                                     milliseconds timeout) {
  std::lock_guard lock(mutex_);
  if (auto error = Begin({.kind = EtcdCall::kWrite, .writes = writes, .timeout = timeout})) {
    return *error;
  }
  if (auto error = Malformed(writes)) return *error;
  etcd::WriteBatchAnswer answer;
  for (const GuardedWrite& write : writes) {
    const auto it = kvs_.find(write.key);
    const int64_t found = it == kvs_.end() ? 0 : it->second.mod_revision;
    const bool done = found == write.expected_mod_revision;
    if (done && write.kind == GuardedWrite::Kind::kPut && write.lease != 0 &&
        !leases_.contains(write.lease)) {
      return Refusal(5, "etcdserver: requested lease not found");  // and nothing was written
    }
    answer.answers.push_back({done, std::nullopt});
    if (!done && it != kvs_.end()) answer.answers.back().current = it->second;
  }
  const int64_t next = revision_ + 1;
  bool changed = false;
  for (size_t i = 0; i < writes.size(); ++i) {
    if (!answer.answers[i].done) continue;
    if (writes[i].kind == GuardedWrite::Kind::kDelete) {
      changed |= DeleteLocked(writes[i].key, next);
    } else {
      PutLocked(writes[i].key, writes[i].value, writes[i].lease, next);
      changed = true;
    }
  }
  if (changed) revision_ = next;
  changed_.notify_all();
  if (auto error = LoseAnswer(EtcdCall::kWrite)) return *error;
  answer.header = MakeHeader();
  return answer;
}

etcd::Result<etcd::ListAnswer> FakeEtcd::List(const std::string& prefix, milliseconds timeout) {
  std::lock_guard lock(mutex_);
  if (auto error = Begin({.kind = EtcdCall::kList, .prefix = prefix, .timeout = timeout})) {
    return *error;
  }
  etcd::ListAnswer answer{MakeHeader(), {}};
  for (auto it = kvs_.lower_bound(prefix); it != kvs_.end() && it->first.starts_with(prefix);
       ++it) {
    answer.kvs.push_back(it->second);
  }
  if (auto error = LoseAnswer(EtcdCall::kList)) return *error;
  return answer;
}

etcd::Result<std::optional<etcd::KeyValue>> FakeEtcd::ReadAt(const std::string& key,
                                                             int64_t revision,
                                                             milliseconds timeout) {
  std::lock_guard lock(mutex_);
  if (auto error = Begin({.kind = EtcdCall::kRead, .prefix = key, .timeout = timeout})) {
    return *error;
  }
  if (revision < compacted_) {
    return Refusal(11, "etcdserver: mvcc: required revision has been compacted");
  }
  std::optional<etcd::KeyValue> found;
  for (const Past& past : history_) {
    if (past.revision > revision || past.event.kv.key != key) continue;
    found.reset();
    if (past.event.kind == etcd::WatchEvent::Kind::kPut) found = past.event.kv;
  }
  if (revision > revision_) found.reset();
  if (auto error = LoseAnswer(EtcdCall::kRead)) return *error;
  return found;
}

etcd::Result<etcd::Header> FakeEtcd::Ping(milliseconds timeout) {
  std::lock_guard lock(mutex_);
  if (auto error = Begin({.kind = EtcdCall::kPing, .timeout = timeout})) return *error;
  if (auto error = LoseAnswer(EtcdCall::kPing)) return *error;
  return MakeHeader();
}

Error FakeEtcd::Watch(const std::string& prefix, int64_t start_revision, milliseconds open_timeout,
                      std::stop_token stop,
                      const std::function<bool(const etcd::WatchBatch&)>& on_batch) {
  std::unique_lock lock(mutex_);
  if (auto error = Begin({.kind = EtcdCall::kWatch,
                          .prefix = prefix,
                          .start_revision = start_revision,
                          .timeout = open_timeout})) {
    return *error;
  }
  const uint64_t id = next_watch_++;
  OpenWatch& watch = watches_[id];
  watch.next_revision = start_revision;
  watch.progress_seen = progress_count_;
  const uint64_t breaks = break_count_;
  std::optional<Error> end;
  const auto deliver = [&](const etcd::WatchBatch& batch) {
    watch.in_callback = true;
    lock.unlock();
    const bool go_on = on_batch(batch);
    lock.lock();
    watch.in_callback = false;
    if (!go_on) end = MakeError(ErrorClass::kCancelled, "ended by its owner");
    changed_.notify_all();
  };
  const auto ended = [&] { return stop.stop_requested() || break_count_ != breaks; };

  deliver({MakeHeader(), true, {}});
  while (!end && !ended()) {
    if (watch.next_revision < compacted_) {
      end = Refusal(11, "etcdserver: mvcc: required revision has been compacted");
      end->compact_revision = compacted_;
      break;
    }
    etcd::WatchBatch batch{MakeHeader(), false, {}};
    for (const Past& past : history_) {
      if (past.revision >= watch.next_revision && past.event.kv.key.starts_with(prefix)) {
        batch.events.push_back(past.event);
      }
    }
    watch.next_revision = std::max(watch.next_revision, revision_ + 1);
    if (!batch.events.empty() || watch.progress_seen != progress_count_) {
      watch.progress_seen = progress_count_;
      deliver(batch);
      continue;
    }
    changed_.notify_all();
    changed_.wait(lock, stop, [&] {
      return ended() || revision_ >= watch.next_revision || watch.progress_seen != progress_count_;
    });
  }
  if (!end) {
    end = stop.stop_requested() ? MakeError(ErrorClass::kCancelled, "ended by its owner")
                                : break_error_;
  }
  watches_.erase(id);
  changed_.notify_all();
  return *end;
}

std::optional<Error> FakeEtcd::Begin(RecordedCall call) {
  ExpireLocked();
  call.at = clock_.Now();
  const EtcdCall kind = call.kind;
  calls_.push_back(std::move(call));
  Failures& failures = failures_[kind];
  if (!failures.next.empty()) {
    Error error = std::move(failures.next.front());
    failures.next.pop_front();
    return error;
  }
  return failures.all;
}

std::optional<Error> FakeEtcd::LoseAnswer(EtcdCall kind) {
  std::deque<Error>& errors = failures_[kind].after_effect;
  if (errors.empty()) return std::nullopt;
  Error error = std::move(errors.front());
  errors.pop_front();
  return error;
}

etcd::Header FakeEtcd::MakeHeader() const { return {cluster_id_, 1, revision_, 2}; }

void FakeEtcd::ExpireLocked() {
  const TimePoint now = clock_.Now();
  std::vector<std::pair<TimePoint, int64_t>> over;
  for (const auto& [id, lease] : leases_) {
    if (lease.ends <= now) over.emplace_back(lease.ends, id);
  }
  std::sort(over.begin(), over.end());
  for (const auto& [ends, id] : over) RevokeLocked(id);
}

int64_t FakeEtcd::RevokeLocked(int64_t lease) {
  const auto it = leases_.find(lease);
  if (it == leases_.end()) return revision_;
  const std::set<std::string> keys = it->second.keys;
  for (const std::string& key : keys) DeleteLocked(key, revision_ + 1);
  if (!keys.empty()) ++revision_;
  leases_.erase(it);
  changed_.notify_all();
  return revision_;
}

void FakeEtcd::PutLocked(const std::string& key, const std::string& value, int64_t lease,
                         int64_t revision) {
  KeyValue& kv = kvs_[key];
  Detach(kv);
  kv.key = key;
  kv.value = value;
  if (kv.create_revision == 0) kv.create_revision = revision;
  kv.mod_revision = revision;
  ++kv.version;
  kv.lease = lease;
  if (lease != 0) leases_[lease].keys.insert(key);
  history_.push_back({revision, {WatchEvent::Kind::kPut, kv}});
}

bool FakeEtcd::DeleteLocked(const std::string& key, int64_t revision) {
  const auto it = kvs_.find(key);
  if (it == kvs_.end()) return false;
  Detach(it->second);
  kvs_.erase(it);
  KeyValue gone;
  gone.key = key;
  gone.mod_revision = revision;
  history_.push_back({revision, {WatchEvent::Kind::kDelete, gone}});
  return true;
}

void FakeEtcd::Detach(const KeyValue& kv) {
  const auto it = leases_.find(kv.lease);
  if (it != leases_.end()) it->second.keys.erase(kv.key);
}

bool FakeEtcd::AllHandedOver() const {
  return std::all_of(watches_.begin(), watches_.end(), [&](const auto& entry) {
    return !entry.second.in_callback && entry.second.next_revision > revision_ &&
           entry.second.progress_seen == progress_count_;
  });
}

}  // namespace rosterd::testing
