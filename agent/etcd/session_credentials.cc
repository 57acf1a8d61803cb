// SPDX-License-Identifier: Apache-2.0
// Session's dealings with user, password and certificates. Asking for a token and looking at files
// is Step's; the rest runs on whichever thread was refused.
#include <utility>

#include "etcd/error_hint.h"
#include "etcd/session.h"

namespace rosterd::etcd {

void Session::LookAtCredentials(TimePoint now) {
  if (credentials_ == nullptr || now < look_at_) return;
  look_at_ = now + kLookAtCredentials;
  const Credentials::Changes changes = credentials_->Look();
  bool replace = false;
  {
    std::lock_guard lock(mutex_);
    if (changes.password) {
      auth_.PasswordChanged();
      auth_refusal_.reset();
    }
    replace = changes.tls && client_ != nullptr;
    if (replace) {
      replace_at_ = now + RandomUpTo(kReplaceSpread, random_);
      replacement_failed_ = false;
    }
  }
  if (!changes.warning.empty()) log_.Warn(changes.warning);
  if (changes.tls) {
    log_.Info(replace ? "the certificate files of etcd.tls changed; connecting anew with them"
                      : "the certificate files of etcd.tls changed; using them from now on");
  }
}

void Session::Authenticate(const Active& active) {
  const absl::StatusOr<std::string> password = credentials_->Password();
  const TimePoint asked = clock_.Now();
  if (!password.ok()) {
    return AuthenticationRefused(
        active, {ErrorClass::kDenied, 0, std::string(password.status().message()), "", 0}, asked);
  }
  milliseconds timeout = kCallTimeout;
  {
    std::lock_guard lock(mutex_);
    if (auth_.unanswered()) timeout = kAuthTimeout;
  }
  Result<std::string> answer =
      active.client->Authenticate(credentials_->username(), *password, timeout);
  const TimePoint now = clock_.Now();
  metrics_.Finished(CallKind::kAuthenticate, now - asked, answer.ok() ? nullptr : &answer.error());
  if (answer.ok()) return Authenticated(active, std::move(*answer));
  const Error& error = answer.error();
  // No token is needed until a call asks for one again.
  if (SaysAuthIsOff(error)) return Authenticated(active, "");
  switch (error.error_class) {
    case ErrorClass::kCancelled:
      return;  // by Stop() or Fail()
    case ErrorClass::kDenied:
    case ErrorClass::kUnauthenticated:
    case ErrorClass::kInvalid:
      return AuthenticationRefused(active, error, now);
    default: {
      {
        std::lock_guard lock(mutex_);
        auth_.NoAnswer(now, random_);
        // Passwords may queue at a healthy member: a read tells which it is.
        ask_at_ = now;
      }
      if (error.connection_is_bad() && error.error_class != ErrorClass::kTimeout) {
        Fail(active.generation, error);
      } else {
        WaitForToken(active.generation, "etcd gave no token yet: " + error.Describe());
      }
    }
  }
}

void Session::AuthenticationRefused(const Active& active, const Error& why, TimePoint now) {
  bool reads_work = false;
  {
    std::lock_guard lock(mutex_);
    auth_.Refused(now, random_);
    auth_refusal_ = why;
    reads_work = snapshot_.state == EtcdState::kConnected && !reads_refused_;
  }
  // A call may need a token that reads do not need; the next read tells.
  if (reads_work) {
    Refused(CallKind::kAuthenticate, active.generation, why);
  } else {
    Denied(active.generation, why);
  }
}

void Session::Authenticated(const Active& active, std::string token) {
  const TimePoint now = clock_.Now();
  active.client->SetToken(token);
  {
    std::lock_guard lock(mutex_);
    if (stopped_) return;
    token_ = std::move(token);
    auth_.Succeeded(now);
    ++snapshot_.authenticated;
    auth_refusal_.reset();
    leave_alone_until_ = now;
    if (refused_kind_ == CallKind::kAuthenticate) {
      refused_kind_.reset();
      snapshot_.error.clear();
    }
    // The answer to a read decides whether etcd accepts us now.
    if (snapshot_.state != EtcdState::kConnected) ask_at_ = now;
  }
  token_changed_.notify_all();
  Publish();
}

void Session::TokenRefused(const Active& active) {
  bool reconnected = false;
  bool first = false;
  {
    std::lock_guard lock(mutex_);
    if (stopped_ || !client_ || snapshot_.generation != active.generation) return;
    // A token may be wanted since before the connection was lost.
    reconnected = snapshot_.state == EtcdState::kLost;
    first = auth_.TokenRefused(active.token_number);
  }
  if (reconnected) WaitForToken(active.generation, "waiting for a token from etcd");
  if (first) wake_();
}

void Session::WaitForToken(uint64_t generation, const std::string& why) {
  {
    std::lock_guard lock(mutex_);
    if (stopped_ || !client_ || snapshot_.generation != generation) return;
    if (snapshot_.state == EtcdState::kConnected || snapshot_.state == EtcdState::kDenied) return;
    snapshot_.state = EtcdState::kDenied;
    snapshot_.error = why;
    denied_for_.clear();
  }
  Publish();
}

void Session::Denied(uint64_t generation, const Error& why) {
  // Calls say the same in different words; the hint is one for all of them.
  const std::string& essence = why.hint.empty() ? why.text : why.hint;
  std::string endpoint;
  {
    std::lock_guard lock(mutex_);
    if (stopped_ || !client_ || snapshot_.generation != generation) return;
    const TimePoint now = clock_.Now();
    if (ask_at_ == kNever || ask_at_ <= now) ask_at_ = now + kHeartbeat;
    if (snapshot_.state == EtcdState::kDenied && denied_for_ == essence) return;
    denied_for_ = essence;
    refused_kind_.reset();
    snapshot_.state = EtcdState::kDenied;
    snapshot_.error = why.Describe();
    endpoint = snapshot_.endpoint;
  }
  log_.Error(
      "etcd refuses this agent; renewing leases as long as it lets us, trying again every few "
      "seconds",
      {{"endpoint", endpoint}, {"error", why.Words()}});
  Publish();
}

void Session::Refused(CallKind kind, uint64_t generation, const Error& why) {
  {
    std::lock_guard lock(mutex_);
    if (stopped_ || !client_ || snapshot_.generation != generation) return;
    if (snapshot_.state != EtcdState::kConnected) return;
    refused_at_ = clock_.Now();
    if (refused_kind_ == kind) return;
    refused_kind_ = kind;
    snapshot_.error = why.Describe();
    access_checked_at_ = refused_at_ - kCheckAccess;
  }
  Publish();
  wake_();
}

void Session::ForgetOldRefusal(TimePoint now) {
  {
    std::lock_guard lock(mutex_);
    if (!refused_kind_ || now < refused_at_ + kRefusalLasts) return;
    refused_kind_.reset();
    snapshot_.error.clear();
  }
  Publish();
}

}  // namespace rosterd::etcd
