// SPDX-License-Identifier: Apache-2.0
// A session on its own thread, as the agent runs it.
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/step_thread.h"
#include "etcd/credential_files.h"
#include "etcd/grpc_client.h"
#include "etcd/session.h"

namespace rosterd::testing {

inline bool Eventually(const std::function<bool()>& reached, Duration limit = seconds(10)) {
  const TimePoint end = BootClock::now() + limit;
  while (BootClock::now() < end) {
    if (reached()) return true;
    std::this_thread::sleep_for(milliseconds(5));
  }
  return reached();
}

class RunningSession {
 public:
  explicit RunningSession(const std::vector<std::string>& endpoints)
      : RunningSession(WithEndpoints(endpoints)) {}
  explicit RunningSession(const EtcdConfig& settings)
      : credentials_(*etcd::CredentialFiles::Open(settings)),
        session_(settings.endpoints,
                 *etcd::MakeGrpcClientFactory(settings.endpoints,
                                              {.ping_key = settings.prefix, .settings = settings},
                                              credentials_),
                 clock_, log_, metrics_, Random(1), credentials_),
        thread_("session", clock_, [this](TimePoint now) { return session_.Step(now); }) {
    session_.SetWake([this] { thread_.Wake(); });
    thread_.Start();
  }
  ~RunningSession() {
    session_.Stop();
    thread_.Stop();
  }

  etcd::Session& operator*() { return session_; }
  etcd::Session* operator->() { return &session_; }
  EtcdState State() { return session_.state().Get()->state; }
  std::string Error() { return session_.state().Get()->error; }
  bool WaitConnected() {
    return Eventually([&] { return State() == EtcdState::kConnected; });
  }
  bool WaitError(const std::string& part) {
    return Eventually([&] { return Error().find(part) != std::string::npos; });
  }
  size_t LinesWith(const std::string& text) const {
    std::lock_guard lock(mutex_);
    size_t count = 0;
    for (const std::string& line : lines_) count += line.find(text) != std::string::npos ? 1 : 0;
    return count;
  }
  std::string Lines() const {
    std::lock_guard lock(mutex_);
    std::string all;
    for (const std::string& line : lines_) all += line + "\n";
    return all;
  }
  // Of rosterd_etcd_requests_total.
  double Requests(const std::string& call, const std::string& result) const {
    const std::string text = metrics_.Render();
    const std::string name =
        "rosterd_etcd_requests_total{call=\"" + call + "\",result=\"" + result + "\"} ";
    const size_t at = text.find(name);
    return at == std::string::npos ? 0 : std::stod(text.substr(at + name.size()));
  }

 private:
  static EtcdConfig WithEndpoints(const std::vector<std::string>& endpoints) {
    EtcdConfig settings;
    settings.endpoints = endpoints;
    return settings;
  }

  SystemClock clock_;
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;  // guarded by mutex_
  Log log_{LogLevel::kInfo, LogFormat::kText, [this](const std::string& line) {
             std::lock_guard lock(mutex_);
             lines_.push_back(line);
           }};
  Metrics metrics_;
  const std::shared_ptr<etcd::CredentialFiles> credentials_;
  etcd::Session session_;
  StepThread thread_;
};

}  // namespace rosterd::testing
