// SPDX-License-Identifier: Apache-2.0
#include "health/curl_loop.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string>

#include "base/event_fd.h"

namespace rosterd {
namespace {

constexpr int kEventsPerTurn = 256;
// Handshakes cost milliseconds each: what is due must not wait for a queue of them.
constexpr Duration kLongestTurn = milliseconds(10);

absl::Status Failed(const char* call) {
  return absl::ResourceExhaustedError(std::string("health checks cannot start: ") + call + ": " +
                                      std::strerror(errno));
}

bool Watch(int epoll_fd, int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  return ::epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

}  // namespace

absl::StatusOr<std::unique_ptr<CurlLoop>> CurlLoop::Create(const Clock& clock) {
  if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
    return absl::InternalError("health checks cannot start: libcurl does not initialize");
  }
  std::unique_ptr<CurlLoop> loop(new CurlLoop(clock));
  loop->epoll_fd_ = UniqueFd(::epoll_create1(EPOLL_CLOEXEC));
  if (!loop->epoll_fd_.valid()) return Failed("epoll_create1");
  loop->wake_fd_ = MakeWakeFd();
  if (!loop->wake_fd_.valid()) return Failed("eventfd");
  loop->timer_fd_ = MakeBootTimer();
  if (!loop->timer_fd_.valid()) return Failed("timerfd_create");
  if (!Watch(loop->epoll_fd_.get(), loop->wake_fd_.get()) ||
      !Watch(loop->epoll_fd_.get(), loop->timer_fd_.get())) {
    return Failed("epoll_ctl");
  }
  loop->multi_.reset(curl_multi_init());
  if (loop->multi_ == nullptr) {
    return absl::ResourceExhaustedError("health checks cannot start: libcurl has no memory");
  }
  CURLM* multi = loop->multi_.get();
  curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, &CurlLoop::OnSocket);
  curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, loop.get());
  curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, &CurlLoop::OnTimer);
  curl_multi_setopt(multi, CURLMOPT_TIMERDATA, loop.get());
  curl_multi_setopt(multi, CURLMOPT_PIPELINING, static_cast<long>(CURLPIPE_NOTHING));
  return loop;
}

// Closing the kept connections calls OnSocket.
CurlLoop::~CurlLoop() { multi_.reset(); }

bool CurlLoop::Add(CURL* easy) { return curl_multi_add_handle(multi_.get(), easy) == CURLM_OK; }

void CurlLoop::Remove(CURL* easy) {
  curl_multi_remove_handle(multi_.get(), easy);
  std::replace(active_.begin(), active_.end(), easy, static_cast<CURL*>(nullptr));
  std::erase_if(done_, [easy](const auto& done) { return done.first == easy; });
}

void CurlLoop::KeepConnections(size_t count) {
  curl_multi_setopt(multi_.get(), CURLMOPT_MAXCONNECTS, static_cast<long>(count));
}

int CurlLoop::OnSocket(CURL* easy, curl_socket_t fd, int what, void* self, void*) {
  auto& loop = *static_cast<CurlLoop*>(self);
  const auto index = static_cast<size_t>(fd);
  if (index >= loop.users_.size()) loop.users_.resize(index + 64, nullptr);
  if (what == CURL_POLL_REMOVE) {
    loop.users_[index] = nullptr;
    ::epoll_ctl(loop.epoll_fd_.get(), EPOLL_CTL_DEL, fd, nullptr);
    return 0;
  }
  const bool known = loop.users_[index] != nullptr;
  loop.users_[index] = easy;
  epoll_event event{};
  event.events =
      ((what & CURL_POLL_IN) != 0 ? EPOLLIN : 0u) | ((what & CURL_POLL_OUT) != 0 ? EPOLLOUT : 0u);
  event.data.fd = fd;
  // A descriptor number may have changed hands without a word.
  const int first = known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
  const int second = known ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
  if (::epoll_ctl(loop.epoll_fd_.get(), first, fd, &event) != 0) {
    ::epoll_ctl(loop.epoll_fd_.get(), second, fd, &event);
  }
  return 0;
}

int CurlLoop::OnTimer(CURLM*, long timeout_ms, void* self) {
  auto& loop = *static_cast<CurlLoop*>(self);
  loop.curl_due_ = timeout_ms < 0 ? kNever : loop.clock_.Now() + milliseconds(timeout_ms);
  return 0;
}

void CurlLoop::RunTimers(TimePoint now) {
  if (curl_due_ > now) return;
  curl_due_ = kNever;
  int running = 0;
  curl_multi_socket_action(multi_.get(), CURL_SOCKET_TIMEOUT, 0, &running);
}

void CurlLoop::ArmTimer(TimePoint until) {
  if (until == timer_set_for_) return;
  ArmBootTimer(timer_fd_.get(), until);
  timer_set_for_ = until;
}

bool CurlLoop::Turn(TimePoint until) {
  active_.clear();
  const TimePoint begin = clock_.Now();
  // New transfers begin here; on a kept connection one may even end here.
  RunTimers(begin);
  CollectDone();
  until = done_.empty() ? std::min(until, curl_due_) : begin;
  const int timeout_ms = until > begin ? -1 : 0;
  if (until > begin) ArmTimer(until);
  std::array<epoll_event, kEventsPerTurn> events;
  const int count =
      std::max(::epoll_wait(epoll_fd_.get(), events.data(), kEventsPerTurn, timeout_ms), 0);
  const TimePoint awake = clock_.Now();
  bool cut_short = count == kEventsPerTurn;
  for (int i = 0; i < count; ++i) {
    const int fd = events[static_cast<size_t>(i)].data.fd;
    const uint32_t what = events[static_cast<size_t>(i)].events;
    if (fd == wake_fd_.get() || fd == timer_fd_.get()) {
      Drain(fd);
      if (fd == timer_fd_.get()) timer_set_for_ = kNever;
      continue;
    }
    CURL* user = users_[static_cast<size_t>(fd)];
    if (user == nullptr) continue;
    active_.push_back(user);
    int mask = 0;
    if ((what & EPOLLIN) != 0) mask |= CURL_CSELECT_IN;
    if ((what & EPOLLOUT) != 0) mask |= CURL_CSELECT_OUT;
    if ((what & (EPOLLERR | EPOLLHUP)) != 0) mask |= CURL_CSELECT_IN | CURL_CSELECT_OUT;
    int running = 0;
    curl_multi_socket_action(multi_.get(), fd, mask, &running);
    if (clock_.Now() - awake > kLongestTurn && i + 1 < count) {
      cut_short = true;
      break;
    }
  }
  RunTimers(clock_.Now());
  CollectDone();
  return cut_short;
}

void CurlLoop::CollectDone() {
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_.get(), &left)) {
    if (message->msg == CURLMSG_DONE) {
      done_.emplace_back(message->easy_handle, message->data.result);
    }
  }
}

void CurlLoop::Wake() const { Raise(wake_fd_.get()); }

}  // namespace rosterd
