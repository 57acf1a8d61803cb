// SPDX-License-Identifier: Apache-2.0
#include "base/step_thread.h"

#include <poll.h>
#include <pthread.h>

#include <cerrno>
#include <system_error>

#include "base/event_fd.h"

namespace rosterd {
namespace {

UniqueFd Checked(UniqueFd fd, const char* what) {
  if (!fd.valid()) throw std::system_error(errno, std::generic_category(), what);
  return fd;
}

}  // namespace

void NameThisThread(const std::string& name) {
  pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
}

StepThread::StepThread(const std::string& name, const Clock& clock, Step step)
    : name_(name),
      clock_(clock),
      step_(std::move(step)),
      wake_fd_(Checked(MakeWakeFd(), "eventfd")),
      timer_fd_(Checked(MakeBootTimer(), "timerfd")) {}

StepThread::~StepThread() { Stop(); }

void StepThread::Start() {
  thread_ = std::jthread([this](std::stop_token stop) { Run(stop); });
}

void StepThread::Wake() const { Raise(wake_fd_.get()); }

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
    ArmBootTimer(timer_fd_.get(), next);
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
