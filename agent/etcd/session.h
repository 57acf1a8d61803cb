// SPDX-License-Identifier: Apache-2.0
// Session: the agent's one connection to etcd. It picks an endpoint, asks it for a sign of life
// when nothing else was answered, and gives it up as a whole when any call finds it bad. Its Step
// runs on the session thread; its calls run on their callers' threads and never wait for a
// connection. A member that refuses this agent is no bad connection: what etcd does not refuse, the
// renewal of leases above all, goes on over it.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/latest.h"
#include "base/log.h"
#include "base/metrics.h"
#include "etcd/auth_schedule.h"
#include "etcd/cancellable_client.h"
#include "etcd/credentials.h"
#include "etcd/endpoint_rotation.h"
#include "etcd/session_metrics.h"
#include "model/etcd_snapshot.h"

namespace rosterd::etcd {

// Thread-safe, except that only one thread calls Step().
class Session final : public Client {
 public:
  // Asked after this long without any other answer.
  static constexpr seconds kHeartbeat{2};
  // And this long after the last call that etcd checks permissions for: it renews leases and goes
  // on with watches for anyone.
  static constexpr seconds kCheckAccess{10};
  // The first question to an endpoint, while others have not been asked yet.
  static constexpr milliseconds kProbeTimeout{1000};
  // last_answer alone is published at most this often.
  static constexpr milliseconds kPublishEvery{100};
  // etcd lets passwords queue (bcrypt): the time for the next attempt when one got no answer.
  static constexpr milliseconds kAuthTimeout{5000};
  // The refusal of one kind of call is told this long after it was heard last.
  static constexpr seconds kRefusalLasts{60};
  // How often the credentials are looked at, and over how long a fleet spreads new connections.
  static constexpr seconds kLookAtCredentials{2};
  static constexpr seconds kReplaceSpread{2};

  // A new client, so a new connection, for an endpoint.
  using Factory = std::function<std::shared_ptr<CancellableClient>(const std::string& endpoint)>;

  // `endpoints` is not empty; `clock`, `log` and `metrics` must outlive it. No credentials: no
  // user, and certificates that never change.
  Session(std::vector<std::string> endpoints, Factory factory, const Clock& clock, Log& log,
          Metrics& metrics, Random random, std::shared_ptr<Credentials> credentials = nullptr);
  ~Session() override;

  // Called when Step() is due earlier than it said; set before any call is made. Must be short and
  // not call back.
  void SetWake(std::function<void()> wake) { wake_ = std::move(wake); }
  // Makes at most one call to etcd (up to kCallTimeout; up to kAuthTimeout for a token).
  TimePoint Step(TimePoint now);
  // Cancels every call in flight; all later ones fail with kCancelled. Idempotent.
  void Stop();

  // Published on whichever thread noticed the change. Subscribers must not call the session.
  Latest<EtcdSnapshot>& state() { return state_; }

  // Without a connection: kUnavailable at once, with the reason. When the connection is given up
  // under a call: kUnavailable (the outcome of a write is unknown).
  Result<GrantAnswer> Grant(int64_t lease, seconds ttl, milliseconds timeout) override;
  Result<KeepAliveAnswer> KeepAlive(int64_t lease, milliseconds timeout) override;
  // Waits for a new token within `timeout` when etcd wants one: nobody repeats this call.
  Result<Header> Revoke(int64_t lease, milliseconds timeout) override;
  Result<WriteBatchAnswer> Write(const std::vector<GuardedWrite>& writes,
                                 milliseconds timeout) override;
  Result<ListAnswer> List(const std::string& prefix, milliseconds timeout) override;
  Result<std::optional<KeyValue>> ReadAt(const std::string& key, int64_t revision,
                                         milliseconds timeout) override;
  Result<Header> Ping(milliseconds timeout) override;
  Error Watch(const std::string& prefix, int64_t start_revision, milliseconds open_timeout,
              std::stop_token stop,
              const std::function<bool(const WatchBatch&)>& on_batch) override;

 private:
  // One connection; a call holds it until it returns.
  struct Active {
    std::shared_ptr<CancellableClient> client;
    uint64_t generation = 0;
    uint64_t token_number = 0;
    bool has_token = false;
  };

