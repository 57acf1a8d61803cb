// SPDX-License-Identifier: Apache-2.0
// Made-up members of one fake cluster, and everything a session needs around it.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "etcd/session.h"
#include "support/fake_etcd.h"

namespace rosterd::etcd {

using testing::FakeClock;
using testing::FakeEtcd;
using testing::MakeError;

// The users of the made-up cluster, who holds tokens and who asked for one.
struct Users {
  std::mutex mutex;
  bool on = false;
  std::string password = "right";
  std::string good_token;  // the only one that passes
  Error without_token = MakeError(ErrorClass::kUnauthenticated, "etcdserver: user name is empty");
  std::optional<Error> authenticate;   // what Authenticate gives in place of an answer
  std::vector<TimePoint> asked;        // one per Authenticate
  std::vector<std::string> passwords;  // one per Authenticate

  void Set(std::function<void(Users&)> change) {
    std::lock_guard lock(mutex);
    change(*this);
  }
  size_t Asked() {
    std::lock_guard lock(mutex);
    return asked.size();
  }
};

// Credentials without files.
struct MadeUpCredentials final : Credentials {
  const std::string& username() const override { return user; }
  absl::StatusOr<std::string> Password() override { return password; }
  Changes Look() override {
    ++looks;
    return std::exchange(next, {});
  }

  std::string user = "app";
  absl::StatusOr<std::string> password = "right";
  Changes next;
  int looks = 0;
};

// What a test says about one endpoint; outlives the clients made for it.
struct Member {
  std::mutex mutex;
  std::optional<Error> error;  // what every call to it gives
  int good_clients = 1 << 30;  // later ones are refused as by a wrong certificate
  Error to_bad_clients = MakeError(ErrorClass::kUnavailable, "certificate verify failed");
  bool silent = false;  // a ping gets no answer until it is cancelled
  int silent_pings = 0;
  std::condition_variable_any changed;
  int clients_made = 0;
  int clients_alive = 0;
  milliseconds last_timeout{0};

  void Set(std::optional<Error> e) {
    std::lock_guard lock(mutex);
    error = std::move(e);
  }
  void SetSilent() {
    std::lock_guard lock(mutex);
    silent = true;
  }
  void WaitForSilentPing() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return silent_pings > 0; });
  }
  int alive() {
    std::lock_guard lock(mutex);
    return clients_alive;
  }
};

class MemberClient final : public CancellableClient {
 public:
  MemberClient(Member& member, FakeEtcd& cluster, FakeClock& clock, Users& users)
      : member_(member), cluster_(cluster), clock_(clock), users_(users) {
    std::lock_guard lock(member_.mutex);
    number_ = ++member_.clients_made;
    ++member_.clients_alive;
  }
  ~MemberClient() override {
    std::lock_guard lock(member_.mutex);
    --member_.clients_alive;
  }

  Result<GrantAnswer> Grant(int64_t lease, seconds ttl, milliseconds timeout) override {
    if (auto error = Refuse(timeout)) return *error;
    return cluster_.Grant(lease, ttl, timeout);
  }
  Result<KeepAliveAnswer> KeepAlive(int64_t lease, milliseconds timeout) override {
    if (auto error = Refuse(timeout, false)) return *error;  // etcd 3.4 asks for no token here
    return cluster_.KeepAlive(lease, timeout);
  }
  Result<Header> Revoke(int64_t lease, milliseconds timeout) override {
    if (auto error = Refuse(timeout)) return *error;
    return cluster_.Revoke(lease, timeout);
  }
  Result<WriteBatchAnswer> Write(const std::vector<GuardedWrite>& writes,
                                 milliseconds timeout) override {
    if (auto error = Refuse(timeout)) return *error;
    return cluster_.Write(writes, timeout);
  }
  Result<ListAnswer> List(const std::string& prefix, milliseconds timeout) override {
    if (auto error = Refuse(timeout)) return *error;
    return cluster_.List(prefix, timeout);
  }
  Result<std::optional<KeyValue>> ReadAt(const std::string& key, int64_t revision,
                                         milliseconds timeout) override {
    if (auto error = Refuse(timeout)) return *error;
    return cluster_.ReadAt(key, revision, timeout);
  }
  Result<Header> Ping(milliseconds timeout) override {
    if (auto error = Refuse(timeout)) return *error;
    {
      std::unique_lock lock(member_.mutex);
      if (member_.silent) {
        ++member_.silent_pings;
        member_.changed.notify_all();
        member_.changed.wait(lock, cancelled_.get_token(), [] { return false; });
        return MakeError(ErrorClass::kCancelled);
      }
    }
    return cluster_.Ping(timeout);
  }
  Error Watch(const std::string& prefix, int64_t start_revision, milliseconds open_timeout,
              std::stop_token stop,
              const std::function<bool(const WatchBatch&)>& on_batch) override {
    if (auto error = Refuse(open_timeout)) return *error;
    const std::stop_callback on_stop(stop, [&] { cancelled_.request_stop(); });
    return cluster_.Watch(prefix, start_revision, open_timeout, cancelled_.get_token(), on_batch);
  }
  void CancelAll() override { cancelled_.request_stop(); }

