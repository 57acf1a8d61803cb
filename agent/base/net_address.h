// SPDX-License-Identifier: Apache-2.0
// Hosts, ports and addresses as text. Pure; no look-ups, no sockets.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace rosterd {

// host is bare: an IPv6 address without brackets.
struct HostPort {
  std::string host;
  uint16_t port = 0;
  bool operator==(const HostPort&) const = default;
};

// "10.0.0.5:8080", "web-1:8080", "[::1]:8080". The port is required, 1..65535, decimal.
absl::StatusOr<HostPort> ParseHostPort(std::string_view text);
// Brackets an IPv6 host.
std::string FormatHostPort(std::string_view host, uint16_t port);

// Decimal digits only ("010" is ten), 0..65535.
absl::StatusOr<uint16_t> ParsePort(std::string_view text);

bool IsIpv4(std::string_view text);
bool IsIpv6(std::string_view text);  // bare, without brackets; a zone ("%eth0") is allowed
inline bool IsIpLiteral(std::string_view text) { return IsIpv4(text) || IsIpv6(text); }
// 127.0.0.0/8 or ::1.
bool IsLoopback(std::string_view ip);
// A DNS name or IP literal that may stand in a URL: [A-Za-z0-9._-] or an IP.
bool IsHostName(std::string_view text);

}  // namespace rosterd
