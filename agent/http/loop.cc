// SPDX-License-Identifier: Apache-2.0
// The turn of the loop, accepting, time limits and the end. What happens on one connection is in
// loop_connection.cc.
#include "http/loop.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "base/duration.h"
#include "base/event_fd.h"
#include "base/step_thread.h"

namespace rosterd::http {
namespace {

constexpr int kEventsPerTurn = 256;
constexpr int kAcceptsPerTurn = 64;
constexpr size_t kScratchBytes = size_t{64} << 10;
constexpr Duration kLongestWait = seconds(1);
constexpr Duration kAcceptPause = milliseconds(50);
// A request that takes this long is not on its way, it is a client that holds a descriptor.
constexpr Duration kSuspiciouslySlow = seconds(1);
// So much finer is it seen whether a client goes on reading.
constexpr int kLooksPerWriteTimeout = 4;
constexpr Duration kWarningInterval = seconds(60);

size_t ConnectionsAllowed(const Limits& limits) {
  if (limits.max_connections > 0) return limits.max_connections;
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur == RLIM_INFINITY) return 1 << 20;
  const auto all = static_cast<size_t>(files.rlim_cur);
  const size_t kept = std::clamp(all / 4, size_t{32}, size_t{4096});
  return all > kept ? all - kept : 1;
}

bool SomebodyWaits(int listening_fd) {
  pollfd poll{listening_fd, POLLIN, 0};
  return ::poll(&poll, 1, 0) == 1;
}

}  // namespace

Loop::Loop(const Limits& limits, std::vector<Listener> listeners, Handler handler,
           const Latest<HostCheck>& host_check, const Clock& clock, Log& log, Metrics& metrics)
    : limits_(limits),
      listeners_(std::move(listeners)),
      latest_host_check_(host_check),
      clock_(clock),
      log_(log),
      adapter_(std::move(handler), clock, log),
      metrics_(metrics),
      scratch_(kScratchBytes) {}

Loop::~Loop() = default;

absl::Status Loop::Init() {
  epoll_ = UniqueFd(::epoll_create1(EPOLL_CLOEXEC));
  wake_fd_ = MakeWakeFd();
  if (!epoll_.valid() || !wake_fd_.valid()) {
    return absl::ResourceExhaustedError("cannot create the HTTP loop: " +
                                        std::generic_category().message(errno));
  }
  sources_.emplace_back(Watched::Kind::kWakeUp, nullptr);
  for (const Listener& listener : listeners_) {
    sources_.emplace_back(Watched::Kind::kListener, &listener);
  }
  for (Source& source : sources_) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = static_cast<Watched*>(&source);
    const int fd = source.listener == nullptr ? wake_fd_.get() : source.listener->fd();
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
      return absl::ResourceExhaustedError("cannot watch a listening socket: " +
                                          std::generic_category().message(errno));
    }
  }
  last_turn_ = clock_.Now().time_since_epoch().count();
  return absl::OkStatus();
}

void Loop::Wake() const { Raise(wake_fd_.get()); }

void Loop::Run(const std::stop_token& stop) {
  NameThisThread("http");
  max_connections_ = ConnectionsAllowed(limits_);
  while (!stop.stop_requested()) Turn(kNever);
  Drain();
}

void Loop::Turn(TimePoint until) {
  now_ = clock_.Now();
  TimePoint due = std::min({until, now_ + kLongestWait, accept_again_});
  const auto consider = [&](Phase phase, Duration limit) {
    if (!ListOf(phase).empty()) due = std::min(due, ListOf(phase).front().since + limit);
  };
  consider(Phase::kReceiving, limits_.request_timeout);
  consider(Phase::kWriting, limits_.write_timeout / kLooksPerWriteTimeout);
  consider(Phase::kLingering, limits_.linger);
  if (!queued_.empty()) due = now_;
  // Rounded up: a turn too early would find nothing due.
  const auto wait = std::chrono::ceil<milliseconds>(std::max(due - now_, Duration::zero()));

  std::array<epoll_event, kEventsPerTurn> events;
  const int count =
      ::epoll_wait(epoll_.get(), events.data(), kEventsPerTurn, static_cast<int>(wait.count()));
  now_ = clock_.Now();
  last_turn_ = now_.time_since_epoch().count();
  host_check_ = latest_host_check_.Get();
  for (int i = 0; i < count; ++i) {
    auto* watched = static_cast<Watched*>(events[static_cast<size_t>(i)].data.ptr);
    switch (watched->kind) {
      case Watched::Kind::kWakeUp:
        rosterd::Drain(wake_fd_.get());
        break;
      case Watched::Kind::kListener:
        Accept(*static_cast<Source*>(watched)->listener);
        break;
      case Watched::Kind::kConnection:
        OnEvents(*static_cast<Connection*>(watched), events[static_cast<size_t>(i)].events);
        break;
    }
  }
  ContinueQueued();
  CheckDeadlines();
  if (accept_again_ <= now_ || (accept_again_ != kNever && !ListOf(Phase::kClosed).empty())) {
    WatchListeners(true);
  }
  std::erase_if(queued_, [](const Connection* c) { return c->phase == Phase::kClosed; });
  ListOf(Phase::kClosed).clear();
  metrics_.Connections(open_);
  last_turn_ = clock_.Now().time_since_epoch().count();
}

