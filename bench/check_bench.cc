// SPDX-License-Identifier: Apache-2.0
// check_bench [CHECKS [HOLES [SECONDS]]]: the real HealthChecker and HttpProbe with so many checks
// every second, so many of them against a target that accepts and never answers. Prints how late
// the other ones were answered from start to start, and the CPU time that it took. Measures, never
// judges.
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "health/health_checker.h"
#include "health/http_probe.h"

namespace rosterd {
namespace {

constexpr char kAnswer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

int Listen(uint16_t& port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  if (fd < 0 || ::bind(fd, reinterpret_cast<sockaddr*>(&address), length) != 0 ||
      ::listen(fd, 4096) != 0 ||
      ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    std::perror("listen");
    std::exit(1);
  }
  port = ntohs(address.sin_port);
  return fd;
}

// Answers every read on `good`, nothing on `hole`; one thread.
class Targets {
 public:
  Targets() : good_fd_(Listen(good_)), hole_fd_(Listen(hole_)), epoll_fd_(::epoll_create1(0)) {
    Watch(good_fd_);
    Watch(hole_fd_);
    thread_ = std::jthread([this](std::stop_token stop) { Run(stop); });
  }
  uint16_t good() const { return good_; }
  uint16_t hole() const { return hole_; }
  double cpu_seconds() const { return cpu_seconds_; }
  int connections() const { return connections_; }
  void Stop() {
    thread_.request_stop();
    thread_.join();
  }

 private:
  void Watch(int fd) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    ::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event);
  }
  void Accept(int listener) {
    for (int fd; (fd = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK)) >= 0;) {
      const auto index = static_cast<size_t>(fd);
      if (index >= silent_.size()) silent_.resize(index + 1024);
      silent_[index] = listener == hole_fd_;
      connections_ += listener == good_fd_ ? 1 : 0;
      Watch(fd);
    }
  }
  void Run(std::stop_token stop) {
    std::vector<epoll_event> events(512);
    while (!stop.stop_requested()) {
      const int count = ::epoll_wait(epoll_fd_, events.data(), 512, 100);
      for (int i = 0; i < count; ++i) {
        const int fd = events[static_cast<size_t>(i)].data.fd;
        if (fd == good_fd_ || fd == hole_fd_) {
          Accept(fd);
          continue;
        }
        char buffer[2048];
        const ssize_t got = ::recv(fd, buffer, sizeof buffer, 0);
        if (got <= 0) {
          ::close(fd);
        } else if (!silent_[static_cast<size_t>(fd)]) {
          (void)!::send(fd, kAnswer, sizeof kAnswer - 1, MSG_NOSIGNAL);
        }
      }
    }
    rusage used{};
    getrusage(RUSAGE_THREAD, &used);
    cpu_seconds_ = static_cast<double>(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                   static_cast<double>(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
  }

  uint16_t good_ = 0, hole_ = 0;
  const int good_fd_, hole_fd_, epoll_fd_;
  std::vector<bool> silent_;
  std::atomic<int> connections_{0};
  std::atomic<double> cpu_seconds_{0};
  std::jthread thread_;
};

// Notes when each check is started, on the prober thread.
class Recorder final : public Probe {
 public:
  explicit Recorder(std::unique_ptr<Probe> real) : real_(std::move(real)) {}

  void Add(CheckId id, const CheckConfig& check) override {
    silent_[id] = check.url.find("/hole") != std::string::npos;
    real_->Add(id, check);
  }
  void Remove(CheckId id) override { real_->Remove(id); }
  void Start(CheckId id, TimePoint now) override {
    const auto before = last_start_.find(id);
    if (before != last_start_.end() && !silent_[id]) {
      late_.push_back(now - before->second - seconds(1));
    }
    last_start_[id] = now;
    real_->Start(id, now);
  }
  void Collect(std::vector<ProbeResult>& results) override {
    const size_t before = results.size();
    real_->Collect(results);
    for (size_t i = before; i < results.size(); ++i) {
      const ProbeResult& result = results[i];
      if (silent_[result.id]) continue;
      durations_.push_back(result.duration);
      failures_ += result.success ? 0 : 1;
    }
  }
  void Wait(TimePoint until) override { real_->Wait(until); }
  void Wake() override { real_->Wake(); }

  // After the end of the prober.
  std::vector<Duration> late_, durations_;
  int failures_ = 0;

 private:
  std::unique_ptr<Probe> real_;
  std::map<CheckId, bool> silent_;
  std::map<CheckId, TimePoint> last_start_;
};

void Print(const char* what, std::vector<Duration>& values) {
  if (values.empty()) return;
  std::sort(values.begin(), values.end());
  const auto at = [&](double share) {
    const auto index = static_cast<size_t>(share * static_cast<double>(values.size() - 1));
    return std::chrono::duration<double, std::milli>(values[index]).count();
  };
  std::printf("%s: n %zu, p50 %.2f ms, p99 %.2f ms, max %.2f ms\n", what, values.size(), at(0.5),
              at(0.99), at(1));
}

double CpuSeconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  return static_cast<double>(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
         static_cast<double>(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

std::shared_ptr<const Config> MakeConfig(const Targets& targets, int checks, int holes) {
  auto config = std::make_shared<Config>();
  for (int i = 0; i < checks; ++i) {
    const bool hole = i < holes;
    auto service = std::make_shared<ServiceConfig>();
    char id[32];
    std::snprintf(id, sizeof id, "s%06d", i);
    service->name = service->id = id;
    service->port = 1;
    CheckConfig check;
    check.url = "http://127.0.0.1:" + std::to_string(hole ? targets.hole() : targets.good()) +
                (hole ? "/hole" : "/healthz");
    check.interval = check.fast_interval = seconds(1);
    check.timeout = milliseconds(400);
    service->checks.push_back(check);
    config->services.push_back(service);
  }
  return config;
}

int Main(int checks, int holes, int run_seconds) {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);

  Targets targets;
  SystemClock clock;
  Log log(LogLevel::kError, LogFormat::kText);
  Metrics metrics;
  auto probe = HttpProbe::Create(clock);
  if (!probe.ok()) {
    std::fprintf(stderr, "%s\n", std::string(probe.status().message()).c_str());
    return 1;
  }
  auto owned = std::make_unique<Recorder>(std::move(*probe));
  Recorder* recorder = owned.get();
  HealthChecker checker(clock, log, metrics, std::move(owned), 1);
  checker.Apply(MakeConfig(targets, checks, holes));
  const double cpu_before = CpuSeconds();
  checker.Start();
  std::this_thread::sleep_for(seconds(run_seconds));
  checker.Stop();
  const double cpu = CpuSeconds() - cpu_before;
  targets.Stop();

  std::printf("%d checks every second, %d of them black holes, %d s\n", checks, holes, run_seconds);
  Print("start to start beyond 1 s, answering targets", recorder->late_);
  Print("time of a run, answering targets", recorder->durations_);
  std::printf("failures of answering targets: %d; connections to them: %d\n", recorder->failures_,
              targets.connections());
  std::printf("CPU of the prober: %.1f %% of a core\n",
              100 * (cpu - targets.cpu_seconds()) / run_seconds);
  return 0;
}

}  // namespace
}  // namespace rosterd

int main(int argc, char** argv) {
  const auto argument = [&](int i, int otherwise) {
    return argc > i ? std::max(std::atoi(argv[i]), 1) : otherwise;
  };
  return rosterd::Main(argument(1, 1000), argument(2, 200), argument(3, 10));
}
