// SPDX-License-Identifier: Apache-2.0
// Session's Step: connecting, the sign of life, giving up.
#include "etcd/session.h"

#include <algorithm>

namespace rosterd::etcd {
namespace {

bool IsDenial(ErrorClass c) {
  return c == ErrorClass::kDenied || c == ErrorClass::kUnauthenticated;
}

// Another endpoint would not do better, and the connection is good.
bool IsBusy(const Error& error) {
  return error.error_class == ErrorClass::kOverloaded || error.error_class == ErrorClass::kNoSpace;
}

}  // namespace

Session::Session(std::vector<std::string> endpoints, Factory factory, const Clock& clock, Log& log,
                 Metrics& metrics, Random random, std::shared_ptr<Credentials> credentials)
    : factory_(std::move(factory)),
      clock_(clock),
      log_(log),
      metrics_(metrics),
      credentials_(std::move(credentials)),
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
  token_changed_.notify_all();
  if (client) client->CancelAll();
  if (candidate) candidate->CancelAll();
}

TimePoint Session::Step(TimePoint now) {
  LookAtCredentials(now);
  ForgetOldRefusal(now);
  const TimePoint next = Turn(now);
  if (next == kNever || credentials_ == nullptr) return next;
  return std::min(next, look_at_);
}

TimePoint Session::Turn(TimePoint now) {
  std::optional<Active> active;
  bool replace = false;
  bool authenticate = false;
  {
    std::lock_guard lock(mutex_);
    if (stopped_) return kNever;
    if (client_) {
      active = Active{client_, snapshot_.generation, auth_.token_number(), !token_.empty()};
      replace = now >= replace_at_;
      authenticate = now >= auth_.due();
    } else if (now < rotation_.next_attempt()) {
      return rotation_.next_attempt();
    }
  }
  if (!active || replace) return Connect(replace);
  if (!authenticate) return Heartbeat(now, *active);
  Authenticate(*active);
  std::lock_guard lock(mutex_);
  return NextTurn();
}

TimePoint Session::NextTurn() const {
  if (stopped_) return kNever;
  if (!client_) return rotation_.next_attempt();
  TimePoint ask = ask_at_;
  if (snapshot_.state == EtcdState::kConnected) {
    ask = std::min(snapshot_.last_answer + kHeartbeat, access_checked_at_ + kCheckAccess);
    ask = std::max(ask, leave_alone_until_);
  }
  return std::min({ask, replace_at_, auth_.due()});
}

TimePoint Session::Connect(bool replacing) {
  std::string endpoint;
  std::string token;
  uint64_t token_number = 0;
  milliseconds timeout{0};
  {
    std::lock_guard lock(mutex_);
    endpoint = replacing ? snapshot_.endpoint : rotation_.current();
    timeout = rotation_.first_pass() ? kProbeTimeout : kCallTimeout;
    token = token_;
    token_number = auth_.token_number();
  }
  const std::shared_ptr<CancellableClient> candidate = factory_(endpoint);
  candidate->SetToken(token);
  {
    std::lock_guard lock(mutex_);
    if (stopped_) return kNever;
    candidate_ = candidate;
  }
  const TimePoint asked = clock_.Now();
  const Result<Header> answer = candidate->Ping(timeout);
  const TimePoint now = clock_.Now();
  metrics_.Finished(CallKind::kPing, now - asked, answer.ok() ? nullptr : &answer.error());
  // A member that refuses us is there all the same. One that refuses the new certificates, though
  // not for an old token, is no replacement.
  const bool token_is_old =
      !answer.ok() && answer.error().error_class == ErrorClass::kUnauthenticated && !token.empty();
  if (!answer.ok() && (replacing ? !token_is_old : !IsDenial(answer.error().error_class))) {
    candidate->CancelAll();
    replacing ? ReplacementFailed(answer.error()) : AttemptFailed(answer.error());
    std::lock_guard lock(mutex_);
    return NextTurn();
  }
  std::shared_ptr<CancellableClient> replaced;
  Active active{candidate, 0, token_number, !token.empty()};
  {
    std::lock_guard lock(mutex_);
    candidate_.reset();
    if (stopped_) return kNever;
    replaced = std::exchange(client_, candidate);
    active.generation = ++snapshot_.generation;
    connected_at_ = now;
    access_checked_at_ = now;
    leave_alone_until_ = now;
    ask_at_ = now + kHeartbeat;
    replace_at_ = kNever;
    replacement_failed_ = false;
    rotation_.Answered();
    snapshot_.endpoint = endpoint;
    snapshot_.last_answer = now;
  }
  reads_refused_ = !answer.ok();
  metrics_.Connected(true);
  if (answer.ok()) {
    Accepted(now);
  } else if (WantsToken(active, answer.error())) {
    TokenRefused(active);
    Publish();
  } else {
    Denied(active.generation, answer.error());
  }
  if (replaced) replaced->CancelAll();
  std::lock_guard lock(mutex_);
  return NextTurn();
}

