// SPDX-License-Identifier: Apache-2.0
// Session: the agent's one connection to etcd. It picks an endpoint, asks it for a sign of life
// when nothing else was answered, and gives it up as a whole when any call finds it bad. Its Step
// runs on the session thread; its calls run on their callers' threads and never wait for a
// connection.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/latest.h"
#include "base/log.h"
#include "base/metrics.h"
#include "etcd/cancellable_client.h"
#include "etcd/endpoint_rotation.h"
#include "etcd/session_metrics.h"
#include "model/etcd_snapshot.h"

namespace rosterd::etcd {

// Thread-safe, except that only one thread calls Step().
class Session final : public Client {
 public:
  // Asked after this long without any other answer.
  static constexpr seconds kHeartbeat{2};
  // The first question to an endpoint, while others have not been asked yet.
  static constexpr milliseconds kProbeTimeout{1000};
  // last_answer alone is published at most this often.
  static constexpr milliseconds kPublishEvery{100};

  // A new client, so a new connection, for an endpoint.
  using Factory = std::function<std::shared_ptr<CancellableClient>(const std::string& endpoint)>;

  // `endpoints` is not empty; `clock`, `log` and `metrics` must outlive it.
  Session(std::vector<std::string> endpoints, Factory factory, const Clock& clock, Log& log,
          Metrics& metrics, Random random);
  ~Session() override;

  // Called when Step() is due earlier than it said; set before any call is made. Must be short and
  // not call back.
  void SetWake(std::function<void()> wake) { wake_ = std::move(wake); }
  // Makes at most one call to etcd (up to kCallTimeout).
  TimePoint Step(TimePoint now);
  // Cancels every call in flight; all later ones fail with kCancelled. Idempotent.
  void Stop();

  // Published on whichever thread noticed the change. Subscribers must not call the session.
  Latest<EtcdSnapshot>& state() { return state_; }

  // Without a connection: kUnavailable at once, with the reason. When the connection is given up
  // under a call: kUnavailable (the outcome of a write is unknown).
  Result<GrantAnswer> Grant(int64_t lease, seconds ttl, milliseconds timeout) override;
  Result<KeepAliveAnswer> KeepAlive(int64_t lease, milliseconds timeout) override;
  Result<Header> Revoke(int64_t lease, milliseconds timeout) override;
  Result<WriteBatchAnswer> Write(const std::vector<GuardedWrite>& writes,
                                 milliseconds timeout) override;
  Result<ListAnswer> List(const std::string& prefix, milliseconds timeout) override;
  Result<Header> Ping(milliseconds timeout) override;
  Error Watch(const std::string& prefix, int64_t start_revision, milliseconds open_timeout,
              std::stop_token stop,
              const std::function<bool(const WatchBatch&)>& on_batch) override;

 private:
  // One connection; a call holds it until it returns.
  struct Active {
    std::shared_ptr<CancellableClient> client;
    uint64_t generation = 0;
  };

  template <typename Answer, typename F>
  Result<Answer> Make(CallKind kind, F&& call);
  Result<Active> Acquire() const;
  void Answered(uint64_t generation);
  // What the caller learns of `error`; gives the connection up if that is what it calls for.
  Error Judge(uint64_t generation, Error error);
  void Fail(uint64_t generation, const Error& why);

  // Parts of Step.
  TimePoint Connect();
  TimePoint Heartbeat(TimePoint now, const Active& active);
  void AttemptFailed(const Error& why);

  void Publish();

  // Constant after construction (wake_: before the first call).
  const Factory factory_;
  const Clock& clock_;
  Log& log_;
  SessionMetrics metrics_;
  std::function<void()> wake_ = [] {};

  mutable std::mutex mutex_;
  // Guarded by mutex_.
  Random random_;
  EndpointRotation rotation_;
  std::shared_ptr<CancellableClient> client_;     // null: not connected
  std::shared_ptr<CancellableClient> candidate_;  // asked by Step, not connected yet
  TimePoint connected_at_{};
  TimePoint leave_alone_until_{};  // the member said that it is overloaded
  TimePoint lost_at_;              // or when it was made
  TimePoint published_at_{};
  EtcdSnapshot snapshot_;
  bool first_failure_logged_ = false;
  bool stopped_ = false;

  std::mutex publish_mutex_;  // taken before mutex_; keeps snapshots in order
  Latest<EtcdSnapshot> state_;
};

}  // namespace rosterd::etcd
