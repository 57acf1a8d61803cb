// SPDX-License-Identifier: Apache-2.0
#include "base/net_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>

namespace rosterd {
namespace {

bool IsNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

// inet_pton reads a C string: a NUL inside would hide what follows it.
bool ToBinary(int family, std::string_view text, void* address) {
  return text.find('\0') == std::string_view::npos &&
         inet_pton(family, std::string(text).c_str(), address) == 1;
}

// The zone is a name of an interface; it must not carry anything else into a header or a log line.
bool ParseIpv6(std::string_view text, in6_addr& address) {
  const size_t percent = text.find('%');
  if (percent != std::string_view::npos) {
    const std::string_view zone = text.substr(percent + 1);
    if (zone.empty() || zone.size() > 15 || !std::all_of(zone.begin(), zone.end(), IsNameCharacter))
      return false;
    text = text.substr(0, percent);
  }
  return text.size() < INET6_ADDRSTRLEN && ToBinary(AF_INET6, text, &address);
}

}  // namespace

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
  return text.size() < INET_ADDRSTRLEN && ToBinary(AF_INET, text, &address);
}

bool IsIpv6(std::string_view text) {
  in6_addr address{};
  return ParseIpv6(text, address);
}

bool IsLoopback(std::string_view ip) {
  if (IsIpv4(ip)) return ip.starts_with("127.");
  in6_addr address{};
  return ParseIpv6(ip, address) && IN6_IS_ADDR_LOOPBACK(&address);
}

bool IsHostName(std::string_view text) {
  if (text.empty() || text.size() > 253) return false;
  if (IsIpv6(text)) return true;
  return std::all_of(text.begin(), text.end(), IsNameCharacter);
}

}  // namespace rosterd
