// SPDX-License-Identifier: Apache-2.0
// ScriptedEtcd: one member of a scripted cluster: a real gRPC server on a free loopback port that
// speaks etcd's protocol out of a ScriptedStore and, where a test says so, does what real etcd does
// rarely. gRPC's threads run its handlers.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "scripted_store.h"

namespace rosterd::testing {

enum class ScriptedCall { kRange, kRead, kPing, kTxn, kGrant, kKeepAlive, kRevoke, kWatch };
inline constexpr int kScriptedCalls = 8;

// A gRPC status, by its number.
struct ScriptedStatus {
  int code = 14;
  std::string text;
};

// What a member does with one call. The default: what etcd would.
struct Deed {
  milliseconds before{0};  // waits, then carries it out, whether the client waits or not
  std::optional<ScriptedStatus> refuse;  // is not carried out
  milliseconds after{0};                 // is carried out, then waits
  std::optional<ScriptedStatus> lose;    // is carried out, but answered like this
  bool revision_zero = false;            // no revision in the header
  bool ttl_zero = false;                 // kKeepAlive: says "gone" of a lease that lives

  // kWatch; all of them leave the stream open unless they say otherwise.
  enum class Watch {
    kHonest,
    kMute,                 // not even `created`
    kSilent,               // `created`, then nothing
    kCreatedAndCancelled,  // in one message, with `cancel_reason`
    kCancelledLater,       // after the first events or `after`, with `cancel_reason`
    kBehind,               // `created` with a revision below the start
    kDropped,              // after the first events or `after`: reset, no status
    kDroppedInside,        // the same, in the middle of a fragmented answer
  };
  Watch watch = Watch::kHonest;
  std::string cancel_reason;
  size_t fragment = 0;        // events per message; 0: all in one
  bool progress = false;      // tells its revision after every answer and twice a second
  bool repeats = false;       // sends the last events again, once (etcd #15271)
  bool header_ahead = false;  // header.revision of events beyond them
};

// Thread-safe.
class ScriptedEtcd {
 public:
  using Script = std::function<Deed(ScriptedCall call)>;
  struct Record {
    ScriptedCall call = ScriptedCall::kRange;
    TimePoint at{};
    int64_t start_revision = 0;  // kWatch
    size_t limit = 0;            // kRange
  };

  // `store` is shared by the members of one cluster. Throws std::runtime_error when it cannot
  // listen.
  ScriptedEtcd(std::shared_ptr<ScriptedStore> store, uint64_t member_id);
  ~ScriptedEtcd();
  ScriptedEtcd(const ScriptedEtcd&) = delete;
  ScriptedEtcd& operator=(const ScriptedEtcd&) = delete;

  std::string endpoint() const;
  ScriptedStore& store() { return *store_; }

  // The next call of that kind; oldest first. Goes before the script.
  void Next(ScriptedCall call, Deed deed);
  // Every other call from now on; null: what etcd would. Called under a lock.
  void SetScript(Script script);
  // Resets every open watch without a status.
  void DropWatches();

  std::vector<Record> Calls() const;
  size_t Count(ScriptedCall call) const;
  size_t OpenWatches() const;  // that said `created` and are open
  size_t Delayed() const;      // calls that a deed holds up at this moment

 private:
  struct Impl;
  const std::shared_ptr<ScriptedStore> store_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace rosterd::testing
