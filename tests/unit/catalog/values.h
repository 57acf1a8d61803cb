// SPDX-License-Identifier: Apache-2.0
// Keys, values and watch answers, short to write.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "etcd/client.h"
#include "model/catalog.h"
#include "model/instance.h"

namespace rosterd::testing {

inline constexpr char kPrefix[] = "/services/";

inline std::string KeyOf(const std::string& service, const std::string& id) {
  return kPrefix + service + "/" + id;
}

// A value of our own form.
inline std::string ValueOf(const std::string& service, const std::string& id, uint16_t port = 8080,
                           const std::string& state = "passing") {
  Instance instance;
  instance.service = service;
  instance.id = id;
  instance.host = "10.0.0.5";
  instance.port = port;
  instance.state = state;
  return EncodeInstance(instance);
}

inline etcd::KeyValue RawKv(const std::string& key, const std::string& value, int64_t revision,
                            int64_t lease = 0) {
  return {key, value, revision, revision, 1, lease};
}

inline etcd::KeyValue Kv(const std::string& service, const std::string& id, int64_t revision,
                         uint16_t port = 8080) {
  return RawKv(KeyOf(service, id), ValueOf(service, id, port), revision);
}

inline etcd::WatchEvent PutOf(etcd::KeyValue kv) {
  return {etcd::WatchEvent::Kind::kPut, std::move(kv)};
}

inline etcd::WatchEvent DeleteOf(const std::string& service, const std::string& id,
                                 int64_t revision) {
  etcd::KeyValue kv;
  kv.key = KeyOf(service, id);
  kv.mod_revision = revision;
  return {etcd::WatchEvent::Kind::kDelete, kv};
}

inline etcd::WatchBatch BatchOf(std::vector<etcd::WatchEvent> events, uint64_t cluster = 1) {
  const int64_t revision = events.empty() ? 0 : events.back().kv.mod_revision;
  return {{cluster, 1, revision, 2}, false, std::move(events)};
}

inline etcd::WatchBatch CreatedAt(int64_t revision, uint64_t cluster = 1) {
  return {{cluster, 1, revision, 2}, true, {}};
}

inline etcd::WatchBatch ProgressAt(int64_t revision, uint64_t cluster = 1) {
  return {{cluster, 1, revision, 2}, false, {}};
}

// "id:port" of what is served, in order.
inline std::vector<std::string> ServedOf(const Catalog& catalog, const std::string& service) {
  std::vector<std::string> served;
  if (const auto entry = catalog.Find(service)) {
    for (const ServedInstance& instance : entry->ServedInstances()) {
      served.push_back(instance->id + ":" + std::to_string(instance->port));
    }
  }
  return served;
}

}  // namespace rosterd::testing
