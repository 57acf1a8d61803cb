// SPDX-License-Identifier: Apache-2.0
// How much later a change in etcd is visible in GET /services/NAME than in a bare gRPC watch of the
// same process, in one run: a writer changes one key, a watch on a channel of its own notes when it
// sees the change, and an HTTP client asks the agent over and over until it shows it. In a storm,
// other keys under the prefix change at the same time; both watches see all of it.
// Usage: change_latency ETCD_URL AGENT_HOST:PORT CHANGES [STORM_WRITES_PER_SECOND]
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/net_address.h"
#include "base/unique_fd.h"
#include "etcd/endpoint.h"
#include "etcd/grpc_client.h"

namespace rosterd {
namespace {

[[noreturn]] void Die(const std::string& why) {
  std::fprintf(stderr, "change_latency: %s\n", why.c_str());
  std::exit(1);
}

// One keep-alive connection that asks for the service and reads its index.
class AgentClient {
 public:
  explicit AgentClient(const HostPort& address)
      : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in target{};
    target.sin_family = AF_INET;
    target.sin_port = htons(address.port);
    inet_pton(AF_INET, address.host.c_str(), &target.sin_addr);
    if (::connect(fd_.get(), reinterpret_cast<sockaddr*>(&target), sizeof target) != 0)
      Die("cannot reach the agent");
    const int one = 1;
    setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  }

  int64_t Index() {
    static const std::string kRequest = "GET /services/bench HTTP/1.1\r\nHost: localhost\r\n\r\n";
    if (::send(fd_.get(), kRequest.data(), kRequest.size(), 0) < 0) Die("send failed");
    std::string answer;
    char buffer[4096];
    for (;;) {
      const ssize_t n = ::recv(fd_.get(), buffer, sizeof buffer, 0);
      if (n <= 0) Die("the agent closed the connection");
      answer.append(buffer, static_cast<size_t>(n));
      const size_t head = answer.find("\r\n\r\n");
      if (head == std::string::npos) continue;
      if (answer.size() >= head + 4 + Number(answer, "Content-Length: "))
        return Number(answer, "X-Rosterd-Index: ");
    }
  }

 private:
  static size_t Number(const std::string& answer, const std::string& header) {
    const size_t at = answer.find(header);
    if (at == std::string::npos) return 0;
    return std::strtoull(answer.c_str() + at + header.size(), nullptr, 10);
  }