void Loop::OnEvents(Connection& connection, uint32_t events) {
  if (connection.phase == Phase::kClosed) return;
  if ((events & (EPOLLERR | EPOLLHUP)) != 0) return Close(connection);
  switch (connection.phase) {
    case Phase::kIdle:
    case Phase::kReceiving:
      // What is already here goes first; epoll reports the rest again.
      if (!connection.queued) Read(connection);
      break;
    case Phase::kWriting:
      if ((events & EPOLLOUT) != 0) Send(connection);
      // It will send no more, but may still be reading.
      if (connection.phase == Phase::kWriting && (events & EPOLLRDHUP) != 0) {
        SetInterest(connection, EPOLLOUT);
      }
      break;
    case Phase::kLingering:
      Discard(connection);
      break;
    case Phase::kClosed:
      break;
  }
}

void Loop::ContinueQueued() {
  std::vector<Connection*> turn;
  turn.swap(queued_);
  for (Connection* connection : turn) {
    connection->queued = false;
    if (connection->phase != Phase::kIdle && connection->phase != Phase::kReceiving) continue;
    const std::string bytes = std::exchange(connection->unread, {});
    Process(*connection, bytes);
  }
}

void Loop::CheckDeadlines() {
  const auto oldest_due = [&](Phase phase, Duration limit) -> Connection* {
    Connections& list = ListOf(phase);
    return !list.empty() && list.front().since + limit <= now_ ? &list.front() : nullptr;
  };
  while (Connection* late = oldest_due(Phase::kReceiving, limits_.request_timeout)) {
    RefuseAndClose(*late, 408,
                   "the request did not arrive within " + FormatDuration(limits_.request_timeout));
  }
  while (Connection* slow =
             oldest_due(Phase::kWriting, limits_.write_timeout / kLooksPerWriteTimeout)) {
    if (slow->TookSomething()) slow->moved = now_;
    if (now_ - slow->moved < limits_.write_timeout) {
      Enter(*slow, Phase::kWriting);
      continue;
    }
    metrics_.DroppedSlowReader();
    Close(*slow);
  }
  while (Connection* late = oldest_due(Phase::kLingering, limits_.linger)) Close(*late);
}

void Loop::CloseAll(Phase phase) {
  while (!ListOf(phase).empty()) Close(ListOf(phase).front());
}

void Loop::Drain() {
  while (sources_.size() > 1) sources_.pop_back();
  listeners_.clear();
  accept_again_ = kNever;
  stopping_ = true;
  Turn(clock_.Now());  // requests that are already here
  const TimePoint deadline = clock_.Now() + limits_.stop_grace;
  do {
    CloseAll(Phase::kIdle);
    CloseAll(Phase::kReceiving);
    CloseAll(Phase::kLingering);
    if (ListOf(Phase::kWriting).empty()) break;
    Turn(deadline);
  } while (clock_.Now() < deadline);
  for (const Phase phase : {Phase::kIdle, Phase::kReceiving, Phase::kWriting, Phase::kLingering}) {
    CloseAll(phase);
  }
  queued_.clear();
  ListOf(Phase::kClosed).clear();
  metrics_.Connections(open_);
}

void Loop::Accept(const Listener& listener) {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    Connection* expendable = nullptr;
    if (open_ >= max_connections_) {
      expendable = Expendable();
      if (expendable == nullptr) return WatchListeners(false);
    }
    const int fd = ::accept4(listener.fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      if (expendable != nullptr) MakeRoom(*expendable);
      Adopt(UniqueFd(fd), listener.is_unix());
    } else if (errno == EMFILE || errno == ENFILE) {
      // The kernel says so even when the queue is empty.
      if (!SomebodyWaits(listener.fd())) return;
      expendable = Expendable();
      if (expendable == nullptr) return WatchListeners(false);
      MakeRoom(*expendable);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return;
    } else if (errno == ENOBUFS || errno == ENOMEM) {
      return WatchListeners(false);
    }
  }
}

void Loop::Adopt(UniqueFd fd, bool over_unix_socket) {
  Connections& idle = ListOf(Phase::kIdle);
  Connection& connection = idle.emplace_back(std::move(fd), over_unix_socket, limits_);
  connection.self = std::prev(idle.end());
  connection.since = now_;
  connection.interest = EPOLLIN | EPOLLRDHUP;
  ++open_;
  epoll_event event{};
  event.events = connection.interest;
  event.data.ptr = static_cast<Watched*>(&connection);
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, connection.fd(), &event) != 0) Close(connection);
}

Connection* Loop::Expendable() {
  for (const Phase phase : {Phase::kLingering, Phase::kIdle}) {
    if (!ListOf(phase).empty()) return &ListOf(phase).front();
  }
  Connections& receiving = ListOf(Phase::kReceiving);
  if (!receiving.empty() && receiving.front().since + kSuspiciouslySlow <= now_) {
    return &receiving.front();
  }
  return nullptr;
}

void Loop::MakeRoom(Connection& expendable) {
  metrics_.DroppedForDescriptors();
  if (now_ >= next_full_warning_) {
    next_full_warning_ = now_ + kWarningInterval;
    log_.Warn(
        "the descriptors for HTTP clients are used up; the oldest idle connections are closed",
        {{"connections", open_}, {"limit", max_connections_}});
  }
  Close(expendable);
}

// Off while there is no descriptor to spare: those who wait stay in the kernel's queue.
void Loop::WatchListeners(bool on) {
  accept_again_ = on ? kNever : now_ + kAcceptPause;
  for (Source& source : sources_) {
    if (source.listener == nullptr) continue;
    epoll_event event{};
    event.events = on ? uint32_t{EPOLLIN} : 0;
    event.data.ptr = static_cast<Watched*>(&source);
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, source.listener->fd(), &event);
  }
}

}  // namespace rosterd::http
