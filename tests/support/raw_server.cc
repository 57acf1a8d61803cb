// SPDX-License-Identifier: Apache-2.0
#include "support/raw_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <cstdio>
#include <cstdlib>
#include <utility>

namespace rosterd::testing {
namespace {

void Must(bool ok, const char* what) {
  if (ok) return;
  std::perror(what);
  std::abort();
}

UniqueFd BoundToLoopback(uint16_t& port) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  Must(fd.valid(), "socket");
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  Must(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), length) == 0, "bind");
  Must(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &length) == 0, "getsockname");
  port = ntohs(address.sin_port);
  return fd;
}

}  // namespace

std::string RawServer::Connection::ReadRequest() {
  char buffer[4096];
  size_t end = 0;
  while ((end = rest_.find("\r\n\r\n")) == std::string::npos) {
    const ssize_t got = ::recv(fd_, buffer, sizeof buffer, 0);
    if (got <= 0) return "";
    rest_.append(buffer, static_cast<size_t>(got));
  }
  ++server_.requests_;
  std::string head = rest_.substr(0, end + 4);
  rest_.erase(0, end + 4);
  return head;
}

bool RawServer::Connection::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    server_.bytes_sent_ += static_cast<uint64_t>(sent);
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

void RawServer::Connection::Hang() {
  char buffer[4096];
  while (::recv(fd_, buffer, sizeof buffer, 0) > 0) {
  }
}

void RawServer::Connection::Reset() {
  const linger hard{1, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
}

RawServer::RawServer(Handler handler) : handler_(std::move(handler)) {
  listener_ = BoundToLoopback(port_);
  Must(::listen(listener_.get(), 4096) == 0, "listen");
  acceptor_ = std::jthread([this] { Accept(); });
}

RawServer::~RawServer() {
  ::shutdown(listener_.get(), SHUT_RDWR);
  acceptor_.join();
  {
    std::lock_guard lock(mutex_);
    for (Open& open : open_) ::shutdown(open.fd.get(), SHUT_RDWR);
  }
  open_.clear();
}

void RawServer::Accept() {
  while (true) {
    const int fd = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    std::lock_guard lock(mutex_);
    open_.remove_if([](const Open& open) { return open.done.load(); });
    Open& open = open_.emplace_back();
    open.fd = UniqueFd(fd);
    open.thread = std::jthread([this, &open, fd, number = ++connections_] {
      Connection connection(*this, fd, number);
      handler_(connection);
      linger hard{};
      socklen_t length = sizeof hard;
      ::getsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, &length);
      if (hard.l_onoff == 0) ::shutdown(fd, SHUT_WR);
      if (hard.l_onoff == 0) connection.Hang();
      std::lock_guard close_lock(mutex_);
      open.fd.Reset();
      open.done = true;
    });
  }
}

RefusingPort::RefusingPort() : fd_(BoundToLoopback(port_)) {}

std::string OkAnswer(std::string_view body) {
  return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         std::string(body);
}

RawServer::Handler Always(std::string answer) {
  return [answer = std::move(answer)](RawServer::Connection& connection) {
    while (!connection.ReadRequest().empty() && connection.Send(answer)) {
    }
  };
}

}  // namespace rosterd::testing
