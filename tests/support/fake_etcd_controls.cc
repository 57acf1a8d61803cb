// SPDX-License-Identifier: Apache-2.0
// FakeEtcd's side towards the test: time, failures, what others do, what was asked.
#include <algorithm>
#include <stdexcept>
#include <utility>

#include "support/fake_etcd.h"

namespace rosterd::testing {

using etcd::Error;
using etcd::ErrorClass;
using etcd::KeyValue;

void FakeEtcd::Advance(Duration d) {
  clock_.Advance(d);
  ExpireLeases();
}

void FakeEtcd::ExpireLeases() {
  std::lock_guard lock(mutex_);
  ExpireLocked();
}

void FakeEtcd::FailNext(EtcdCall kind, Error error) {
  std::lock_guard lock(mutex_);
  failures_[kind].next.push_back(std::move(error));
}

void FakeEtcd::FailAll(EtcdCall kind, std::optional<Error> error) {
  std::lock_guard lock(mutex_);
  failures_[kind].all = std::move(error);
}

void FakeEtcd::FailAll(std::optional<Error> error) {
  for (const EtcdCall kind :
       {EtcdCall::kGrant, EtcdCall::kKeepAlive, EtcdCall::kRevoke, EtcdCall::kWrite,
        EtcdCall::kList, EtcdCall::kRead, EtcdCall::kPing, EtcdCall::kWatch}) {
    FailAll(kind, error);
  }
}

void FakeEtcd::FailNextAfterEffect(EtcdCall kind, Error error) {
  std::lock_guard lock(mutex_);
  failures_[kind].after_effect.push_back(std::move(error));
}

void FakeEtcd::BreakWatches(Error error) {
  std::lock_guard lock(mutex_);
  ++break_count_;
  break_error_ = std::move(error);
  changed_.notify_all();
}

int64_t FakeEtcd::Put(const std::string& key, const std::string& value, int64_t lease) {
  return PutAll({{key, value}}, lease);
}

int64_t FakeEtcd::PutAll(const std::map<std::string, std::string>& kvs, int64_t lease) {
  std::lock_guard lock(mutex_);
  if (kvs.empty()) return revision_;
  if (lease != 0) leases_.try_emplace(lease, Lease{seconds(3600), kNever, {}});
  for (const auto& [key, value] : kvs) PutLocked(key, value, lease, revision_ + 1);
  ++revision_;
  changed_.notify_all();
  return revision_;
}

int64_t FakeEtcd::Delete(const std::string& key) {
  std::lock_guard lock(mutex_);
  if (DeleteLocked(key, revision_ + 1)) ++revision_;
  changed_.notify_all();
  return revision_;
}

int64_t FakeEtcd::RevokeLease(int64_t lease) {
  std::lock_guard lock(mutex_);
  return RevokeLocked(lease);
}

void FakeEtcd::Compact(int64_t revision) {
  std::lock_guard lock(mutex_);
  if (revision > revision_) throw std::invalid_argument("compacting a future revision");
  compacted_ = std::max(compacted_, revision);
  std::erase_if(history_, [&](const Past& past) { return past.revision < compacted_; });
}

void FakeEtcd::NotifyProgress() {
  std::lock_guard lock(mutex_);
  ++progress_count_;
  changed_.notify_all();
}

void FakeEtcd::ReplaceCluster() {
  std::lock_guard lock(mutex_);
  ++cluster_id_;
  revision_ = 1;
  compacted_ = 0;
  kvs_.clear();
  leases_.clear();
  history_.clear();
  ++break_count_;
  break_error_ = MakeError(ErrorClass::kUnavailable, "the cluster was replaced");
  changed_.notify_all();
}

int64_t FakeEtcd::revision() const {
  std::lock_guard lock(mutex_);
  return revision_;
}

std::optional<KeyValue> FakeEtcd::Get(const std::string& key) const {
  std::lock_guard lock(mutex_);
  const auto it = kvs_.find(key);
  if (it == kvs_.end()) return std::nullopt;
  return it->second;
}

std::map<std::string, std::string> FakeEtcd::Values(const std::string& prefix) const {
  std::lock_guard lock(mutex_);
  std::map<std::string, std::string> values;
  for (const auto& [key, kv] : kvs_) {
    if (key.starts_with(prefix)) values[key] = kv.value;
  }
  return values;
}

bool FakeEtcd::LeaseExists(int64_t lease) const {
  std::lock_guard lock(mutex_);
  return leases_.contains(lease);
}

std::set<std::string> FakeEtcd::LeaseKeys(int64_t lease) const {
  std::lock_guard lock(mutex_);
  const auto it = leases_.find(lease);
  return it == leases_.end() ? std::set<std::string>{} : it->second.keys;
}

std::vector<RecordedCall> FakeEtcd::Calls(EtcdCall kind) const {
  std::lock_guard lock(mutex_);
  std::vector<RecordedCall> calls;
  for (const RecordedCall& call : calls_) {
    if (call.kind == kind) calls.push_back(call);
  }
  return calls;
}

size_t FakeEtcd::CallCount(EtcdCall kind) const { return Calls(kind).size(); }

size_t FakeEtcd::CallCount() const {
  std::lock_guard lock(mutex_);
  return calls_.size();
}

void FakeEtcd::ForgetCalls() {
  std::lock_guard lock(mutex_);
  calls_.clear();
}

size_t FakeEtcd::OpenWatches() const {
  std::lock_guard lock(mutex_);
  return watches_.size();
}

bool FakeEtcd::WaitForWatches(size_t count) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, seconds(5),
                           [&] { return watches_.size() >= count && AllHandedOver(); });
}

}  // namespace rosterd::testing
