// SPDX-License-Identifier: Apache-2.0
#include "world.h"

#include <algorithm>

#include "catalog/catalog_builder.h"

namespace rosterd::api::testing {

std::shared_ptr<const Catalog> MakeCatalog(int64_t revision, const std::vector<Row>& rows,
                                           bool watch_open) {
  std::vector<etcd::KeyValue> kvs;
  for (const Row& row : rows) {
    etcd::KeyValue kv;
    kv.key = FormatKey("/services/", row.instance.service, row.instance.id);
    kv.value = row.readable ? EncodeInstance(row.instance) : "{";
    kv.mod_revision = row.mod_revision;
    kvs.push_back(kv);
  }
  std::sort(kvs.begin(), kvs.end(), [](const auto& a, const auto& b) { return a.key < b.key; });
  CatalogBuilder builder("/services/");
  builder.ReplaceAll(kvs, revision);
  builder.SetWatchOpen(watch_open);
  return builder.Snapshot();
}

}  // namespace rosterd::api::testing
