// SPDX-License-Identifier: Apache-2.0
// Loop: what the thread "http" runs. One epoll instance owns the listening and the client sockets;
// each turn accepts, reads, answers and looks after the time limits. Nothing here blocks but
// epoll_wait. Knows no route. A parked connection will be one more phase with a list of its own,
// woken through Wake().
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <stop_token>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "base/clock.h"
#include "base/latest.h"
#include "base/log.h"
#include "base/unique_fd.h"
#include "http/adapter.h"
#include "http/connection.h"
#include "http/front_metrics.h"
#include "http/host_check.h"
#include "http/limits.h"
#include "http/listener.h"

namespace rosterd::http {

// Owned by the http thread, apart from Wake() and last_turn(), which are thread-safe.
class Loop {
 public:
  // The references must outlive the loop.
  Loop(const Limits& limits, std::vector<Listener> listeners, Handler handler,
       const Latest<HostCheck>& host_check, const Clock& clock, Log& log, Metrics& metrics);
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Makes the descriptors; before Run().
  absl::Status Init();
  // Until `stop` and Wake(); then finishes the answers in progress within limits.stop_grace and
  // closes everything, the listening sockets first.
  void Run(const std::stop_token& stop);

  // Causes one more turn soon.
  void Wake() const;
  // When the last turn ended; the loop turns at least once a second.
  TimePoint last_turn() const { return TimePoint(Duration(last_turn_.load())); }

 private:
  struct Source : Watched {
    Source(Kind k, const Listener* l) : Watched(k), listener(l) {}
    const Listener* listener;  // null: the wake-up
  };
  using Connections = std::list<Connection>;

  // The turn.
  void Turn(TimePoint until);
  void OnEvents(Connection& connection, uint32_t events);
  void ContinueQueued();
  void CheckDeadlines();
  void CloseAll(Phase phase);
  void Drain();

  // Accepting.
  void Accept(const Listener& listener);
  void Adopt(UniqueFd fd, bool over_unix_socket);
  Connection* Expendable();
  void MakeRoom(Connection& expendable);
  void WatchListeners(bool on);

  // One connection.
  void Read(Connection& connection);
  void Process(Connection& connection, std::string_view bytes);
  void Settle(Connection& connection, std::string_view rest);
  void Respond(Connection& connection, bool more_follows);
  void AnswerContinue(Connection& connection);
  std::optional<std::string> RefusedHost(const Connection& connection,
                                         const FramedRequest& request) const;
  void RefuseAndClose(Connection& connection, int status, const std::string& text);
  void Send(Connection& connection);
  void Discard(Connection& connection);
  void CountBuffered(Connection& connection);
  void Close(Connection& connection);

  Connections& ListOf(Phase phase) { return lists_[static_cast<size_t>(phase)]; }
  const Connections& ListOf(Phase phase) const { return lists_[static_cast<size_t>(phase)]; }
  void Enter(Connection& connection, Phase phase);
  void SetInterest(Connection& connection, uint32_t interest);

  // Constant after Init().
  const Limits limits_;
  std::vector<Listener> listeners_;
  const Latest<HostCheck>& latest_host_check_;
  const Clock& clock_;
  Log& log_;
  UniqueFd epoll_;
  UniqueFd wake_fd_;  // eventfd
  size_t max_connections_ = 0;
  std::vector<Source> sources_;  // the wake-up, then one for each listening socket

  Adapter adapter_;
  FrontMetrics metrics_;
  std::shared_ptr<const HostCheck> host_check_;  // of this turn
  TimePoint now_{};                              // of this turn
  bool stopping_ = false;
  // One list per phase, the oldest in front; kClosed is emptied at the end of each turn, because
  // events of the same turn may still point there.
  std::array<Connections, 5> lists_;
  std::vector<Connection*> queued_;  // have unread bytes that epoll will not report
  size_t open_ = 0;
  size_t buffered_ = 0;
  TimePoint accept_again_ = kNever;  // kNever: accepting
  TimePoint next_full_warning_{};
  std::vector<char> scratch_;  // what is being read; shared by all connections

  std::atomic<Duration::rep> last_turn_{0};
};

}  // namespace rosterd::http
