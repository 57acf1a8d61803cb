// SPDX-License-Identifier: Apache-2.0
#include "etcd/dev_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <system_error>
#include <utility>

#include "base/status.h"
#include "base/unique_fd.h"

namespace rosterd::etcd {
namespace {

// Below the kernel's range for outgoing connections, so that none of those takes the port between
// our look and etcd's bind.
constexpr uint16_t kFirstPort = 20000;
constexpr uint16_t kLastPort = 32000;
constexpr int kPortAttempts = 200;
// Somebody else may take a port in that gap all the same.
constexpr int kStartAttempts = 4;
constexpr Duration kStopGrace = milliseconds(500);

sockaddr_in Loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

absl::StatusOr<uint16_t> FreePort(std::random_device& random) {
  for (int i = 0; i < kPortAttempts; ++i) {
    const auto port = static_cast<uint16_t>(kFirstPort + random() % (kLastPort - kFirstPort));
    const UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_in address = Loopback(port);
    if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
      return port;
    }
  }
  return absl::UnavailableError("no free port on 127.0.0.1 between " + std::to_string(kFirstPort) +
                                " and " + std::to_string(kLastPort));
}

std::string Url(uint16_t port) { return "http://127.0.0.1:" + std::to_string(port); }

// What GET /health says, "" for no answer within a second. Plain HTTP, because nothing may use gRPC
// before every fork is done.
std::string AskHealth(uint16_t port) {
  const UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in address = Loopback(port);
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return "";
  }
  constexpr std::string_view kRequest = "GET /health HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n";
  if (send(fd.get(), kRequest.data(), kRequest.size(), MSG_NOSIGNAL) < 0) return "";
  std::string answer;
  char buffer[1024];
  pollfd readable{fd.get(), POLLIN, 0};
  while (answer.size() < sizeof buffer && poll(&readable, 1, 1000) > 0) {
    const ssize_t n = recv(fd.get(), buffer, sizeof buffer, 0);
    if (n <= 0) break;
    answer.append(buffer, static_cast<size_t>(n));
  }
  return answer;
}

}  // namespace

absl::StatusOr<std::unique_ptr<DevServer>> DevServer::Start(Options options) {
  std::error_code no_temp;
  std::filesystem::path temp = std::filesystem::temp_directory_path(no_temp);
  if (no_temp) temp = "/tmp";
  std::string directory = (temp / "rosterd-dev-XXXXXX").string();
  if (mkdtemp(directory.data()) == nullptr) {
    return absl::InternalError("cannot make a directory '" + directory + "': " + strerror(errno));
  }
  std::unique_ptr<DevServer> server(new DevServer(std::move(options), directory));
  std::random_device random;
  absl::Status status;
  for (int i = 0; i < kStartAttempts; ++i) {
    ASSIGN_OR_RETURN(server->client_port_, FreePort(random));
    do {
      ASSIGN_OR_RETURN(server->peer_port_, FreePort(random));
    } while (server->peer_port_ == server->client_port_);
    server->health_port_ = server->client_port_;
    while (server->options_.tls && (server->health_port_ == server->client_port_ ||
                                    server->health_port_ == server->peer_port_)) {
      ASSIGN_OR_RETURN(server->health_port_, FreePort(random));
    }
    status = server->Launch();
    if (status.ok()) return server;
    if (!absl::IsAborted(status)) break;
    std::error_code ignored;
    std::filesystem::remove_all(directory + "/data", ignored);
  }
  return status;
}

DevServer::DevServer(Options options, std::string directory)
    : options_(std::move(options)), directory_(std::move(directory)) {}

DevServer::~DevServer() {
  process_.Stop(kStopGrace);
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

std::string DevServer::endpoint() const {
  return (options_.tls ? "https://127.0.0.1:" : "http://127.0.0.1:") + std::to_string(client_port_);
}

absl::Status DevServer::Restart() { return Launch(); }

absl::Status DevServer::Launch() {
  // Half a second of election time-out halves the start of a single member.
  std::vector<std::string> argv{"etcd",
                                "--name=dev",
                                "--data-dir=" + directory_ + "/data",
                                "--listen-client-urls=" + endpoint(),
                                "--advertise-client-urls=" + endpoint(),
                                "--listen-peer-urls=" + Url(peer_port_),
                                "--initial-advertise-peer-urls=" + Url(peer_port_),
                                "--initial-cluster=dev=" + Url(peer_port_),
                                "--heartbeat-interval=50",
                                "--election-timeout=500",
                                "--logger=zap",
                                "--log-level=error"};
  if (options_.tls) argv.push_back("--listen-metrics-urls=" + Url(health_port_));
  argv.insert(argv.end(), options_.flags.begin(), options_.flags.end());
  ChildProcess::Options child;
  child.output_file = LogFile();
  child.drop_prefix = "ETCD_";  // a variable beside a flag is an error to etcd
  std::error_code ignored;
  std::filesystem::remove(LogFile(), ignored);
  absl::StatusOr<ChildProcess> started = ChildProcess::Start(argv, std::move(child));
  if (absl::IsNotFound(started.status())) {
    return absl::NotFoundError(std::string(started.status().message()) +
                               "; install etcd (Debian: apt install etcd-server)");
  }
  if (!started.ok()) return started.status();
  process_ = std::move(*started);
  return WaitUntilHealthy();
}

absl::Status DevServer::WaitUntilHealthy() {
  const TimePoint end = BootClock::now() + options_.start_limit;
  while (BootClock::now() < end) {
    // Another process on a port that we lost would answer too: ours must live.
    if (!process_.Running()) return absl::AbortedError("etcd ended at once: " + Complaint());
    if (AskHealth(health_port_).find("\"health\":\"true\"") != std::string::npos &&
        process_.Running()) {
      return absl::OkStatus();
    }
    poll(nullptr, 0, 5);
  }
  process_.Stop(Duration::zero());
  return absl::DeadlineExceededError("etcd did not answer in time: " + Complaint());
}

std::string DevServer::Complaint() const {
  std::ifstream log(LogFile());
  std::string line;
  if (!std::getline(log, line) || line.empty()) return "it said nothing";
  return line.substr(0, line.find(",\"stacktrace\""));
}

std::string DevServer::LogFile() const { return directory_ + "/log"; }

}  // namespace rosterd::etcd