  Result<std::string> Authenticate(const std::string& username, const std::string& password,
                                   milliseconds timeout) override {
    if (auto error = Refuse(timeout, false)) return *error;
    std::lock_guard lock(users_.mutex);
    users_.asked.push_back(clock_.Now());
    users_.passwords.push_back(password);
    if (users_.authenticate) return *users_.authenticate;
    if (!users_.on) {
      return MakeError(ErrorClass::kInvalid, "etcdserver: authentication is not enabled");
    }
    if (password != users_.password) {
      return MakeError(ErrorClass::kDenied,
                       "etcdserver: authentication failed, invalid user ID or password");
    }
    users_.good_token = username + "." + std::to_string(users_.asked.size());
    return users_.good_token;
  }
  void SetToken(std::string token) override {
    std::lock_guard lock(users_.mutex);
    token_ = std::move(token);
  }

 private:
  std::optional<Error> Refuse(milliseconds timeout, bool authenticated = true) {
    if (cancelled_.stop_requested()) return MakeError(ErrorClass::kCancelled);
    {
      std::lock_guard lock(member_.mutex);
      member_.last_timeout = timeout;
      if (member_.error) return member_.error;
      if (number_ > member_.good_clients) {
        return member_.to_bad_clients;
      }
    }
    std::lock_guard lock(users_.mutex);
    if (!authenticated || (!users_.on && token_.empty())) return std::nullopt;
    if (token_.empty()) return users_.without_token;
    if (users_.on && token_ == users_.good_token) return std::nullopt;
    return MakeError(ErrorClass::kUnauthenticated, "etcdserver: invalid auth token");
  }

  Member& member_;
  FakeEtcd& cluster_;
  FakeClock& clock_;
  Users& users_;
  int number_ = 0;     // which client of the member it is
  std::string token_;  // guarded by users_.mutex
  std::stop_source cancelled_;
};

struct World {
  FakeClock clock;
  FakeEtcd cluster{clock};
  std::map<std::string, Member> members;
  Users users;
  std::vector<std::string> lines;
  Log log{LogLevel::kInfo, LogFormat::kText, [this](const std::string& l) { lines.push_back(l); }};
  Metrics metrics;

  Session MakeSession(const std::vector<std::string>& endpoints,
                      std::shared_ptr<Credentials> credentials = nullptr) {
    for (const std::string& endpoint : endpoints) members[endpoint];
    return Session(
        endpoints,
        [this](const std::string& endpoint) -> std::shared_ptr<CancellableClient> {
          return std::make_shared<MemberClient>(members.at(endpoint), cluster, clock, users);
        },
        clock, log, metrics, Random(5), std::move(credentials));
  }
  size_t LinesWith(const std::string& text) const {
    size_t count = 0;
    for (const std::string& line : lines) count += line.find(text) != std::string::npos ? 1 : 0;
    return count;
  }
  // Steps as the session's thread would, for `d` of made-up time.
  void Run(Session& session, Duration d) {
    const TimePoint end = clock.Now() + d;
    TimePoint next = clock.Now();
    while (next <= end) {
      if (next > clock.Now()) clock.Advance(next - clock.Now());
      next = session.Step(clock.Now());
    }
    clock.Advance(end - clock.Now());
  }
};

inline Error Down() { return MakeError(ErrorClass::kUnavailable, "connection refused"); }

}  // namespace rosterd::etcd
