// SPDX-License-Identifier: Apache-2.0
// ServiceReader: reads services, from the main file and from included ones, and sees to it that no
// two have one id.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "model/config.h"
#include "yaml/check_reader.h"
#include "yaml/document.h"

namespace rosterd::yaml {

// Owned by the thread that reads the configuration.
class ServiceReader {
 public:
  // `node` gives defaults; its name or address may be empty where they are wrong themselves.
  ServiceReader(const NodeConfig& node, const Report& report) : node_(node), report_(report) {}

  // The `services` of the main file.
  void ReadList(const Node& node);
  // A whole included file: one service or a list of them.
  void ReadIncluded(const Node& node);

  // Sorted by id.
  std::vector<std::shared_ptr<const ServiceConfig>> Take();

 private:
  void ReadService(const Node& node);
  void AddService(ServiceConfig service, const Place& place);

  const NodeConfig& node_;
  const Report report_;
  std::vector<std::shared_ptr<const ServiceConfig>> services_;
  std::map<std::string, Place> ids_;
};

// "" for an address that others can be given; else what is wrong, and what would be right.
std::string CheckAddress(const std::string& address);

}  // namespace rosterd::yaml