  UniqueFd fd_;
};

double Percentile(std::vector<double> values, double p) {
  std::sort(values.begin(), values.end());
  return values[std::min(values.size() - 1,
                         static_cast<size_t>(p * static_cast<double>(values.size())))];
}

double Microseconds(Duration d) { return static_cast<double>(d.count()) / 1000; }

// Changes other services' keys at a steady rate, in revisions of one change each.
class Storm {
 public:
  Storm(const etcd::Endpoint& endpoint, int writes_per_second) {
    if (writes_per_second == 0) return;
    for (int n = 0; n < kWriters; ++n) {
      writers_.emplace_back([this, endpoint, n, writes_per_second](std::stop_token stop) {
        etcd::GrpcClient client(endpoint);
        const Duration pause = Duration(seconds(1)) * kWriters / writes_per_second;
        const std::string key = "/services/storm-" + std::to_string(n) + "/one";
        int64_t mod_revision = 0;
        TimePoint due = BootClock::now();
        for (int round = 0; !stop.stop_requested(); ++round) {
          etcd::GuardedWrite write;
          write.key = key;
          write.value = "10.0.0.2:" + std::to_string(1000 + round % 60'000);
          write.expected_mod_revision = mod_revision;
          const auto answer = client.Write({write}, seconds(5));
          if (!answer.ok()) Die(answer.error().Describe());
          mod_revision = answer->answers[0].done      ? answer->header.revision
                         : answer->answers[0].current ? answer->answers[0].current->mod_revision
                                                      : 0;
          ++written_;
          due += pause;
          std::this_thread::sleep_until(due);
        }
      });
    }
  }
  int64_t written() const { return written_; }

 private:
  static constexpr int kWriters = 16;
  std::atomic<int64_t> written_{0};
  std::vector<std::jthread> writers_;
};

int Run(const std::string& url, const HostPort& agent_address, int changes, int storm_rate) {
  const auto endpoint = etcd::ParseEndpoint(url);
  if (!endpoint.ok()) Die(std::string(endpoint.status().message()));
  etcd::GrpcClient writer(*endpoint);
  etcd::GrpcClient watched(*endpoint);
  AgentClient agent(agent_address);

  const auto start = writer.Ping(seconds(5));
  if (!start.ok()) Die(start.error().Describe());
  const std::string key = "/services/bench/bench-" + std::to_string(::getpid());
  std::atomic<int64_t> seen_revision{0};
  std::atomic<int64_t> seen_at{0};
  std::atomic<bool> open{false};
  std::jthread watch([&](std::stop_token stop) {
    (void)watched.Watch("/services/", start->revision + 1, seconds(5), stop,
                        [&](const etcd::WatchBatch& batch) {
                          for (const etcd::WatchEvent& event : batch.events) {
                            if (event.kv.key != key) continue;
                            seen_at = BootClock::now().time_since_epoch().count();
                            seen_revision = event.kv.mod_revision;
                          }
                          open = true;
                          return true;
                        });
  });
  while (!open) std::this_thread::sleep_for(milliseconds(1));

  const Storm storm(*endpoint, storm_rate);
  const TimePoint storm_began = BootClock::now();
  std::vector<double> added, visible, bare;
  int64_t index = agent.Index();
  std::atomic<int64_t> mod_revision{0};
  for (int n = 0; n < changes; ++n) {
    etcd::GuardedWrite write;
    write.key = key;
    write.value = "10.0.0.1:" + std::to_string(1000 + n);
    write.expected_mod_revision = mod_revision;
    const TimePoint began = BootClock::now();
    std::jthread put([&] {
      const auto answer = writer.Write({write}, seconds(5));
      if (!answer.ok()) Die(answer.error().Describe());
      if (!answer->answers[0].done) Die("somebody else writes the key of this measurement");
      mod_revision = answer->header.revision;
    });
    TimePoint shown;
    const int64_t before = index;
    do {
      index = agent.Index();
      shown = BootClock::now();
    } while (index <= before);
    put.join();
    while (seen_revision < index) std::this_thread::sleep_for(std::chrono::microseconds(50));
    const TimePoint watched_at{Duration(seen_at.load())};
    if (n > 0) {  // the first one is "not there" before
      added.push_back(Microseconds(shown - watched_at));
      visible.push_back(Microseconds(shown - began));
      bare.push_back(Microseconds(watched_at - began));
    }
    std::this_thread::sleep_for(milliseconds(2));
  }
  watch.request_stop();
  const double storm_s = Microseconds(BootClock::now() - storm_began) / 1e6;
  std::printf("storm_per_s=%.0f\n", static_cast<double>(storm.written()) / storm_s);
  std::printf(
      "bare_p50_us=%.0f\nadded_p50_us=%.0f\nadded_p99_us=%.0f\nvisible_p50_us=%.0f\nvisible_p99_us="
      "%.0f\n",
      Percentile(bare, 0.5), Percentile(added, 0.5), Percentile(added, 0.99),
      Percentile(visible, 0.5), Percentile(visible, 0.99));
  return 0;
}

}  // namespace
}  // namespace rosterd

int main(int argc, char** argv) {
  if (argc != 4 && argc != 5) {
    std::fprintf(stderr,
                 "usage: change_latency ETCD_URL AGENT_HOST:PORT CHANGES [WRITES_PER_SECOND]\n");
    return 2;
  }
  const auto agent = rosterd::ParseHostPort(argv[2]);
  if (!agent.ok()) rosterd::Die(std::string(agent.status().message()));
  return rosterd::Run(argv[1], *agent, std::atoi(argv[3]), argc == 5 ? std::atoi(argv[4]) : 0);
}
