// SPDX-License-Identifier: Apache-2.0
#include "etcd/session.h"

#include <algorithm>

namespace rosterd::etcd {
namespace {

Error Stopped() { return {ErrorClass::kCancelled, 1, "the agent is stopping", "", 0}; }

bool IsDenial(ErrorClass c) {
  return c == ErrorClass::kDenied || c == ErrorClass::kUnauthenticated;
}

// Another endpoint would not do better, and the connection is good.
bool IsBusy(const Error& error) {
  return error.error_class == ErrorClass::kOverloaded || error.error_class == ErrorClass::kNoSpace;
}

}  // namespace

Session::Session(std::vector<std::string> endpoints, Factory factory, const Clock& clock, Log& log,
                 Metrics& metrics, Random random)
    : factory_(std::move(factory)),
      clock_(clock),
      log_(log),
      metrics_(metrics),
      random_(random),
      rotation_(std::move(endpoints), random_),
      lost_at_(clock.Now()) {
  snapshot_.endpoint = rotation_.current();
  snapshot_.error = "no endpoint was asked yet";
  Publish();
}

Session::~Session() { Stop(); }

void Session::Stop() {
  std::shared_ptr<CancellableClient> client;
  std::shared_ptr<CancellableClient> candidate;
  {
    std::lock_guard lock(mutex_);
    stopped_ = true;
    client = std::move(client_);
    candidate = candidate_;
  }
  if (client) client->CancelAll();
  if (candidate) candidate->CancelAll();
}

TimePoint Session::Step(TimePoint now) {
  std::optional<Active> active;
  {
    std::lock_guard lock(mutex_);
    if (stopped_) return kNever;
    if (client_) {
      active = Active{client_, snapshot_.generation};
    } else if (now < rotation_.next_attempt()) {
      return rotation_.next_attempt();
    }
  }
  return active ? Heartbeat(now, *active) : Connect();
}

TimePoint Session::Connect() {
  std::string endpoint;
  milliseconds timeout{0};
  {
    std::lock_guard lock(mutex_);
    endpoint = rotation_.current();
    timeout = rotation_.first_pass() ? kProbeTimeout : kCallTimeout;
  }
  const std::shared_ptr<CancellableClient> candidate = factory_(endpoint);
  {
    std::lock_guard lock(mutex_);
    if (stopped_) return kNever;
    candidate_ = candidate;
  }
  const TimePoint asked = clock_.Now();
  const Result<Header> answer = candidate->Ping(timeout);
  const TimePoint now = clock_.Now();
  metrics_.Finished(CallKind::kPing, now - asked, answer.ok() ? nullptr : &answer.error());
  if (!answer.ok()) {
    candidate->CancelAll();
    AttemptFailed(answer.error());
    std::lock_guard lock(mutex_);
    return stopped_ ? kNever : rotation_.next_attempt();
  }
  bool again = false;
  Duration outage{};
  {
    std::lock_guard lock(mutex_);
    candidate_.reset();
    if (stopped_) return kNever;
    client_ = candidate;
    connected_at_ = now;
    leave_alone_until_ = now;
    rotation_.Answered();
    again = snapshot_.generation > 0;
    outage = now - lost_at_;
    ++snapshot_.generation;
    snapshot_.state = EtcdState::kConnected;
    snapshot_.endpoint = endpoint;
    snapshot_.error.clear();
    snapshot_.last_answer = now;
  }
  metrics_.Connected(true);
  if (again) {
    log_.Info("connected to etcd again",
              {{"endpoint", endpoint}, {"after_ms", ToMilliseconds(outage).count()}});
  } else {
    log_.Info("connected to etcd", {{"endpoint", endpoint}});
  }
  Publish();
  return now + kHeartbeat;
}

void Session::AttemptFailed(const Error& why) {
  bool denied_now = false;
  bool first_failure = false;
  {
    std::lock_guard lock(mutex_);
    candidate_.reset();
    if (stopped_) return;
    snapshot_.endpoint = rotation_.current();
    snapshot_.error = why.Describe();
    rotation_.AttemptFailed(why.error_class, clock_.Now(), random_);
    const bool never_connected = snapshot_.generation == 0;
    denied_now = IsDenial(why.error_class) && snapshot_.state != EtcdState::kDenied;
    if (IsDenial(why.error_class)) {
      snapshot_.state = EtcdState::kDenied;
    } else {
      snapshot_.state = never_connected ? EtcdState::kConnecting : EtcdState::kLost;
    }
    first_failure = never_connected && !denied_now && !first_failure_logged_;
    first_failure_logged_ |= first_failure;
  }
  if (denied_now) {
    log_.Error("etcd refuses this agent; trying again every few seconds",
               {{"endpoint", why.endpoint}, {"error", why.text}});
  } else if (first_failure) {
    log_.Warn("cannot reach etcd yet; trying every endpoint until one answers",
              {{"endpoint", why.endpoint}, {"error", why.text}});
  }
  Publish();
}

TimePoint Session::Heartbeat(TimePoint now, const Active& active) {
  {
    std::lock_guard lock(mutex_);
    const TimePoint due = std::max(snapshot_.last_answer + kHeartbeat, leave_alone_until_);
    if (now < due) return due;
  }
  const Result<Header> answer = Ping(kCallTimeout);
  // Judge() saw a bad connection; what is left is a member that refuses us. A busy one does not.
  if (!answer.ok() && NeedsPatience(answer.error().error_class) && !IsBusy(answer.error())) {
    Fail(active.generation, answer.error());
  }
  std::lock_guard lock(mutex_);
  if (stopped_) return kNever;
  if (snapshot_.generation != active.generation || !client_) return rotation_.next_attempt();
  if (answer.ok()) return snapshot_.last_answer + kHeartbeat;
  leave_alone_until_ = clock_.Now() + seconds(1) + rotation_.SlowDelay(random_);
  return leave_alone_until_;
}

Result<Session::Active> Session::Acquire() const {
  std::lock_guard lock(mutex_);
  if (stopped_) return Stopped();
  if (!client_) {
    return Error{ErrorClass::kUnavailable, 14, "not connected to etcd: " + snapshot_.error, "", 0};
  }
  return Active{client_, snapshot_.generation};
}

void Session::Answered(uint64_t generation) {
  {
    std::lock_guard lock(mutex_);
    if (!client_ || snapshot_.generation != generation) return;
    snapshot_.last_answer = clock_.Now();
    if (snapshot_.last_answer < published_at_ + kPublishEvery) return;
  }
  Publish();
}

Error Session::Judge(uint64_t generation, Error error) {
  if (error.error_class == ErrorClass::kCancelled) {
    std::lock_guard lock(mutex_);
    if (stopped_) return Stopped();
    if (client_ && snapshot_.generation == generation) return error;
    return {ErrorClass::kUnavailable, 14, "the connection was given up", error.endpoint, 0};
  }
  if (error.connection_is_bad()) Fail(generation, error);
  return error;
}

void Session::Fail(uint64_t generation, const Error& why) {
  std::shared_ptr<CancellableClient> client;
  std::string endpoint;
  std::string next;
  {
    std::lock_guard lock(mutex_);
    if (stopped_ || !client_ || snapshot_.generation != generation) return;
    client = std::move(client_);
    client_.reset();
    const TimePoint now = clock_.Now();
    lost_at_ = now;
    endpoint = snapshot_.endpoint;
    rotation_.ConnectionLost(now - connected_at_, now, random_);
    next = rotation_.current();
    snapshot_.state = EtcdState::kLost;
    snapshot_.error = why.Describe();
  }
  // In this order: whoever learns from a cancelled call must find the new state.
  Publish();
  client->CancelAll();
  metrics_.Connected(false);
  metrics_.FailedOver();
  log_.Warn("lost etcd; keeping registrations, serving the last catalog, trying the next endpoint",
            {{"endpoint", endpoint}, {"error", why.text}, {"next", next}});
  wake_();
}

template <typename Answer, typename F>
Result<Answer> Session::Make(CallKind kind, F&& call) {
  const Result<Active> active = Acquire();
  if (!active.ok()) return active.error();
  const TimePoint start = clock_.Now();
  Result<Answer> result = call(*active->client);
  metrics_.Finished(kind, clock_.Now() - start, result.ok() ? nullptr : &result.error());
  if (!result.ok()) return Judge(active->generation, result.error());
  Answered(active->generation);
  return result;
}

Result<GrantAnswer> Session::Grant(int64_t lease, seconds ttl, milliseconds timeout) {
  return Make<GrantAnswer>(CallKind::kGrant,
                           [&](Client& client) { return client.Grant(lease, ttl, timeout); });
}

Result<KeepAliveAnswer> Session::KeepAlive(int64_t lease, milliseconds timeout) {
  return Make<KeepAliveAnswer>(CallKind::kKeepAlive,
                               [&](Client& client) { return client.KeepAlive(lease, timeout); });
}

Result<Header> Session::Revoke(int64_t lease, milliseconds timeout) {
  return Make<Header>(CallKind::kRevoke,
                      [&](Client& client) { return client.Revoke(lease, timeout); });
}

Result<WriteBatchAnswer> Session::Write(const std::vector<GuardedWrite>& writes,
                                        milliseconds timeout) {
  return Make<WriteBatchAnswer>(CallKind::kWrite,
                                [&](Client& client) { return client.Write(writes, timeout); });
}

Result<ListAnswer> Session::List(const std::string& prefix, milliseconds timeout) {
  return Make<ListAnswer>(CallKind::kList,
                          [&](Client& client) { return client.List(prefix, timeout); });
}

Result<Header> Session::Ping(milliseconds timeout) {
  return Make<Header>(CallKind::kPing, [&](Client& client) { return client.Ping(timeout); });
}

Error Session::Watch(const std::string& prefix, int64_t start_revision, milliseconds open_timeout,
                     std::stop_token stop, const std::function<bool(const WatchBatch&)>& on_batch) {
  const Result<Active> active = Acquire();
  if (!active.ok()) return active.error();
  bool ended_by_caller = false;
  Error end = active->client->Watch(prefix, start_revision, open_timeout, stop,
                                    [&](const WatchBatch& batch) {
                                      Answered(active->generation);
                                      ended_by_caller = !on_batch(batch);
                                      return !ended_by_caller;
                                    });
  metrics_.Finished(CallKind::kWatch, Duration::zero(), &end);
  if (ended_by_caller || stop.stop_requested()) return end;
  return Judge(active->generation, std::move(end));
}

void Session::Publish() {
  std::lock_guard in_order(publish_mutex_);
  std::shared_ptr<const EtcdSnapshot> snapshot;
  {
    std::lock_guard lock(mutex_);
    published_at_ = clock_.Now();
    snapshot = std::make_shared<const EtcdSnapshot>(snapshot_);
  }
  state_.Publish(std::move(snapshot));
}

}  // namespace rosterd::etcd
