// SPDX-License-Identifier: Apache-2.0
#include "http/listener.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <system_error>
#include <utility>

#include "base/error_text.h"
#include "base/net_address.h"
#include "base/status.h"

namespace rosterd::http {
namespace {

constexpr int kBacklog = 4096;

absl::Status CannotListen(const std::string& where, int error) {
  std::string why = SystemErrorText(error);
  std::string hint;
  switch (error) {
    case EADDRINUSE:
      why = "address already in use";
      hint = "; another rosterd or Consul agent may run there; stop it or set http.listen";
      break;
    case EADDRNOTAVAIL:
      why = "this host has no such address";
      hint = "; set http.listen to one it has, or to 127.0.0.1:8500";
      break;
    case EACCES:
      hint = "; ports below 1024 need CAP_NET_BIND_SERVICE, a socket a folder that is writable";
      break;
    case ENOENT:
      hint = "; the folder of the socket must exist";
      break;
    default:
      break;
  }
  const std::string text = "cannot listen on " + where + ": " + why + hint;
  if (error == EADDRNOTAVAIL || error == EAFNOSUPPORT) return absl::NotFoundError(text);
  return absl::UnavailableError(text);
}

std::string AddressOf(int fd) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  char host[NI_MAXHOST];
  char port[NI_MAXSERV];
  auto* address = reinterpret_cast<sockaddr*>(&storage);
  if (::getsockname(fd, address, &length) != 0 ||
      ::getnameinfo(address, length, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return "";
  }
  return (address->sa_family == AF_INET6 ? "[" + std::string(host) + "]" : std::string(host)) +
         ":" + port;
}

// 0 when somebody accepts on the socket, else why the connection failed.
int TryConnect(const sockaddr_un& address) {
  const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return errno;
  return ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0
             ? 0
             : errno;
}

// Makes way for a bind: removes a socket that nobody accepts on, and nothing else.
absl::Status RemoveStale(const std::string& where, const std::string& path,
                         const sockaddr_un& address) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) {
    return errno == ENOENT ? absl::OkStatus() : CannotListen(where, errno);
  }
  if (!S_ISSOCK(info.st_mode)) {
    return absl::AlreadyExistsError("cannot listen on " + where +
                                    ": a file that is no socket stands there; remove it or set "
                                    "http.listen to another path");
  }
  switch (const int error = TryConnect(address)) {
    case 0:
    case EAGAIN:  // its backlog is full
      return CannotListen(where, EADDRINUSE);
    case ECONNREFUSED:
      if (::unlink(path.c_str()) != 0 && errno != ENOENT) return CannotListen(where, errno);
      return absl::OkStatus();
    case ENOENT:
      return absl::OkStatus();
    default:
      return CannotListen(where, error);
  }
}

}  // namespace

Listener::Listener(Listener&& other) noexcept
    : fd_(std::move(other.fd_)),
      address_(std::move(other.address_)),
      unix_path_(std::exchange(other.unix_path_, {})),
      device_(other.device_),
      inode_(other.inode_) {}

Listener::~Listener() {
  struct stat info {};
  if (!unix_path_.empty() && ::lstat(unix_path_.c_str(), &info) == 0 && info.st_dev == device_ &&
      info.st_ino == inode_) {
    ::unlink(unix_path_.c_str());
  }
}

absl::StatusOr<Listener> Listener::OpenTcp(const std::string& where, const std::string& host,
                                           uint16_t port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) {
    return CannotListen(where, EADDRNOTAVAIL);
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
  UniqueFd fd(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return CannotListen(where, errno);
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  // Accepted sockets inherit it.
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (found->ai_family == AF_INET6) {
    ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  }
  // With SO_REUSEADDR the second of two that start at once may fail only in listen().
  if (::bind(fd.get(), found->ai_addr, found->ai_addrlen) != 0 ||
      ::listen(fd.get(), kBacklog) != 0) {
    return CannotListen(where, errno);
  }
  std::string address = AddressOf(fd.get());
  return Listener(std::move(fd), std::move(address));
}

absl::StatusOr<Listener> Listener::OpenUnix(const std::string& where, const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.front() != '/' || path.size() >= sizeof address.sun_path) {
    return absl::InvalidArgumentError("cannot listen on " + where +
                                      ": write unix:/PATH with an absolute path of at most " +
                                      std::to_string(sizeof address.sun_path - 1) + " bytes");
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  RETURN_IF_ERROR(RemoveStale(where, path, address));
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return CannotListen(where, errno);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return CannotListen(where, errno);
  }
  Listener listener(std::move(fd), where);
  struct stat info {};
  if (::lstat(path.c_str(), &info) == 0) {
    listener.unix_path_ = path;
    listener.device_ = info.st_dev;
    listener.inode_ = info.st_ino;
  }
  // Nobody gets in between: until listen() a connection is refused.
  if (::chmod(path.c_str(), 0660) != 0 || ::listen(listener.fd(), kBacklog) != 0) {
    return CannotListen(where, errno);
  }
  return listener;
}

absl::StatusOr<std::vector<Listener>> Listener::Open(const std::string& where) {
  std::vector<Listener> opened;
  if (where.starts_with("unix:")) {
    ASSIGN_OR_RETURN(Listener listener, OpenUnix(where, where.substr(5)));
    opened.push_back(std::move(listener));
    return opened;
  }
  const size_t colon = where.rfind(':');
  std::string host = where.substr(0, colon);
  const auto port = ParsePort(colon == std::string::npos ? "" : where.substr(colon + 1));
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (!port.ok() || (bracketed ? !IsIpv6(host) : !IsIpv4(host) && host != "localhost")) {
    return absl::InvalidArgumentError("cannot listen on '" + where +
                                      "': write IP:PORT, localhost:PORT or unix:/PATH, for example "
                                      "127.0.0.1:8500");
  }
  ASSIGN_OR_RETURN(Listener first, OpenTcp(where, host == "localhost" ? "127.0.0.1" : host, *port));
  opened.push_back(std::move(first));
  if (host != "localhost") return opened;
  const std::string& bound = opened.front().address();
  const auto same_port = ParsePort(bound.substr(bound.rfind(':') + 1));
  auto second = OpenTcp(where, "::1", same_port.value_or(*port));
  if (second.ok()) {
    opened.push_back(*std::move(second));
  } else if (!absl::IsNotFound(second.status())) {  // not merely a host without IPv6
    return second.status();
  }
  return opened;
}

}  // namespace rosterd::http
