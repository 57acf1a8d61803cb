// SPDX-License-Identifier: Apache-2.0
// Session as a Client: calls go to the active connection, on their callers' threads, and what they
// find out about it is taken note of.
#include <utility>

#include "etcd/session.h"

namespace rosterd::etcd {
namespace {

Error Stopped() { return {ErrorClass::kCancelled, 1, "the agent is stopping", "", 0}; }

}  // namespace

Result<Session::Active> Session::Acquire() const {
  std::lock_guard lock(mutex_);
  if (stopped_) return Stopped();
  if (!client_) {
    return Error{ErrorClass::kUnavailable, 14, "not connected to etcd: " + snapshot_.error, "", 0};
  }
  return Active{client_, snapshot_.generation, auth_.token_number(), !token_.empty()};
}

void Session::Answered(CallKind kind, uint64_t generation) {
  {
    std::lock_guard lock(mutex_);
    if (!client_ || snapshot_.generation != generation) return;
    snapshot_.last_answer = clock_.Now();
    if (kind != CallKind::kKeepAlive && kind != CallKind::kWatch) {
      access_checked_at_ = snapshot_.last_answer;
    }
    const bool allowed_again = refused_kind_ == kind;
    if (allowed_again) {
      refused_kind_.reset();
      snapshot_.error.clear();
    }
    if (!allowed_again && snapshot_.last_answer < published_at_ + kPublishEvery) return;
  }
  Publish();
}

Error Session::Judge(CallKind kind, const Active& active, Error error) {
  switch (error.error_class) {
    case ErrorClass::kCancelled: {
      std::lock_guard lock(mutex_);
      if (stopped_) return Stopped();
      if (client_ && snapshot_.generation == active.generation) return error;
      return {ErrorClass::kUnavailable, 14, "the connection was given up", error.endpoint, 0};
    }
    case ErrorClass::kUnauthenticated:
    case ErrorClass::kDenied:
      // etcd makes sure of its quorum before it looks at who asks.
      if (kind == CallKind::kPing) Answered(kind, active.generation);
      if (WantsToken(active, error)) {
        TokenRefused(active);
      } else if (kind != CallKind::kPing) {
        Refused(kind, active.generation, error);
      }
      break;
    default:
      if (error.connection_is_bad()) Fail(active.generation, error);
  }
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
    replace_at_ = kNever;  // the next connection has the new certificates anyway
    refused_kind_.reset();
    auth_.ConnectionLost();
    endpoint = snapshot_.endpoint;
    rotation_.ConnectionLost(now - connected_at_, now, random_);
    next = rotation_.current();
    snapshot_.state = EtcdState::kLost;
    snapshot_.error = why.Describe();
  }
  // In this order: whoever learns from a cancelled call must find the new state.
  Publish();
  client->CancelAll();
  token_changed_.notify_all();
  metrics_.Connected(false);
  metrics_.FailedOver();
  log_.Warn("lost etcd; keeping registrations, serving the last catalog, trying the next endpoint",
            {{"endpoint", endpoint}, {"error", why.Words()}, {"next", next}});
  wake_();
}

template <typename Answer, typename F>
Result<Answer> Session::Make(CallKind kind, F&& call) {
  const Result<Active> active = Acquire();
  if (!active.ok()) return active.error();
  const TimePoint start = clock_.Now();
  Result<Answer> result = call(*active->client);
  metrics_.Finished(kind, clock_.Now() - start, result.ok() ? nullptr : &result.error());
  if (!result.ok()) return Judge(kind, *active, result.error());
  Answered(kind, active->generation);
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
  const TimePoint end = BootClock::now() + timeout;
  const Result<Active> active = Acquire();
  Result<Header> answer = RevokeOnce(lease, timeout);
  if (answer.ok() || !active.ok() || !WantsToken(*active, answer.error())) return answer;
  {
    std::unique_lock lock(mutex_);
    const bool new_token = token_changed_.wait_for(lock, end - BootClock::now(), [&] {
      return stopped_ || !client_ || auth_.token_number() != active->token_number;
    });
    if (!new_token || stopped_ || !client_) return answer;
  }
  const milliseconds left = ToMilliseconds(end - BootClock::now());
  return left > milliseconds(0) ? RevokeOnce(lease, left) : answer;
}

Result<Header> Session::RevokeOnce(int64_t lease, milliseconds timeout) {
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

Result<std::optional<KeyValue>> Session::ReadAt(const std::string& key, int64_t revision,
                                                milliseconds timeout) {
  return Make<std::optional<KeyValue>>(
      CallKind::kRead, [&](Client& client) { return client.ReadAt(key, revision, timeout); });
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
                                      Answered(CallKind::kWatch, active->generation);
                                      ended_by_caller = !on_batch(batch);
                                      return !ended_by_caller;
                                    });
  metrics_.Finished(CallKind::kWatch, Duration::zero(), &end);
  if (ended_by_caller || stop.stop_requested()) return end;
  return Judge(CallKind::kWatch, *active, std::move(end));
}

}  // namespace rosterd::etcd
