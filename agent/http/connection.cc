// SPDX-License-Identifier: Apache-2.0
#include "http/connection.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace rosterd::http {

Connection::Io Connection::Receive(std::span<char> scratch, std::string_view& received) {
  ssize_t count = 0;
  do {
    count = ::recv(fd(), scratch.data(), scratch.size(), 0);
  } while (count < 0 && errno == EINTR);
  if (count < 0) return errno == EAGAIN || errno == EWOULDBLOCK ? Io::kAgain : Io::kEnded;
  if (count == 0) return Io::kEnded;
  received = std::string_view(scratch.data(), static_cast<size_t>(count));
  return Io::kDone;
}

Connection::Io Connection::Send(bool& progress) {
  const std::string_view body = out_.body == nullptr ? std::string_view() : *out_.body;
  const size_t total = out_.head.size() + body.size();
  progress = false;
  while (sent_ < total) {
    iovec parts[2];
    size_t count = 0;
    const auto add = [&](std::string_view bytes) {
      if (!bytes.empty()) parts[count++] = {const_cast<char*>(bytes.data()), bytes.size()};
    };
    add(std::string_view(out_.head).substr(std::min(sent_, out_.head.size())));
    add(body.substr(sent_ > out_.head.size() ? sent_ - out_.head.size() : 0));
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = count;
    const ssize_t sent = ::sendmsg(fd(), &message, MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EINTR) continue;
      return errno == EAGAIN || errno == EWOULDBLOCK ? Io::kAgain : Io::kEnded;
    }
    sent_ += static_cast<size_t>(sent);
    progress = true;
  }
  out_ = {};
  sent_ = 0;
  return Io::kDone;
}

bool Connection::SendContinue() {
  // Nothing else is on its way out, so there is room in the socket for it whole.
  static constexpr std::string_view kInterim = "HTTP/1.1 100 Continue\r\n\r\n";
  return ::send(fd(), kInterim.data(), kInterim.size(), MSG_NOSIGNAL) ==
         static_cast<ssize_t>(kInterim.size());
}

bool Connection::TookSomething() {
  int in_kernel = 0;
  if (::ioctl(fd(), SIOCOUTQ, &in_kernel) != 0) return false;
  return in_kernel < std::exchange(in_kernel_, in_kernel);
}

void Connection::ShutDownWriting() { ::shutdown(fd(), SHUT_WR); }

}  // namespace rosterd::http
