// SPDX-License-Identifier: Apache-2.0
#include "health/kept_sockets.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace rosterd {

int LocalPort(int fd) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) return 0;
  if (address.ss_family == AF_INET) {
    return ntohs(reinterpret_cast<const sockaddr_in*>(&address)->sin_port);
  }
  if (address.ss_family == AF_INET6) {
    return ntohs(reinterpret_cast<const sockaddr_in6*>(&address)->sin6_port);
  }
  return 0;
}

bool IsConnected(int fd) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  return ::getpeername(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0;
}

int KeptSockets::Open(int family, int type, int protocol) {
  return ::socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
}

void KeptSockets::Close(int fd) {
  const auto known = by_fd_.find(fd);
  if (known != by_fd_.end()) {
    by_name_.erase(known->second);
    by_fd_.erase(known);
  }
  ::close(fd);
}

void KeptSockets::Remember(const std::vector<int>& opened, const ConnectionName& name) {
  for (const int fd : opened) {
    if (LocalPort(fd) != name.local_port) continue;
    by_name_[name] = fd;
    by_fd_[fd] = name;
    return;
  }
}

bool KeptSockets::HasInput(const ConnectionName& name) const {
  const auto known = by_name_.find(name);
  char byte = 0;
  return known != by_name_.end() && ::recv(known->second, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0;
}

}  // namespace rosterd
