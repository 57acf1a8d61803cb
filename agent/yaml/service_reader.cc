// SPDX-License-Identifier: Apache-2.0
#include "yaml/service_reader.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/net_address.h"
#include "yaml/map_reader.h"
#include "yaml/scalar.h"

namespace rosterd::yaml {
namespace {

constexpr size_t kLongestName = 128;
constexpr size_t kLongestId = 255;
// What etcd takes in one request by default is 1.5 MiB, for many services together.
constexpr size_t kMostTagsAndMeta = size_t{64} << 10;

std::optional<std::string> ReadPlainName(const Node& node, const std::string& name,
                                         Problems& problems, size_t longest) {
  auto text = ReadText(node, name, problems);
  if (!text || IsPlainName(*text, longest)) return text;
  problems.Add(node.place,
               text->empty() ? name + " is empty; write " + PlainNameRule(longest)
                             : name + " is " + Quoted(*text) + "; write " + PlainNameRule(longest));
  return std::nullopt;
}

std::optional<std::string> ReadAddress(const Node& node, const std::string& name,
                                       Problems& problems) {
  auto text = ReadText(node, name, problems);
  if (!text) return std::nullopt;
  const std::string wrong = CheckAddress(*text);
  if (wrong.empty()) return text;
  problems.Add(node.place, name + " is " + Quoted(*text) + "; " + wrong);
  return std::nullopt;
}

void ReadLabels(MapReader& map, const Place& place, ServiceConfig& service, Problems& problems) {
  size_t bytes = 0;
  if (const auto tags = map.Get("tags", ReadTexts)) {
    for (const PlacedText& tag : *tags) {
      bytes += tag.text.size();
      service.tags.push_back(tag.text);
    }
  }
  if (const auto meta = map.Get("meta", ReadTextMap)) {
    for (const PlacedPair& pair : *meta) {
      bytes += pair.key.size() + pair.value.text.size();
      service.meta[pair.key] = pair.value.text;
    }
  }
  if (bytes > kMostTagsAndMeta) {
    problems.Add(place, "tags and meta of the service hold " + std::to_string(bytes) +
                            " bytes; every host keeps them in memory, so keep to " +
                            std::to_string(kMostTagsAndMeta));
  }
}

// `check: none`, one check, or a list of them; exactly one of the two keys.
void ReadChecks(MapReader& map, const Place& place, std::optional<uint16_t> port,
                ServiceConfig& service, const Report& report) {
  const Node* const one = map.Take("check");
  const Node* const several = map.Take("checks");
  if (one == nullptr && several == nullptr) {
    report.problems.Add(place,
                        "the service has neither 'check' nor 'checks'; add one, or 'check: none' "
                        "to register it without a check");
    return;
  }
  if (one != nullptr && several != nullptr) {
    report.problems.Add(map.PlaceOf("checks"),
                        "the service has both 'check' and 'checks'; move all of them into the "
                        "list 'checks'");
  }
  if (one != nullptr && one->kind == Node::Kind::kMap) {
    if (auto check = ReadCheck(*one, port, report)) service.checks.push_back(std::move(*check));
  } else if (one != nullptr && !one->unusable &&
             (one->kind != Node::Kind::kScalar || one->text != "none")) {
    report.problems.Add(
        one->place,
        "check is " + Describe(*one) +
            (one->kind == Node::Kind::kList ? "; write 'checks:' for a list"
                                            : "; write a map such as {http: /healthz}, or 'none'"));
  }
  if (several == nullptr || several->unusable) return;
  if (several->kind != Node::Kind::kList || several->items.empty()) {
    report.problems.Add(
        several->place,
        std::string("checks is ") +
            (several->kind == Node::Kind::kList ? "an empty list" : Describe(*several)) +
            "; write a list of checks, or 'check: none' for no check");
    return;
  }
  for (const NodePtr& item : several->items) {
    if (item->kind == Node::Kind::kNull) {
      report.problems.Add(item->place, "a check is empty; write {http: /healthz} or remove it");
    } else if (auto check = ReadCheck(*item, port, report)) {
      service.checks.push_back(std::move(*check));
    }
  }
}

}  // namespace

std::string CheckAddress(const std::string& address) {
  constexpr const char* kRule = "write an IP address or a host name, without a port";
  if (address == "0.0.0.0" || address == "::") {
    return "nobody can connect to it; write the address at which others reach the service";
  }
  if (address.starts_with('[')) return "write the IPv6 address without brackets and port";
  if (address.find('%') != std::string::npos) {
    return "a zone ('%eth0') means nothing on other hosts; write an address without one";
  }
  if (!IsHostName(address)) return kRule;
  if (!IsIpLiteral(address) && address.find_first_not_of("0123456789.") == std::string::npos) {
    return "it is not an IPv4 address; write four numbers from 0 to 255";
  }
  return "";
}

void ServiceReader::ReadList(const Node& node) {
  if (node.unusable) return;
  if (node.kind != Node::Kind::kList) {
    report_.problems.Add(node.place, "services is " + Describe(node) +
                                         "; write a list, each service beginning with '- name:'");
    return;
  }
  for (const NodePtr& item : node.items) {
    if (item->kind == Node::Kind::kNull) {
      report_.problems.Add(item->place, "a service is empty; write '- name: ...' or remove it");
    } else {
      ReadService(*item);
    }
  }
}

void ServiceReader::ReadIncluded(const Node& node) {
  if (node.kind == Node::Kind::kNull) return;
  if (node.kind == Node::Kind::kMap) {
    // The mistake that is made most: a whole configuration, or a part of one under its key.
    for (const Entry& entry : node.entries) {
      for (const char* key : {"include", "services", "node", "etcd", "http", "log", "data_dir",
                              "on_stop", "guard", "registry"}) {
        if (entry.key != key) continue;
        report_.problems.Add(
            entry.place,
            entry.key == "services"
                ? "an included file holds the services themselves; remove 'services:' and begin "
                  "with '- name:'"
                : "an included file holds one service or a list of services; move '" + entry.key +
                      "' to the main file");
        return;
      }
    }
    ReadService(node);
  } else if (node.kind == Node::Kind::kList) {
    ReadList(node);
  } else if (!node.unusable) {
    report_.problems.Add(node.place, "the included file is " + Describe(node) +
                                         "; write one service ('name: ...') or a list of services "
                                         "('- name: ...')");
  }
}

void ServiceReader::ReadService(const Node& node) {
  Problems& problems = report_.problems;
  ServiceConfig service;
  MapReader map(&node, "service", problems);
  if (!map.is_map()) return;
  const auto named = [](size_t longest) {
    return [longest](const Node& value, const std::string& name, Problems& found) {
      return ReadPlainName(value, name, found, longest);
    };
  };
  const Node* const name_node = map.Take("name");
  const auto name = map.Get("name", named(kLongestName));
  if (name_node == nullptr) {
    problems.Add(node.place, "the service has no name; add 'name: my-service'");
  }
  const Node* const id_node = map.Take("id");
  const auto id = map.Get("id", named(kLongestId));
  service.address = node_.advertise;
  map.Into(service.address, "address", ReadAddress);
  std::optional<uint16_t> port;
  if (map.Take("port") == nullptr) {
    problems.Add(node.place, "the service has no port; add 'port: 8080' (1 to 65535)");
  } else if (const auto number = map.Get("port", ReadInteger, 1, 65535)) {
    port = static_cast<uint16_t>(*number);
  }
  const auto protocol = [](const Node& value, const std::string& what,
                           Problems& found) -> std::optional<std::string> {
    if (!ReadChoice(value, what, found, {"http", "https", "grpc", "tcp"})) return std::nullopt;
    return value.text;
  };
  map.Into(service.protocol, "protocol", protocol);
  ReadLabels(map, node.place, service, problems);
  if (const auto weight = map.Get("weight", ReadInteger, 0, 65535)) {
    service.weight = static_cast<uint16_t>(*weight);
  }
  ReadChecks(map, node.place, port, service, report_);
  map.Refuse("drain");
  map.Finish();

  if (id) {
    service.id = *id;
  } else if (id_node == nullptr && name && port && !node_.name.empty()) {
    service.id = *name + '-' + node_.name + '-' + std::to_string(*port);
  }
  service.name = name.value_or("");
  service.port = port.value_or(0);
  AddService(std::move(service), id_node != nullptr ? id_node->place : node.place);
}

void ServiceReader::AddService(ServiceConfig service, const Place& place) {
  if (service.id.empty()) return;  // it has been reported why
  const auto [first, is_new] = ids_.try_emplace(service.id, place);
  if (!is_new) {
    report_.problems.Add(place, "the id " + Quoted(service.id) + " is taken by the service at " +
                                    first->second.Format() +
                                    "; give each service an id of its own");
    return;
  }
  services_.push_back(std::make_shared<const ServiceConfig>(std::move(service)));
}

std::vector<std::shared_ptr<const ServiceConfig>> ServiceReader::Take() {
  std::sort(services_.begin(), services_.end(),
            [](const auto& a, const auto& b) { return a->id < b->id; });
  return std::move(services_);
}

}  // namespace rosterd::yaml
