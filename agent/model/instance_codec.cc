// SPDX-License-Identifier: Apache-2.0
// The wire contract: how an instance stands in etcd. Strict where a mistake would send traffic to
// the wrong place, lenient where a member only describes. Runs on the watcher's thread (reading)
// and the registrar's (writing); pure.
#include <algorithm>

#include "base/json.h"
#include "base/net_address.h"
#include "model/instance.h"
#include "model/value_fields.h"

namespace rosterd {
namespace {

constexpr std::string_view kWhitespace = " \t\r\n";

absl::Status Unreadable(std::string reason) {
  return absl::InvalidArgumentError(std::move(reason));
}

// Fit for a log line: at most 60 bytes of what others wrote, printable ASCII only.
std::string Quoted(std::string_view text) {
  constexpr size_t kLongest = 60;
  std::string quoted = "'";
  for (const char c : text.substr(0, kLongest)) quoted += c >= ' ' && c <= '~' ? c : '?';
  quoted += text.size() > kLongest ? "...'" : "'";
  return quoted;
}

std::string_view Trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(kWhitespace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kWhitespace) - begin + 1);
}

bool IsServiceName(std::string_view text) {
  return !text.empty() && text.size() <= 128 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
}

// `host` and `port` where both can be used, else `Addr`.
absl::StatusOr<HostPort> PlaceOf(const ValueFields& fields) {
  using Kind = ValueFields::Kind;
  const bool has_addr = fields.addr.kind != Kind::kMissing;
  if (fields.host.kind == Kind::kWrong) return Unreadable("host is not a string");
  if (!fields.host.text.empty()) {
    if (fields.port.kind == Kind::kUsable && fields.port.number != 0) {
      if (!IsHostName(fields.host.text)) {
        return Unreadable("host " + Quoted(fields.host.text) + " is not a host name or an IP");
      }
      return HostPort{fields.host.text, fields.port.number};
    }
    if (!has_addr) {
      return Unreadable(fields.port.kind == Kind::kMissing
                            ? "host without a port"
                            : "port is not a whole number from 1 to 65535");
    }
  }
  if (!has_addr) return Unreadable("neither host and port nor Addr");
  if (fields.addr.kind == Kind::kWrong) return Unreadable("Addr is not a string");
  auto place = ParseHostPort(fields.addr.text);
  if (!place.ok()) return Unreadable("Addr " + Quoted(fields.addr.text) + " is not HOST:PORT");
  return place;
}

absl::StatusOr<Instance> DecodeObject(const InstanceKey& key, std::string_view value) {
  using Kind = ValueFields::Kind;
  auto fields = ReadValueFields(value);
  if (!fields.ok()) return fields.status();
  auto place = PlaceOf(*fields);
  if (!place.ok()) return place.status();
  if (fields->weight.kind == Kind::kWrong) {
    return Unreadable("weight is not a whole number from 0 to 65535");
  }
  if (fields->state.kind == Kind::kWrong) return Unreadable("state is not a string");

  Instance instance;
  instance.service = key.service;
  instance.id = key.id;
  instance.host = std::move(place->host);
  instance.port = place->port;
  if (fields->weight.kind == Kind::kUsable) instance.weight = fields->weight.number;
  instance.tags = std::move(fields->tags);
  instance.meta = std::move(fields->meta);
  instance.endpoints = std::move(fields->endpoints);
  instance.node = std::move(fields->node.text);
  instance.zone = std::move(fields->zone.text);
  instance.agent = std::move(fields->agent.text);
  if (fields->state.kind == Kind::kUsable) instance.state = std::move(fields->state.text);
  return instance;
}

absl::StatusOr<Instance> DecodePlain(const InstanceKey& key, std::string_view value) {
  const size_t space = value.find_first_of(kWhitespace);
  std::string_view place_text = value;
  if (space != std::string_view::npos) {
    const std::string_view name = value.substr(0, space);
    if (name == key.service || IsServiceName(name)) place_text = Trimmed(value.substr(space));
  }
  auto place = ParseHostPort(place_text);
  if (!place.ok()) {
    return Unreadable(Quoted(value) + " is not a JSON object, HOST:PORT or NAME HOST:PORT");
  }
  Instance instance;
  instance.service = key.service;
  instance.id = key.id;
  instance.host = std::move(place->host);
  instance.port = place->port;
  return instance;
}

}  // namespace

std::string FormatKey(std::string_view prefix, std::string_view service, std::string_view id) {
  std::string key;
  key.reserve(prefix.size() + service.size() + 1 + id.size());
  key.append(prefix).append(service).append(1, '/').append(id);
  return key;
}

std::optional<InstanceKey> ParseKey(std::string_view prefix, std::string_view key) {
  if (!key.starts_with(prefix)) return std::nullopt;
  key.remove_prefix(prefix.size());
  const size_t slash = key.find('/');
  if (slash == 0 || slash == std::string_view::npos || slash + 1 == key.size()) return std::nullopt;
  return InstanceKey{std::string(key.substr(0, slash)), std::string(key.substr(slash + 1))};
}

std::string EncodeInstance(const Instance& instance) {
  std::string out;
  out.reserve(512);
  out += "{\"id\":";
  AppendJsonString(out, instance.id);
  out += ",\"name\":";
  AppendJsonString(out, instance.service);
  out += ",\"host\":";
  AppendJsonString(out, instance.host);
  out += ",\"port\":";
  out += std::to_string(instance.port);
  out += ",\"weight\":";
  out += std::to_string(instance.weight);
  out += ",\"tags\":";
  AppendJsonArray(out, instance.tags);
  out += ",\"Addr\":";
  AppendJsonString(out, FormatHostPort(instance.host, instance.port));
  out += ",\"Metadata\":";
  AppendJsonObject(out, instance.meta);
  out += ",\"endpoints\":";
  AppendJsonArray(out, instance.endpoints);
  out += ",\"node\":";
  AppendJsonString(out, instance.node);
  out += ",\"zone\":";
  AppendJsonString(out, instance.zone);
  out += ",\"agent\":";
  AppendJsonString(out, instance.agent);
  out += ",\"state\":";
  AppendJsonString(out, instance.state);
  out += '}';
  return out;
}

absl::StatusOr<Instance> DecodeInstance(const InstanceKey& key, std::string_view value) {
  const size_t longest = JsonLimits().max_bytes;
  if (value.size() > longest) {
    return Unreadable(std::to_string(value.size()) + " bytes long, more than " +
                      std::to_string(longest));
  }
  const std::string_view content = Trimmed(value);
  if (content.empty()) return Unreadable("empty");
  return content.front() == '{' ? DecodeObject(key, content) : DecodePlain(key, content);
}

}  // namespace rosterd
