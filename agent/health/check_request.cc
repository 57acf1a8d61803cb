// SPDX-License-Identifier: Apache-2.0
#include "health/check_request.h"

#include <algorithm>
#include <cctype>

#include "base/net_address.h"
#include "base/status.h"

namespace rosterd {
namespace {

bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](unsigned char x, unsigned char y) {
    return std::tolower(x) == std::tolower(y);
  });
}

// libcurl answers these itself, without a resolver (RFC 6761 6.3).
bool IsLocalhost(std::string_view host) {
  constexpr std::string_view kSuffix = ".localhost";
  return EqualsIgnoringCase(host, "localhost") ||
         (host.size() > kSuffix.size() &&
          EqualsIgnoringCase(host.substr(host.size() - kSuffix.size()), kSuffix));
}

bool HasHeader(const CheckConfig& check, std::string_view name) {
  return std::any_of(check.headers.begin(), check.headers.end(),
                     [&](const auto& header) { return EqualsIgnoringCase(header.first, name); });
}

// Where "user:password@" ends: the last @ of the authority.
size_t AuthorityStart(std::string_view url) {
  const size_t scheme = url.find("://");
  return scheme == std::string_view::npos ? 0 : scheme + 3;
}
size_t HostStart(std::string_view url) {
  const size_t start = AuthorityStart(url);
  const size_t end = std::min(url.find_first_of("/?#", start), url.size());
  const size_t at = url.substr(0, end).rfind('@');
  return at == std::string_view::npos || at < start ? start : at + 1;
}

std::string Bracketed(const std::string& host) {
  return host.find(':') == std::string::npos ? host : "[" + host + "]";
}

}  // namespace

std::string CheckTarget(std::string_view url) {
  std::string target(url);
  const size_t start = AuthorityStart(url);
  target.erase(start, HostStart(url) - start);
  // A query may carry a token.
  if (const size_t query = target.find('?'); query != std::string::npos)
    target.replace(query, std::string::npos, "?...");
  return target;
}

absl::StatusOr<CheckUrl> ParseCheckUrl(std::string_view url) {
  const auto malformed = [&](const char* what) {
    return absl::InvalidArgumentError("'" + CheckTarget(url) + "' " + what +
                                      "; write http://HOST:PORT/PATH or https://HOST:PORT/PATH");
  };
  CheckUrl parts;
  const size_t authority = AuthorityStart(url);
  const std::string_view scheme = url.substr(0, authority);
  if (EqualsIgnoringCase(scheme, "https://")) {
    parts.https = true;
  } else if (!EqualsIgnoringCase(scheme, "http://")) {
    return malformed("is not an http or https URL");
  }
  const size_t host = HostStart(url);
  const size_t end = std::min(url.find_first_of("/?#", host), url.size());
  if (host > authority) parts.credentials = url.substr(authority, host - authority - 1);
  std::string_view name = url.substr(host, end - host);
  std::string_view port;
  if (name.starts_with('[')) {
    const size_t close = name.find(']');
    if (close == std::string_view::npos) return malformed("has no closing ]");
    const std::string_view rest = name.substr(close + 1);
    if (!rest.empty() && rest.front() != ':') return malformed("has something behind its ]");
    port = rest.empty() ? rest : rest.substr(1);
    name = name.substr(1, close - 1);
    if (!IsIpv6(name)) return malformed("has no IPv6 address between its brackets");
  } else {
    const size_t colon = name.find(':');
    if (colon != std::string_view::npos) port = name.substr(colon + 1);
    name = name.substr(0, colon);
    if (!IsHostName(name)) return malformed("names no valid host");
  }
  parts.host = name;
  parts.default_port = port.empty();
  parts.port = parts.https ? 443 : 80;
  if (!port.empty()) {
    const auto parsed = ParsePort(port);
    if (!parsed.ok() || *parsed == 0) return malformed("has a port that is not 1 to 65535");
    parts.port = *parsed;
  }
  parts.path = url.substr(end, std::min(url.find('#', end), url.size()) - end);
  if (!parts.path.starts_with('/')) parts.path.insert(0, "/");
  return parts;
}

absl::StatusOr<CheckRequest> MakeCheckRequest(const CheckConfig& check) {
  ASSIGN_OR_RETURN(const CheckUrl parts, ParseCheckUrl(check.url));
  CheckRequest request;
  request.connect_host = parts.host;
  request.port = parts.port;
  const std::string& server_name = check.tls.server_name;
  request.connects_elsewhere = parts.https && !server_name.empty() && server_name != parts.host;
  request.needs_lookup = !IsIpLiteral(parts.host) && !IsLocalhost(parts.host);
  const std::string& verified = request.connects_elsewhere ? server_name : parts.host;
  request.url = std::string(parts.https ? "https://" : "http://") +
                (parts.credentials.empty() ? "" : parts.credentials + "@") + Bracketed(verified) +
                ":" + std::to_string(parts.port) + parts.path;
  if (!HasHeader(check, "Host")) {
    // Always said, so that the name that TLS verifies does not become the Host as well.
    request.header_lines.push_back("Host: " + (parts.default_port
                                                   ? Bracketed(parts.host)
                                                   : FormatHostPort(parts.host, parts.port)));
  }
  // Without a body there is no type to announce.
  if (!HasHeader(check, "Content-Type")) request.header_lines.push_back("Content-Type:");
  for (const auto& [name, value] : check.headers) {
    // "Name;" is libcurl's way to send a header without a value.
    request.header_lines.push_back(value.empty() ? name + ";" : name + ": " + value);
  }
  return request;
}

std::string DescribeRanges(const std::vector<StatusRange>& ranges) {
  std::string text;
  for (const StatusRange& range : ranges) {
    if (!text.empty()) text += ", ";
    text += std::to_string(range.first);
    if (range.last != range.first) text += "-" + std::to_string(range.last);
  }
  return text;
}

bool StatusMatches(const std::vector<StatusRange>& ranges, int status) {
  return std::any_of(ranges.begin(), ranges.end(), [status](const StatusRange& range) {
    return status >= range.first && status <= range.last;
  });
}

}  // namespace rosterd
