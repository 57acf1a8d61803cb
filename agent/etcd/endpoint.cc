// SPDX-License-Identifier: Apache-2.0
#include "etcd/endpoint.h"

namespace rosterd::etcd {
namespace {

constexpr std::string_view kHttp = "http://";
constexpr std::string_view kHttps = "https://";
constexpr uint16_t kDefaultPort = 2379;

absl::Status Wrong(std::string_view url, const std::string& what) {
  return absl::InvalidArgumentError("etcd endpoint '" + std::string(url) + "': " + what);
}

bool HasPort(std::string_view authority) {
  if (authority.starts_with('[')) return authority.find("]:") != std::string_view::npos;
  return authority.find(':') != std::string_view::npos;
}

// A URI may not hold brackets in its path, and a zone's percent sign must be escaped.
std::string EscapedIpv6(std::string_view host) {
  std::string escaped = "%5B";
  for (const char c : host) {
    if (c == '%') {
      escaped += "%25";
    } else {
      escaped += c;
    }
  }
  return escaped + "%5D";
}

}  // namespace

std::string Endpoint::GrpcTarget() const {
  const std::string port = ":" + std::to_string(address.port);
  if (IsIpv4(address.host)) return "ipv4:" + address.host + port;
  if (IsIpv6(address.host)) return "ipv6:" + EscapedIpv6(address.host) + port;
  return "dns:///" + address.host + port;
}

absl::StatusOr<Endpoint> ParseEndpoint(std::string_view url) {
  std::string_view rest = url;
  const bool https = rest.starts_with(kHttps);
  if (!https && !rest.starts_with(kHttp)) {
    return Wrong(url, "expected http://HOST:PORT or https://HOST:PORT");
  }
  rest.remove_prefix(https ? kHttps.size() : kHttp.size());
  if (rest.ends_with('/')) rest.remove_suffix(1);
  if (rest.find_first_of("/?#@") != std::string_view::npos) {
    return Wrong(url, "only a host and a port may follow the scheme");
  }
  std::string authority(rest);
  if (!HasPort(authority)) authority += ":" + std::to_string(kDefaultPort);
  absl::StatusOr<HostPort> address = ParseHostPort(authority);
  if (!address.ok()) return Wrong(url, std::string(address.status().message()));
  if (!IsHostName(address->host) && !IsIpv6(address->host)) {
    return Wrong(url, "'" + address->host + "' is neither a host name nor an IP address");
  }
  return Endpoint{std::string(url), *std::move(address), https};
}

}  // namespace rosterd::etcd
