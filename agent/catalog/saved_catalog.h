// SPDX-License-Identifier: Apache-2.0
// SavedCatalog: what an earlier run knew, as it stands on disk.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "model/catalog.h"

namespace rosterd {

// Revisions as in Catalog.
struct SavedCatalog {
  struct Service {
    std::string name;
    int64_t index = 0;
    std::vector<CatalogKey> keys;  // sorted by id; none: it has ended
  };

  std::string prefix;
  uint64_t cluster_id = 0;
  int64_t revision = 0;  // etcd's own
  int64_t offset = 0;    // from it to the revisions that were shown
  int64_t floor = 0;
  int64_t index = 0;
  WallTime answered{};  // when etcd had last answered
  std::vector<Service> services;
};

}  // namespace rosterd
