// SPDX-License-Identifier: Apache-2.0
// KeptSockets: opens and closes libcurl's sockets and knows which of them a connection uses, so
// that a kept one can be looked at before it is used again. libcurl itself does not tell.
#pragma once

#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

namespace rosterd {

// What tells one TCP connection of this host from another.
struct ConnectionName {
  std::string remote_ip;
  int remote_port = 0;
  int local_port = 0;
  bool operator==(const ConnectionName&) const = default;
};

// Owned by the prober thread; outlives the multi handle.
class KeptSockets {
 public:
  // -1 with errno on failure.
  int Open(int family, int type, int protocol);
  void Close(int fd);
  // One of these sockets has become that connection.
  void Remember(const std::vector<int>& opened, const ConnectionName& name);
  // True when bytes wait on the connection, or it is at its end.
  bool HasInput(const ConnectionName& name) const;

 private:
  struct Hash {
    size_t operator()(const ConnectionName& name) const {
      return std::hash<std::string>()(name.remote_ip) ^
             (static_cast<size_t>(name.remote_port) << 16 ^ static_cast<size_t>(name.local_port));
    }
  };

  std::unordered_map<ConnectionName, int, Hash> by_name_;
  std::unordered_map<int, ConnectionName> by_fd_;
};

// The local port of a socket; 0 when it has none.
int LocalPort(int fd);
// True once the TCP connection stands.
bool IsConnected(int fd);

}  // namespace rosterd
