// SPDX-License-Identifier: Apache-2.0
// Listener: one listening socket, TCP or unix. Never SO_REUSEPORT: a second daemon on the port must
// fail with a clear line instead of taking half of the clients.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace rosterd::http {

// Movable; the destructor closes, and removes the file of a unix socket if it is still ours.
class Listener {
 public:
  // "127.0.0.1:8500", "[::1]:0", "localhost:8500" (each loopback family that the host has) or
  // "unix:/path" (mode 0660; a socket that nobody accepts on is replaced). Non-blocking, listening.
  // Error: one sentence: which address, why not, what to do.
  static absl::StatusOr<std::vector<Listener>> Open(const std::string& where);

  Listener(Listener&& other) noexcept;
  Listener& operator=(Listener&&) = delete;
  ~Listener();

  int fd() const { return fd_.get(); }
  bool is_unix() const { return !unix_path_.empty(); }
  // As bound, a port of 0 replaced by the real one: "127.0.0.1:41234", "unix:/path".
  const std::string& address() const { return address_; }

 private:
  Listener(UniqueFd fd, std::string address) : fd_(std::move(fd)), address_(std::move(address)) {}
  static absl::StatusOr<Listener> OpenTcp(const std::string& where, const std::string& host,
                                          uint16_t port);
  static absl::StatusOr<Listener> OpenUnix(const std::string& where, const std::string& path);

  UniqueFd fd_;
  std::string address_;
  std::string unix_path_;  // empty: TCP
  // Which file the bind made: somebody may have put another one in its place since.
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

}  // namespace rosterd::http
