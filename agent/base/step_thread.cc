// SPDX-License-Identifier: Apache-2.0
#include "base/step_thread.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <system_error>

namespace rosterd {
namespace {

void ArmTimer(int fd, TimePoint when) {
  itimerspec spec{};
  if (when != kNever) {
    // 0 would switch the timer off and less is refused: both mean "at once".
    const auto since = std::max<Duration::rep>(when.time_since_epoch().count(), 1);
    spec.it_value.tv_sec = since / 1'000'000'000;
    spec.it_value.tv_nsec = since % 1'000'000'000;
  }
  timerfd_settime(fd, TFD_TIMER_ABSTIME, &spec, nullptr);
}

void Drain(int fd) {
  uint64_t count = 0;
  while (::read(fd, &count, sizeof count) < 0 && errno == EINTR) {
  }
}

UniqueFd Checked(int fd, const char* what) {
  if (fd < 0) throw std::system_error(errno, std::generic_category(), what);
  return UniqueFd(fd);
}

}  // namespace

void NameThisThread(const std::string& name) {
  pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
}

StepThread::StepThread(const std::string& name, const Clock& clock, Step step)
    : name_(name),
      clock_(clock),
      step_(std::move(step)),
      wake_fd_(Checked(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd")),
      timer_fd_(Checked(timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK), "timerfd")) {}

StepThread::~StepThread() { Stop(); }

void StepThread::Start() {
  thread_ = std::jthread([this](std::stop_token stop) { Run(stop); });
}

void StepThread::Wake() const {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(wake_fd_.get(), &one, sizeof one);
}

void StepThread::Stop() {
  thread_.request_stop();
  Wake();
  std::lock_guard lock(join_mutex_);
  if (thread_.joinable()) thread_.join();
}

bool StepThread::StopWithin(Duration limit) {
  thread_.request_stop();
  Wake();
  std::lock_guard lock(join_mutex_);
  if (!thread_.joinable()) return true;
  if (end_.wait_for(limit) != std::future_status::ready) return false;
  thread_.join();
  return true;
}

TimePoint StepThread::LastTurn(TimePoint now) const {
  const Duration::rep began = step_began_.load();
  return began == 0 ? now : TimePoint(Duration(began));
}

void StepThread::Run(std::stop_token stop) {
  NameThisThread(name_);
  while (!stop.stop_requested()) {
    const TimePoint now = clock_.Now();
    step_began_ = now.time_since_epoch().count();
    const TimePoint next = step_(now);
    step_began_ = 0;
    ArmTimer(timer_fd_.get(), next);
    if (stop.stop_requested()) break;
    pollfd fds[2] = {{wake_fd_.get(), POLLIN, 0}, {timer_fd_.get(), POLLIN, 0}};
    while (::poll(fds, 2, -1) < 0 && errno == EINTR) {
    }
    if (fds[0].revents != 0) Drain(wake_fd_.get());
    if (fds[1].revents != 0) Drain(timer_fd_.get());
  }
  ended_.set_value();
}

}  // namespace rosterd
