// SPDX-License-Identifier: Apache-2.0
// FakeEtcd: etcd in memory, for tests with made-up time. It counts revisions, guards writes, keeps
// history and ends leases as etcd does, and passes the same contract suite (etcd_contract.h). Tests
// make it fail, compact it, write into it as somebody else, and read what was asked of it.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "etcd/client.h"
#include "support/fake_clock.h"

namespace rosterd::testing {

enum class EtcdCall { kGrant, kKeepAlive, kRevoke, kWrite, kList, kRead, kPing, kWatch };

// What a caller asked for; fields that a kind of call does not have are left empty.
struct RecordedCall {
  EtcdCall kind = EtcdCall::kPing;
  TimePoint at{};
  int64_t lease = 0;
  seconds ttl{0};
  std::vector<etcd::GuardedWrite> writes{};
  std::string prefix{};
  int64_t start_revision = 0;
  milliseconds timeout{0};
};

// An error as GrpcClient would report it, for FailNext and the like.
etcd::Error MakeError(etcd::ErrorClass error_class, std::string text = "made up by the test");

// Thread-safe.
class FakeEtcd final : public etcd::Client {
 public:
  // The shortest lease a server gives (1.5 election time-outs, rounded up).
  static constexpr seconds kMinTtl{2};

  // `clock` must outlive it. Revision 1, as an empty etcd.
  explicit FakeEtcd(FakeClock& clock) : clock_(clock) {}

  etcd::Result<etcd::GrantAnswer> Grant(int64_t lease, seconds ttl, milliseconds timeout) override;
  etcd::Result<etcd::KeepAliveAnswer> KeepAlive(int64_t lease, milliseconds timeout) override;
  etcd::Result<etcd::Header> Revoke(int64_t lease, milliseconds timeout) override;
  etcd::Result<etcd::WriteBatchAnswer> Write(const std::vector<etcd::GuardedWrite>& writes,
                                             milliseconds timeout) override;
  etcd::Result<etcd::ListAnswer> List(const std::string& prefix, milliseconds timeout) override;
  etcd::Result<std::optional<etcd::KeyValue>> ReadAt(const std::string& key, int64_t revision,
                                                     milliseconds timeout) override;
  etcd::Result<etcd::Header> Ping(milliseconds timeout) override;
  // The first batch has `created`; then all events there are since `start_revision` in one batch,
  // then one batch whenever something new is there. `open_timeout` never passes.
  etcd::Error Watch(const std::string& prefix, int64_t start_revision, milliseconds open_timeout,
                    std::stop_token stop,
                    const std::function<bool(const etcd::WatchBatch&)>& on_batch) override;

  // --- Time. Every call above first ends the leases that are over by the clock.
  void Advance(Duration d);  // moves the clock and ends what is over
  void ExpireLeases();       // for a test that moved the clock itself

  // --- Failures. An error of FailNext is used up by one call, oldest first, and goes before one of
  // FailAll; nothing happens in etcd.
  void FailNext(EtcdCall kind, etcd::Error error);
  void FailAll(EtcdCall kind, std::optional<etcd::Error> error);  // nullopt: works again
  void FailAll(std::optional<etcd::Error> error);                 // every kind
  // The call takes effect, its answer is lost (not for kWatch).
  void FailNextAfterEffect(EtcdCall kind, etcd::Error error);
  // Ends every open watch with `error`.
  void BreakWatches(etcd::Error error);

  // --- Somebody else's doing; each returns the revision after it.
  // A lease that does not exist yet is made, and never ends by itself.
  int64_t Put(const std::string& key, const std::string& value, int64_t lease = 0);
  int64_t Delete(const std::string& key);
  // All of it in one revision.
  int64_t PutAll(const std::map<std::string, std::string>& kvs, int64_t lease = 0);
  int64_t RevokeLease(int64_t lease);
  // A watch from below `revision` is answered kCompacted from now on.
  void Compact(int64_t revision);
  // An empty batch with the current revision to every open watch.
  void NotifyProgress();
  // Another cluster takes its place: no key, no lease, revision 1, watches broken.
  void ReplaceCluster();

  // --- What is there and what was asked.
  int64_t revision() const;
  std::optional<etcd::KeyValue> Get(const std::string& key) const;
  std::map<std::string, std::string> Values(const std::string& prefix = "") const;
  bool LeaseExists(int64_t lease) const;
  std::set<std::string> LeaseKeys(int64_t lease) const;
  std::vector<RecordedCall> Calls(EtcdCall kind) const;  // oldest first, failed ones too
  size_t CallCount(EtcdCall kind) const;
  size_t CallCount() const;
  void ForgetCalls();
  size_t OpenWatches() const;
  // Waits (at most 5 s of real time) until at least `count` watches are open and have handed over
  // everything there is; false if it takes longer.
  bool WaitForWatches(size_t count);

 private:
  struct Lease {
    seconds ttl{0};
    TimePoint ends = kNever;
    std::set<std::string> keys;
  };
  struct Past {
    int64_t revision = 0;
    etcd::WatchEvent event;
  };
  struct OpenWatch {
    int64_t next_revision = 0;  // everything below has been handed over
    bool in_callback = false;
    uint64_t progress_seen = 0;
  };
  struct Failures {
    std::deque<etcd::Error> next;
    std::deque<etcd::Error> after_effect;
    std::optional<etcd::Error> all;
  };

  // All of these want mutex_.
  std::optional<etcd::Error> Begin(RecordedCall call);
  std::optional<etcd::Error> LoseAnswer(EtcdCall kind);
  etcd::Header MakeHeader() const;
  void ExpireLocked();
  int64_t RevokeLocked(int64_t lease);
  void PutLocked(const std::string& key, const std::string& value, int64_t lease, int64_t revision);
  bool DeleteLocked(const std::string& key, int64_t revision);
  void Detach(const etcd::KeyValue& kv);
  bool AllHandedOver() const;

  FakeClock& clock_;
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  // Guarded by mutex_.
  uint64_t cluster_id_ = 0xfa4e;
  int64_t revision_ = 1;
  int64_t compacted_ = 0;
  std::map<std::string, etcd::KeyValue> kvs_;
  std::map<int64_t, Lease> leases_;
  std::vector<Past> history_;
  std::map<EtcdCall, Failures> failures_;
  std::vector<RecordedCall> calls_;
  std::map<uint64_t, OpenWatch> watches_;
  uint64_t next_watch_ = 1;
  uint64_t break_count_ = 0;
  etcd::Error break_error_;
  uint64_t progress_count_ = 0;
};

}  // namespace rosterd::testing
