// SPDX-License-Identifier: Apache-2.0
#include "base/net_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>

namespace rosterd {

absl::StatusOr<uint16_t> ParsePort(std::string_view text) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || text.size() > 8 || error != std::errc() || end != text.data() + text.size() ||
      value > 65535) {
    return absl::InvalidArgumentError("'" + std::string(text.substr(0, 32)) +
                                      "' is not a port; write a number from 1 to 65535");
  }
  return static_cast<uint16_t>(value);
}

absl::StatusOr<HostPort> ParseHostPort(std::string_view text) {
  const auto malformed = [&] {
    return absl::InvalidArgumentError(
        "'" + std::string(text.substr(0, 256)) +
        "' is not HOST:PORT, for example 10.0.0.5:8080 or [::1]:8080");
  };
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return malformed();
  std::string_view host = text.substr(0, colon);
  auto port = ParsePort(text.substr(colon + 1));
  if (!port.ok() || *port == 0) return malformed();
  if (host.front() == '[') {
    if (host.back() != ']') return malformed();
    host = host.substr(1, host.size() - 2);
    if (!IsIpv6(host)) return malformed();
  } else if (!IsHostName(host) || IsIpv6(host)) {
    return malformed();
  }
  return HostPort{std::string(host), *port};
}

std::string FormatHostPort(std::string_view host, uint16_t port) {
  const bool v6 = host.find(':') != std::string_view::npos;
  return (v6 ? "[" : "") + std::string(host) + (v6 ? "]:" : ":") + std::to_string(port);
}

bool IsIpv4(std::string_view text) {
  in_addr address{};
  return text.size() < INET_ADDRSTRLEN &&
         inet_pton(AF_INET, std::string(text).c_str(), &address) == 1;
}

bool IsIpv6(std::string_view text) {
  in6_addr address{};
  text = text.substr(0, text.find('%'));
  return text.size() < INET6_ADDRSTRLEN &&
         inet_pton(AF_INET6, std::string(text).c_str(), &address) == 1;
}

bool IsLoopback(std::string_view ip) {
  return (IsIpv4(ip) && ip.starts_with("127.")) || ip == "::1";
}

bool IsHostName(std::string_view text) {
  if (text.empty() || text.size() > 253) return false;
  if (IsIpv6(text)) return true;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
}

}  // namespace rosterd
