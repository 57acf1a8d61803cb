// SPDX-License-Identifier: Apache-2.0
#include "yaml/settings_reader.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "base/net_address.h"
#include "yaml/advertise.h"
#include "yaml/etcd_reader.h"
#include "yaml/guard_reader.h"
#include "yaml/scalar.h"

namespace rosterd::yaml {
namespace {

constexpr size_t kLongestNodeName = 63;
constexpr size_t kLongestText = 255;
constexpr size_t kLongestSocketPath = 107;  // sockaddr_un, its closing zero left out

void ReadNode(const Node* node, const Place& top, Config& config, const Environment& environment,
              const Report& report) {
  Problems& problems = report.problems;
  MapReader map(node, "node", problems);
  const Place here = node != nullptr ? node->place : top;

  const Node* const name_node = map.Take("name");
  if (name_node == nullptr) {
    const std::string host_name = environment.host_name ? environment.host_name() : "";
    if (IsPlainName(host_name, kLongestNodeName)) {
      config.node.name = host_name;
    } else {
      problems.Add(here, "the host name " + Quoted(host_name) +
                             " cannot be the node's name; set node.name to " +
                             PlainNameRule(kLongestNodeName));
    }
  } else if (auto name = map.Get("name", ReadText)) {
    if (IsPlainName(*name, kLongestNodeName)) {
      config.node.name = *name;
    } else {
      problems.Add(name_node->place,
                   "node.name is " + Quoted(*name) + "; write " + PlainNameRule(kLongestNodeName));
    }
  }

  const Node* const advertise_node = map.Take("advertise");
  std::optional<std::string> wanted = "auto";
  if (advertise_node != nullptr) wanted = map.Get("advertise", ReadText);
  if (wanted) {
    const Place place = advertise_node != nullptr ? advertise_node->place : here;
    Advertised advertised = ResolveAdvertise(*wanted, config.etcd.endpoints, environment);
    if (!advertised.error.empty()) problems.Add(place, "node.advertise: " + advertised.error);
    if (!advertised.warning.empty()) report.Warn(place, advertised.warning);
    config.node.advertise = std::move(advertised.address);
  }

  if (auto zone = map.Get("zone", ReadText)) {
    if (zone->size() > kLongestText) {
      problems.Add(map.Take("zone")->place,
                   "node.zone is longer than 255 bytes; write a short name, for example eu-1a");
    }
    config.node.zone = std::move(*zone);
  }
  map.Finish();
}

// Empty: fine, and `listen` is in its one form. Else how the message goes on after it.
std::string CheckListen(std::string& listen) {
  constexpr std::string_view kUnix = "unix:";
  if (listen.starts_with(kUnix)) {
    const std::string_view path = std::string_view(listen).substr(kUnix.size());
    if (!path.starts_with('/') || path.ends_with('/')) {
      return " is not the path of a socket; write the whole path of a socket, for example "
             "unix:/run/rosterd/http.sock";
    }
    if (path.size() > kLongestSocketPath) {
      return ": the path is longer than the 107 bytes that a socket can have; choose a shorter one";
    }
    return "";
  }
  const size_t colon = listen.rfind(':');
  const auto port = ParsePort(colon == std::string::npos ? "" : listen.substr(colon + 1));
  std::string host = listen.substr(0, colon);
  const bool brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (brackets) host = host.substr(1, host.size() - 2);
  if (colon == std::string::npos || !port.ok() || brackets != IsIpv6(host) ||
      (!IsIpLiteral(host) && host != "localhost")) {
    return host.empty() && port.ok()
               ? ": the address is missing; write 127.0.0.1" + listen + ", or 0.0.0.0" + listen +
                     " to listen on every IPv4 address"
               : " is not an address to listen on; write IP:PORT, for example 127.0.0.1:8500 or "
                 "\"[::1]:8500\", or "
                 "unix:/run/rosterd/http.sock";
  }
  listen = FormatHostPort(host, *port);
  return "";
}

std::optional<std::vector<std::string>> ReadListen(const Node& node, const std::string& name,
                                                   Problems& problems) {
  auto texts = ReadTexts(node, name, problems);
  if (!texts) return std::nullopt;
  if (node.items.empty()) {
    problems.Add(
        node.place,
        name + " is an empty list; name at least one address, for example [127.0.0.1:8500]");
  }
  std::vector<std::string> listens;
  for (PlacedText& item : *texts) {
    const std::string given = item.text;
    const bool any_port = given.ends_with(":0");
    if (const std::string wrong = CheckListen(item.text); !wrong.empty()) {
      problems.Add(item.place, name + ": " + Quoted(given) + wrong);
    } else if (!any_port && std::find(listens.begin(), listens.end(), item.text) != listens.end()) {
      problems.Add(item.place, name + ": " + Quoted(given) + " is named twice; remove one");
    } else {
      listens.push_back(std::move(item.text));
    }
  }
  return listens;
}

std::optional<std::vector<std::string>> ReadHosts(const Node& node, const std::string& name,
                                                  Problems& problems) {
  const auto texts = ReadTexts(node, name, problems);
  if (!texts) return std::nullopt;
  std::vector<std::string> hosts;
  for (const PlacedText& item : *texts) {
    if (IsHostName(item.text)) {
      hosts.push_back(item.text);
    } else {
      problems.Add(item.place, name + ": " + Quoted(item.text) +
                                   " is not a host name; write a name without scheme and port, "
                                   "for example roster.example.com");
    }
  }
  return hosts;
}

void ReadHttp(const Node* node, HttpConfig& http, Problems& problems) {
  MapReader map(node, "http", problems);
  map.Into(http.listen, "listen", ReadListen);
  map.Into(http.allowed_hosts, "allowed_hosts", ReadHosts);
  map.Refuse("writes");
  map.Refuse("token_file");
  map.Finish();
}

void ReadLog(const Node* node, LogConfig& log, Problems& problems) {
  MapReader map(node, "log", problems);
  const auto level = map.Get("level", [](const Node& value, const std::string& name, Problems& p) {
    return ReadChoice(value, name, p, {"debug", "info", "warn", "error"});
  });
  if (level) {
    constexpr LogLevel kLevels[] = {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarn,
                                    LogLevel::kError};
    log.level = kLevels[*level];
  }
  const auto format =
      map.Get("format", [](const Node& value, const std::string& name, Problems& p) {
        return ReadChoice(value, name, p, {"text", "json"});
      });
  if (format) log.format = *format == 0 ? LogFormat::kText : LogFormat::kJson;
  map.Finish();
}

}  // namespace

void ReadSettings(MapReader& map, Config& config, const Environment& environment,
                  const Report& report) {
  Problems& problems = report.problems;
  // First, because node.advertise may depend on the route to it.
  const Node* const node = map.Take("node");
  ReadEtcd(map.Take("etcd"), config.etcd, report);
  ReadNode(node, map.place(), config, environment, report);
  ReadHttp(map.Take("http"), config.http, problems);
  const Node* const data_dir_node = map.Take("data_dir");
  const auto data_dir = map.Get("data_dir", ReadText);
  if (data_dir && !data_dir->empty()) {
    config.data_dir = ResolvePath(*data_dir, data_dir_node->place);
  }
  const Node* const on_stop_node = map.Take("on_stop");
  const auto on_stop =
      map.Get("on_stop", [](const Node& value, const std::string& name, Problems& p) {
        return ReadChoice(value, name, p, {"deregister", "keep"});
      });
  if (on_stop) config.on_stop = *on_stop == 0 ? OnStop::kDeregister : OnStop::kKeep;
  const bool data_dir_is_wrong = data_dir_node != nullptr && !data_dir;
  if (config.on_stop == OnStop::kKeep && config.data_dir.empty() && !data_dir_is_wrong) {
    problems.Add(on_stop_node->place,
                 "on_stop: keep needs a data_dir to find its registrations again; set data_dir, "
                 "or write deregister");
  }
  ReadGuard(map.Take("guard"), config.guard, problems);
  ReadLog(map.Take("log"), config.log, problems);
  map.Refuse("registry");
  map.Refuse("drain");
}

}  // namespace rosterd::yaml