  // Calls (session_calls.cc).
  Result<Header> RevokeOnce(int64_t lease, milliseconds timeout);
  template <typename Answer, typename F>
  Result<Answer> Make(CallKind kind, F&& call);
  Result<Active> Acquire() const;
  void Answered(CallKind kind, uint64_t generation);
  // What the caller learns of `error`; gives the connection up if that is what it calls for.
  Error Judge(CallKind kind, const Active& active, Error error);
  void Fail(uint64_t generation, const Error& why);

  // Parts of Step.
  TimePoint Turn(TimePoint now);
  // `replacing`: the connection there is stays until the new one answers.
  TimePoint Connect(bool replacing);
  void AttemptFailed(const Error& why);
  void ReplacementFailed(const Error& why);
  TimePoint Heartbeat(TimePoint now, const Active& active);
  void Accepted(TimePoint now);
  TimePoint NextTurn() const;  // wants mutex_

  // Credentials (session_credentials.cc).
  bool has_user() const { return credentials_ != nullptr && !credentials_->username().empty(); }
  void LookAtCredentials(TimePoint now);
  void Authenticate(const Active& active);
  void Authenticated(const Active& active, std::string token);
  void AuthenticationRefused(const Active& active, const Error& why, TimePoint now);
  // Whether a token would help. Without one, a client certificate names the user to etcd, who may
  // lack what the configured one has. Never true without a user.
  bool WantsToken(const Active& active, const Error& error) const {
    return has_user() && (error.error_class == ErrorClass::kUnauthenticated ||
                          (error.error_class == ErrorClass::kDenied && !active.has_token));
  }
  // A call begun with this token was told that it is missing or bad.
  void TokenRefused(const Active& active);
  // Until there is a token: leases are to be renewed all the same, which `denied` lets happen.
  void WaitForToken(uint64_t generation, const std::string& why);
  // etcd refuses this agent, and only a person can change that: a password waits, not the sign of
  // life.
  void Denied(uint64_t generation, const Error& why);
  // etcd refuses one kind of call; a read tells at once whether it is that kind only.
  void Refused(CallKind kind, uint64_t generation, const Error& why);

  // That of a call which nobody has repeated since is no error of today.
  void ForgetOldRefusal(TimePoint now);

  void Publish();

  // Constant after construction (wake_: before the first call).
  const Factory factory_;
  const Clock& clock_;
  Log& log_;
  SessionMetrics metrics_;
  const std::shared_ptr<Credentials> credentials_;  // null: none; all but its username is Step's
  std::function<void()> wake_ = [] {};

  // Step's own.
  TimePoint look_at_{};         // when the credentials are looked at
  bool reads_refused_ = false;  // etcd denied the last sign of life of this connection

  mutable std::mutex mutex_;
  // Guarded by mutex_.
  Random random_;
  EndpointRotation rotation_;
  std::shared_ptr<CancellableClient> client_;     // null: not connected
  std::shared_ptr<CancellableClient> candidate_;  // asked by Step, not connected yet
  AuthSchedule auth_;
  std::string token_;
  // While there is a client that does not count as connected: when to ask it again, for a member
  // that refuses us can die as any other.
  TimePoint ask_at_ = kNever;
  TimePoint replace_at_ = kNever;         // the connection, because the certificates changed
  std::string denied_for_;                // the reason of the last denial
  std::optional<CallKind> refused_kind_;  // whose refusal is the error while connected
  TimePoint refused_at_{};                // when that was heard last
  std::optional<Error> auth_refusal_;     // the last answer to a password, if it was a refusal
  std::set<std::string> hints_logged_;    // since the last connection
  TimePoint connected_at_{};
  TimePoint access_checked_at_{};
  TimePoint leave_alone_until_{};  // after a sign of life that was not what was asked for
  TimePoint lost_at_;              // or when it was made
  TimePoint published_at_{};
  EtcdSnapshot snapshot_;
  bool first_failure_logged_ = false;
  bool replacement_failed_ = false;
  uint64_t announced_ = 0;  // the generation whose connection the log has told of
  bool stopped_ = false;

  std::condition_variable token_changed_;  // or there is nothing to wait for any more

  std::mutex publish_mutex_;  // taken before mutex_; keeps snapshots in order
  Latest<EtcdSnapshot> state_;
};

}  // namespace rosterd::etcd
