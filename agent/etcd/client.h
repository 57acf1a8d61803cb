// SPDX-License-Identifier: Apache-2.0
// etcd::Client: the calls the agent makes, in values of our own. Implemented by GrpcClient (one
// endpoint), by Session (the active one of several) and by the tests' fake; one contract suite runs
// against the fake and against real etcd (tests/support/etcd_contract.h).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "etcd/error.h"

namespace rosterd::etcd {

// The longest a single call may take; every Step of a worker makes at most one.
inline constexpr milliseconds kCallTimeout{1500};
// etcd refuses more operations in one transaction (--max-txn-ops).
inline constexpr size_t kMaxTxnOps = 100;

// A value or the error that took its place.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : content_(std::move(value)) {}      // NOLINT: implicit on purpose
  Result(Error error) : content_(std::move(error)) {}  // NOLINT: implicit on purpose

  bool ok() const { return content_.index() == 0; }
  const Error& error() const { return std::get<1>(content_); }
  T& operator*() { return std::get<0>(content_); }
  const T& operator*() const { return std::get<0>(content_); }
  T* operator->() { return &std::get<0>(content_); }
  const T* operator->() const { return &std::get<0>(content_); }

 private:
  std::variant<T, Error> content_;
};

struct Header {
  uint64_t cluster_id = 0;
  uint64_t member_id = 0;
  int64_t revision = 0;
  uint64_t raft_term = 0;
};

struct KeyValue {
  std::string key;
  std::string value;
  int64_t create_revision = 0;
  int64_t mod_revision = 0;
  int64_t version = 0;
  int64_t lease = 0;
};

struct GrantAnswer {
  Header header;
  int64_t lease = 0;
  seconds ttl{0};  // what the server gave; at least 1.5 of its election time-outs
};

struct KeepAliveAnswer {
  Header header;
  seconds ttl{0};  // <= 0: the lease is gone
};

// One write with a guard of its own: a key that changed meanwhile costs only this one.
struct GuardedWrite {
  enum class Kind { kPut, kDelete };
  Kind kind = Kind::kPut;
  std::string key;
  std::string value;  // kPut
  int64_t lease = 0;  // kPut
  // The write happens only if the key's mod_revision is this; 0: only if there is no such key.
  int64_t expected_mod_revision = 0;
};

struct WriteAnswer {
  bool done = false;
  // !done: what stands there instead; empty: no such key.
  std::optional<KeyValue> current;
};

struct WriteBatchAnswer {
  Header header;                     // revision: that of the writes, if any was done
  std::vector<WriteAnswer> answers;  // one per write, in order
};

struct ListAnswer {
  Header header;              // of the first page: all pages are read at its revision
  std::vector<KeyValue> kvs;  // sorted by key
};

struct WatchEvent {
  enum class Kind { kPut, kDelete };
  Kind kind = Kind::kPut;
  KeyValue kv;  // kDelete: only key and mod_revision are set
};

// One whole answer of the watch: fragments are joined before anyone sees them.
struct WatchBatch {
  Header header;
  bool created = false;  // the first one; header.revision is where the server stands
  std::vector<WatchEvent> events;
};

// Thread-safe: several threads may call at once. Every call ends within its deadline, with an Error
// of class kCancelled when its owner cancels it.
class Client {
 public:
  virtual ~Client() = default;

  // `lease` > 0, chosen by the caller, so that a repeated Grant is harmless: kLeaseExists means
  // that an earlier one got through.
  virtual Result<GrantAnswer> Grant(int64_t lease, seconds ttl, milliseconds timeout) = 0;
  // One short stream per renewal, so that a stuck stream cannot hide.
  virtual Result<KeepAliveAnswer> KeepAlive(int64_t lease, milliseconds timeout) = 0;
  // kLeaseNotFound when it was gone already.
  virtual Result<Header> Revoke(int64_t lease, milliseconds timeout) = 0;
  // One transaction of at most kMaxTxnOps nested ones, each with its own guard. Several writes to
  // one key in one batch are refused by etcd (kInvalid).
  virtual Result<WriteBatchAnswer> Write(const std::vector<GuardedWrite>& writes,
                                         milliseconds timeout) = 0;
  // Everything under `prefix` at one revision, linearizable; `timeout` is per page.
  virtual Result<ListAnswer> List(const std::string& prefix, milliseconds timeout) = 0;
  // What stood under `key` at `revision`, linearizable; empty: nothing, or this history does not
  // reach that revision. kCompacted when it is not known any more.
  virtual Result<std::optional<KeyValue>> ReadAt(const std::string& key, int64_t revision,
                                                 milliseconds timeout) = 0;
  // A linearizable read of one key that need not exist: proof that the member speaks for the
  // cluster.
  virtual Result<Header> Ping(milliseconds timeout) = 0;

  // Watches `prefix` from `start_revision` (> 0) and hands every batch to `on_batch`, in order, on
  // the calling thread, until that returns false, `stop` is requested or the watch breaks. Returns
  // why it ended: kCancelled for the first two, kCompacted with Error::compact_revision, or what
  // broke it. No answer to the creation within `open_timeout` is kTimeout, and so is a silence in
  // which the server does not even answer when it is asked for its progress.
  virtual Error Watch(const std::string& prefix, int64_t start_revision, milliseconds open_timeout,
                      std::stop_token stop,
                      const std::function<bool(const WatchBatch&)>& on_batch) = 0;
};

}  // namespace rosterd::etcd
