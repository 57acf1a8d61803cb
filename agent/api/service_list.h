// SPDX-License-Identifier: Apache-2.0
// The body of GET /services: every service that has instances, sorted by name. Rendering it visits
// the whole catalog, so it is done once per catalog snapshot and only when somebody asks.
#pragma once

#include <memory>

#include "model/catalog.h"

namespace rosterd::api {

// Owned by the http thread.
class ServiceListCache {
 public:
  // Never null.
  std::shared_ptr<const ServiceEntry::Body> Get(const std::shared_ptr<const Catalog>& catalog);

 private:
  // Weak: a list that nobody asks for again must not keep an old catalog in memory.
  std::weak_ptr<const Catalog> catalog_;
  std::shared_ptr<const ServiceEntry::Body> body_;
};

// {"index":57,"services":[{"name":"my-service","instances":3}]}. Pure.
ServiceEntry::Body RenderServiceList(const Catalog& catalog);

}  // namespace rosterd::api
