// SPDX-License-Identifier: Apache-2.0
#include "http/host_check.h"

#include <algorithm>

#include "base/net_address.h"
#include "http/text.h"

namespace rosterd::http {
namespace {

bool IsPortOrEmpty(std::string_view text) {
  return text.size() <= 5 && std::all_of(text.begin(), text.end(), IsDigit);
}

// scheme://host[:port], and nothing after it (RFC 6454, 7); empty for "null" and everything else.
std::string_view AuthorityOfOrigin(std::string_view origin) {
  const size_t end = origin.find("://");
  if (end == std::string_view::npos || end == 0) return {};
  if (!std::all_of(origin.begin(), origin.begin() + static_cast<std::ptrdiff_t>(end),
                   IsTokenChar)) {
    return {};
  }
  return origin.substr(end + 3);
}

std::string Refusal(const char* header, std::string_view value) {
  return std::string(header) + " '" + std::string(value.substr(0, 128)) +
         "' is not allowed; use localhost, an IP address or this node's name, or add the name to "
         "http.allowed_hosts";
}

}  // namespace

std::string HostOfAuthority(std::string_view authority) {
  std::string_view host = authority;
  std::string_view port;
  if (host.starts_with('[')) {
    const size_t bracket = host.find(']');
    if (bracket == std::string_view::npos) return "";
    port = host.substr(bracket + 1);
    host = host.substr(1, bracket - 1);
    if (!port.empty() && port.front() != ':') return "";
    if (!IsIpv6(host)) return "";
  } else {
    const size_t colon = host.find(':');
    if (colon != std::string_view::npos) {
      port = host.substr(colon);
      host = host.substr(0, colon);
    }
    if (host.ends_with('.')) host.remove_suffix(1);
    if (!IsHostName(host)) return "";
  }
  if (!port.empty() && !IsPortOrEmpty(port.substr(1))) return "";
  return ToLower(host);
}

HostCheck::HostCheck(std::string_view node_name, const std::vector<std::string>& allowed_hosts)
    : names_{"localhost"} {
  names_.insert(HostOfAuthority(node_name));
  for (const std::string& name : allowed_hosts) names_.insert(HostOfAuthority(name));
  names_.erase("");
}

bool HostCheck::Allows(std::string_view authority) const {
  const std::string host = HostOfAuthority(authority);
  return !host.empty() && (names_.contains(host) || IsIpLiteral(host));
}

std::optional<std::string> HostCheck::Refuse(const FramedRequest& request) const {
  if (request.host && !Allows(*request.host)) return Refusal("Host", *request.host);
  for (const auto& [name, value] : request.headers) {
    if (name == "origin" && !Allows(AuthorityOfOrigin(value))) return Refusal("Origin", value);
  }
  return std::nullopt;
}

}  // namespace rosterd::http
