// SPDX-License-Identifier: Apache-2.0
// MapReader: reads a map of settings strictly. Every key that nobody asked for is a problem, with
// the nearest known key as a suggestion. Does no I/O.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "yaml/document.h"

namespace rosterd::yaml {

// Keeps references to the node and the problems. Owned by the thread that reads the configuration.
class MapReader {
 public:
  // `name` is how people write the path to it, "etcd.tls"; "" at the top. A null `node` is an
  // empty map; one that is no map becomes a problem and is then an empty one too.
  MapReader(const Node* node, std::string name, Problems& problems);

  // Null where the key does not stand or has an empty value (null): both mean "not given".
  const Node* Take(std::string_view key);
  // Takes and reads: `read(node, name, problems, args...)` returns an optional.
  template <typename Read, typename... Args>
  auto Get(std::string_view key, Read read, Args... args)
      -> decltype(read(std::declval<const Node&>(), std::string(), std::declval<Problems&>(),
                       args...)) {
    const Node* node = Take(key);
    if (node == nullptr) return std::nullopt;
    return read(*node, Name(key), problems_, args...);
  }
  // The same into `target`, which stays as it is when the key is not given or wrong.
  template <typename T, typename Read, typename... Args>
  void Into(T& target, std::string_view key, Read read, Args... args) {
    if (auto value = Get(key, read, args...)) target = std::move(*value);
  }
  // A setting that a later version knows: an error that names it, whatever its value is.
  void Refuse(std::string_view key);

  // Reports the keys that nobody took. Call it last.
  void Finish();

  bool is_map() const { return is_map_; }
  // It stands there, with whatever value.
  bool Has(std::string_view key) const { return Find(key) != nullptr; }
  // Of the key; the map's where it is not given. Only with a node.
  const Place& PlaceOf(std::string_view key) const;
  const Place& place() const { return node_->place; }
  std::string Name(std::string_view key) const;

 private:
  const Entry* Find(std::string_view key) const;
  void ReportRefused(const Entry& entry);

  const Node* node_;
  const std::string name_;
  Problems& problems_;
  bool is_map_ = false;
  std::vector<std::string> known_;
  std::vector<std::string> refused_;
};

// What `node` is, for "not ...": "a list", "a map", "'text'".
std::string Describe(const Node& node);

}  // namespace rosterd::yaml