// A linearizable read was answered.
void Session::Accepted(TimePoint now) {
  bool announce = false;
  bool was_denied = false;
  bool again = false;
  std::string endpoint;
  Duration outage{};
  {
    std::lock_guard lock(mutex_);
    if (stopped_ || !client_) return;
    was_denied = snapshot_.state == EtcdState::kDenied;
    const bool was_lost = snapshot_.state != EtcdState::kConnected;
    announce = announced_ != snapshot_.generation;
    again = announced_ > 0 && was_lost;
    announced_ = snapshot_.generation;
    endpoint = snapshot_.endpoint;
    outage = now - lost_at_;
    snapshot_.state = EtcdState::kConnected;
    if (was_denied) ++snapshot_.authenticated;
    if (was_lost || !refused_kind_) {
      refused_kind_.reset();
      snapshot_.error.clear();
    }
    hints_logged_.clear();
    ask_at_ = kNever;
  }
  if (announce && again) {
    log_.Info("connected to etcd again",
              {{"endpoint", endpoint}, {"after_ms", ToMilliseconds(outage).count()}});
  } else if (announce) {
    log_.Info("connected to etcd", {{"endpoint", endpoint}});
  } else if (was_denied) {
    log_.Info("etcd accepts this agent again", {{"endpoint", endpoint}});
  }
  Publish();
}

void Session::AttemptFailed(const Error& why) {
  bool first_failure = false;
  bool new_hint = false;
  {
    std::lock_guard lock(mutex_);
    candidate_.reset();
    if (stopped_) return;
    snapshot_.endpoint = rotation_.current();
    snapshot_.error = why.Describe();
    rotation_.AttemptFailed(why.error_class, clock_.Now(), random_);
    const bool never_connected = snapshot_.generation == 0;
    snapshot_.state = never_connected ? EtcdState::kConnecting : EtcdState::kLost;
    first_failure = never_connected && !first_failure_logged_;
    first_failure_logged_ |= first_failure;
    new_hint = !why.hint.empty() && hints_logged_.insert(why.endpoint + why.hint).second;
  }
  if (first_failure) {
    log_.Warn("cannot reach etcd yet; trying every endpoint until one answers",
              {{"endpoint", why.endpoint}, {"error", why.Words()}});
  } else if (new_hint) {
    log_.Warn("an etcd endpoint cannot be used",
              {{"endpoint", why.endpoint}, {"error", why.Words()}});
  }
  Publish();
}

void Session::ReplacementFailed(const Error& why) {
  bool first = false;
  {
    std::lock_guard lock(mutex_);
    candidate_.reset();
    if (stopped_ || !client_) return;
    first = !replacement_failed_;
    replacement_failed_ = true;
    replace_at_ = clock_.Now() + Patience(random_);
  }
  if (!first) return;
  log_.Warn("etcd cannot be used with the changed certificates; keeping the old connection",
            {{"endpoint", why.endpoint}, {"error", why.Words()}});
}

TimePoint Session::Heartbeat(TimePoint now, const Active& active) {
  {
    std::lock_guard lock(mutex_);
    const TimePoint due = NextTurn();
    if (now < due) return due;
  }
  const Result<Header> answer = Ping(kCallTimeout);
  reads_refused_ = !answer.ok() && IsDenial(answer.error().error_class);
  if (answer.ok()) {
    bool accepted = false;
    {
      std::lock_guard lock(mutex_);
      rotation_.Answered();
      accepted =
          snapshot_.generation == active.generation && snapshot_.state != EtcdState::kConnected;
    }
    if (accepted) Accepted(clock_.Now());
  } else if (IsDenial(answer.error().error_class)) {
    std::optional<Error> refusal = answer.error();
    if (WantsToken(active, *refusal)) {
      std::lock_guard lock(mutex_);
      refusal = auth_.wanted() ? auth_refusal_ : std::nullopt;
    }
    if (refusal) Denied(active.generation, *refusal);
  } else if (NeedsPatience(answer.error().error_class) && !IsBusy(answer.error())) {
    // A bad connection was given up already; what is left is a member that makes no sense.
    Fail(active.generation, answer.error());
  }
  std::lock_guard lock(mutex_);
  if (!answer.ok() && client_ && snapshot_.generation == active.generation) {
    const bool busy = IsBusy(answer.error());
    if (!busy) rotation_.Answered();
    leave_alone_until_ =
        clock_.Now() + (busy ? seconds(1) + rotation_.SlowDelay(random_) : kHeartbeat);
    if (snapshot_.state != EtcdState::kConnected) ask_at_ = leave_alone_until_;
  }
  return NextTurn();
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
