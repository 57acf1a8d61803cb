// SPDX-License-Identifier: Apache-2.0
#include "api/service_list.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "model/service_body.h"

namespace rosterd::api {
ServiceEntry::Body RenderServiceList(const Catalog& catalog) {
  std::vector<std::pair<std::string_view, size_t>> services;
  services.reserve(catalog.services());
  catalog.ForEach([&](const ServiceEntry& entry) {
    if (entry.served() > 0) services.emplace_back(entry.name(), entry.served());
  });
  std::sort(services.begin(), services.end());

  ServiceEntry::Body body;
  body.json.reserve(40 + 48 * services.size());
  body.json = "{\"index\":" + std::to_string(catalog.index()) + ",\"services\":[";
  const char* separator = "";
  for (const auto& [name, instances] : services) {
    body.json.append(separator).append("{\"name\":");
    AppendJsonString(body.json, name);
    body.json.append(",\"instances\":").append(std::to_string(instances)).append("}");
    separator = ",";
  }
  body.json += "]}";
  body.etag = EntityTag(body.json);
  return body;
}

std::shared_ptr<const ServiceEntry::Body> ServiceListCache::Get(
    const std::shared_ptr<const Catalog>& catalog) {
  // By owner, not by address: a new catalog may stand where the old one was.
  const bool same = !catalog_.owner_before(catalog) && !catalog.owner_before(catalog_);
  if (body_ == nullptr || !same) {
    body_ = std::make_shared<const ServiceEntry::Body>(RenderServiceList(*catalog));
    catalog_ = catalog;
  }
  return body_;
}

}  // namespace rosterd::api
