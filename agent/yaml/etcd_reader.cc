// SPDX-License-Identifier: Apache-2.0
#include "yaml/etcd_reader.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/net_address.h"
#include "yaml/map_reader.h"
#include "yaml/scalar.h"

namespace rosterd::yaml {
namespace {

constexpr std::string_view kHttp = "http://";
constexpr std::string_view kHttps = "https://";
constexpr size_t kLongestText = 255;

std::optional<std::string> ReadPrefix(const Node& node, const std::string& name,
                                      Problems& problems) {
  auto prefix = ReadText(node, name, problems);
  if (!prefix) return std::nullopt;
  if (prefix->empty() || prefix->size() > kLongestText) {
    problems.Add(node.place,
                 name + " is " + (prefix->empty() ? "empty" : "longer than 255 bytes") +
                     "; write what the keys in etcd begin with, for example /services/");
    return std::nullopt;
  }
  if (!prefix->ends_with('/')) *prefix += '/';
  return prefix;
}

// Empty: fine, and `endpoint` is in its one form. Else how the message goes on after it.
std::string CheckEndpoint(std::string& endpoint) {
  const size_t scheme_end = endpoint.find("://");
  const std::string scheme =
      scheme_end == std::string::npos ? "" : endpoint.substr(0, scheme_end + 3);
  if (scheme != kHttp && scheme != kHttps) {
    return scheme_end == std::string::npos
               ? ": the scheme is missing; write http://HOST:PORT or https://HOST:PORT"
               : ": the scheme " + Quoted(endpoint.substr(0, scheme_end)) +
                     " is not one of etcd's; write http://HOST:PORT or https://HOST:PORT";
  }
  std::string_view target = std::string_view(endpoint).substr(scheme.size());
  if (target.ends_with('/')) target.remove_suffix(1);
  const auto parsed = ParseHostPort(target);
  if (!parsed.ok()) {
    return " does not name host and port; write " + scheme +
           "HOST:PORT with a port from 1 to 65535, for example " + scheme + "127.0.0.1:2379";
  }
  endpoint = scheme + FormatHostPort(parsed->host, parsed->port);
  return "";
}

std::optional<std::vector<std::string>> ReadEndpoints(const Node& node, const std::string& name,
                                                      Problems& problems) {
  auto texts = ReadTexts(node, name, problems);
  if (!texts) return std::nullopt;
  if (node.items.empty()) {
    problems.Add(node.place, name +
                                 " is an empty list; name at least one, for example "
                                 "[http://127.0.0.1:2379]");
  }
  std::vector<std::string> endpoints;
  for (PlacedText& item : *texts) {
    const std::string given = item.text;
    if (const std::string wrong = CheckEndpoint(item.text); !wrong.empty()) {
      problems.Add(item.place, name + ": " + Quoted(given) + wrong);
    } else {
      endpoints.push_back(std::move(item.text));
    }
  }
  return endpoints;
}

std::optional<seconds> ReadLeaseTtl(const Node& node, const std::string& name, Problems& problems) {
  const auto ttl = ReadDuration(node, name, problems, seconds(2), std::chrono::hours(1));
  if (!ttl) return std::nullopt;
  if (*ttl % seconds(1) != Duration::zero()) {
    problems.Add(node.place, name + " is " + Quoted(node.text) +
                                 "; etcd counts leases in whole seconds, so write 2s to 1h");
    return std::nullopt;
  }
  return std::chrono::duration_cast<seconds>(*ttl);
}

std::optional<std::string> ReadUsername(const Node& node, const std::string& name,
                                        Problems& problems) {
  auto username = ReadText(node, name, problems);
  if (username && username->size() > kLongestText) {
    problems.Add(node.place, name + " is longer than 255 bytes; write the name of a user of etcd");
    return std::nullopt;
  }
  return username;
}

std::optional<std::string> ReadServerName(const Node& node, const std::string& name,
                                          Problems& problems) {
  auto server_name = ReadText(node, name, problems);
  if (server_name && !server_name->empty() && !IsHostName(*server_name) && !IsIpv6(*server_name)) {
    problems.Add(node.place, name + " is " + Quoted(*server_name) +
                                 "; write a host name that stands in the certificates of all "
                                 "endpoints");
    return std::nullopt;
  }
  return server_name;
}

// Two settings that need each other. True: both or neither are given.
bool CheckPair(MapReader& map, const char* one, const std::string& one_value, const char* other,
               const std::string& other_value, const char* remedy, Problems& problems) {
  // A wrong value was reported already.
  const auto given = [&](const char* key, const std::string& value) {
    const Node* node = map.Take(key);
    return !value.empty() || (node != nullptr && (node->unusable || !node->text.empty()));
  };
  const bool has_one = given(one, one_value);
  const bool has_other = given(other, other_value);
  if (has_one == has_other) return true;
  const char* there = has_one ? one : other;
  const char* missing = has_one ? other : one;
  problems.Add(map.PlaceOf(there), map.Name(there) + " needs " + map.Name(missing) + "; " + remedy);
  return false;
}

void ReadTls(MapReader& map, EtcdConfig& etcd, const Report& report) {
  Problems& problems = report.problems;
  EtcdConfig::Tls& tls = etcd.tls;
  MapReader section(map.Take("tls"), "etcd.tls", problems);
  section.Into(tls.ca, "ca", ReadFilePath, "a readable file of certificates (PEM)");
  section.Into(tls.cert, "cert", ReadFilePath, "a readable file with the certificate (PEM)");
  section.Into(tls.key, "key", ReadFilePath, "a readable file with the private key (PEM)");
  section.Into(tls.server_name, "server_name", ReadServerName);
  CheckPair(section, "cert", tls.cert, "key", tls.key,
            "name both files, or neither where etcd asks for no client certificate", problems);
  section.Finish();
  const bool any_https = std::any_of(etcd.endpoints.begin(), etcd.endpoints.end(),
                                     [](const auto& e) { return e.starts_with(kHttps); });
  if (tls != EtcdConfig::Tls{} && !any_https) {
    report.Warn(map.PlaceOf("tls"),
                "etcd.tls has no effect on http:// endpoints; write https:// in etcd.endpoints, or "
                "remove it");
  }
}

void WarnOfPlainPassword(MapReader& map, const EtcdConfig& etcd, const Report& report) {
  for (const std::string& endpoint : etcd.endpoints) {
    if (!endpoint.starts_with(kHttp)) continue;
    const auto address = ParseHostPort(endpoint.substr(kHttp.size()));
    if (!address.ok() || address->host == "localhost" || IsLoopback(address->host)) continue;
    report.Warn(map.PlaceOf("username"),
                "the password of etcd.username would go to " + endpoint +
                    " as anyone on the way can read it; write https:// in etcd.endpoints");
  }
}

}  // namespace

void ReadEtcd(const Node* node, EtcdConfig& etcd, const Report& report) {
  Problems& problems = report.problems;
  MapReader map(node, "etcd", problems);
  map.Into(etcd.endpoints, "endpoints", ReadEndpoints);
  map.Into(etcd.prefix, "prefix", ReadPrefix);
  map.Into(etcd.lease_ttl, "lease_ttl", ReadLeaseTtl);
  map.Into(etcd.username, "username", ReadUsername);
  map.Into(etcd.password_file, "password_file", ReadFilePath, "a readable file with the password");
  CheckPair(map, "username", etcd.username, "password_file", etcd.password_file,
            "set both, or neither where etcd asks for no user", problems);
  if (!etcd.username.empty()) WarnOfPlainPassword(map, etcd, report);
  ReadTls(map, etcd, report);
  map.Finish();
}

}  // namespace rosterd::yaml
