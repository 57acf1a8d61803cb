// SPDX-License-Identifier: Apache-2.0
#include "http_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstring>

namespace rosterd::testing {
namespace {

using SteadyClock = std::chrono::steady_clock;
constexpr std::chrono::seconds kDeadline{10};

UniqueFd Connect(const std::string& address, int receive_buffer) {
  sockaddr_storage storage{};
  socklen_t length = 0;
  if (address.starts_with("unix:")) {
    auto& to = reinterpret_cast<sockaddr_un&>(storage);
    to.sun_family = AF_UNIX;
    address.copy(to.sun_path, sizeof to.sun_path - 1, 5);
    length = sizeof to;
  } else {
    const size_t colon = address.rfind(':');
    const auto port = htons(static_cast<uint16_t>(std::stoi(address.substr(colon + 1))));
    if (address.front() == '[') {
      auto& to = reinterpret_cast<sockaddr_in6&>(storage);
      to.sin6_family = AF_INET6;
      to.sin6_port = port;
      inet_pton(AF_INET6, address.substr(1, colon - 2).c_str(), &to.sin6_addr);
      length = sizeof to;
    } else {
      auto& to = reinterpret_cast<sockaddr_in&>(storage);
      to.sin_family = AF_INET;
      to.sin_port = port;
      inet_pton(AF_INET, address.substr(0, colon).c_str(), &to.sin_addr);
      length = sizeof to;
    }
  }
  UniqueFd fd(::socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (receive_buffer > 0) {
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  }
  if (storage.ss_family != AF_UNIX) {
    const int on = 1;
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&storage), length) != 0) fd.Reset();
  return fd;
}

bool WaitFor(int fd, short events, SteadyClock::time_point deadline) {
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(deadline - SteadyClock::now()).count();
  pollfd poll{fd, events, 0};
  return left > 0 && ::poll(&poll, 1, static_cast<int>(left)) > 0;
}

}  // namespace

HttpClient::HttpClient(const std::string& address, int receive_buffer)
    : fd_(Connect(address, receive_buffer)) {}

bool HttpClient::Send(std::string_view bytes) {
  const auto deadline = SteadyClock::now() + kDeadline;
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) {
      bytes.remove_prefix(static_cast<size_t>(sent));
    } else if (errno != EAGAIN || !WaitFor(fd(), POLLOUT, deadline)) {
      return false;
    }
  }
  return true;
}

void HttpClient::HalfClose() { ::shutdown(fd(), SHUT_WR); }

bool HttpClient::Fill(SteadyClock::time_point deadline) {
  if (!WaitFor(fd(), POLLIN, deadline)) return false;
  char bytes[65536];
  const ssize_t count = ::recv(fd(), bytes, sizeof bytes, 0);
  if (count <= 0) return false;
  buffer_.append(bytes, static_cast<size_t>(count));
  return true;
}

std::optional<ClientAnswer> HttpClient::Read(bool no_body) {
  const auto deadline = SteadyClock::now() + kDeadline;
  size_t end = 0;
  while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
    if (!Fill(deadline)) return std::nullopt;
  }
  ClientAnswer answer;
  answer.head = buffer_.substr(0, end + 4);
  answer.status = std::stoi(answer.head.substr(9, 3));
  for (size_t at = answer.head.find("\r\n") + 2; at < end; at = answer.head.find("\r\n", at) + 2) {
    const size_t colon = answer.head.find(": ", at);
    std::string name = answer.head.substr(at, colon - at);
    std::transform(name.begin(), name.end(), name.begin(), ::tolower);
    answer.headers[name] = answer.head.substr(colon + 2, answer.head.find("\r\n", at) - colon - 2);
  }
  size_t length = 0;
  if (!no_body && answer.headers.contains("content-length")) {
    length = std::stoul(answer.headers["content-length"]);
  }
  while (buffer_.size() < end + 4 + length) {
    if (!Fill(deadline)) return std::nullopt;
  }
  answer.body = buffer_.substr(end + 4, length);
  buffer_.erase(0, end + 4 + length);
  return answer;
}

std::optional<ClientAnswer> HttpClient::Get(const std::string& path) {
  if (!Send("GET " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n")) return std::nullopt;
  return Read();
}

bool HttpClient::ClosedWithin(std::chrono::milliseconds limit) {
  const auto deadline = SteadyClock::now() + limit;
  while (Fill(deadline)) {
  }
  return SteadyClock::now() < deadline;
}

bool HttpClient::ClosedSilently() {
  const size_t before = buffer_.size();
  return ClosedWithin(kDeadline) && buffer_.size() == before;
}

}  // namespace rosterd::testing
