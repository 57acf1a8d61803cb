// SPDX-License-Identifier: Apache-2.0
// Instance: one running copy of a service as it stands in etcd, and the key and value under which
// it stands there. The codec is the wire contract of docs/etcd-keys.md. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace rosterd {

// Immutable once it is shared.
struct Instance {
  std::string service;
  std::string id;
  std::string host;  // IPv6 bare
  uint16_t port = 0;
  uint16_t weight = 100;
  std::vector<std::string> tags;
  std::map<std::string, std::string> meta;
  std::vector<std::string> endpoints;  // "http://10.0.0.5:8080"
  std::string node;
  std::string zone;
  std::string agent;  // uuid of the agent that wrote it
  std::string state = "passing";
  bool operator==(const Instance&) const = default;

  bool passing() const { return state == "passing"; }
};

struct InstanceKey {
  std::string service;  // the first part of what follows the prefix
  std::string id;       // the rest, slashes included
  bool operator==(const InstanceKey&) const = default;
};

// PREFIX SERVICE "/" ID; `prefix` ends with a slash.
std::string FormatKey(std::string_view prefix, std::string_view service, std::string_view id);
// Empty for a key that is not of that form (no slash, an empty service or id).
std::optional<InstanceKey> ParseKey(std::string_view prefix, std::string_view key);

// One JSON object that several existing readers understand in place.
std::string EncodeInstance(const Instance& instance);

// Whoever wrote it: our own object, an object with only `Addr`, plain `host:port`, and the seed
// document's `NAME host:port`. Service and id come from the key. Error: why it cannot be read,
// short, fit for a log line; the caller skips the value.
absl::StatusOr<Instance> DecodeInstance(const InstanceKey& key, std::string_view value);

}  // namespace rosterd
