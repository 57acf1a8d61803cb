// SPDX-License-Identifier: Apache-2.0
// The scripted etcd itself: without a deed it keeps the same contract as real etcd; and the checker
// finds what it is there to find.
#include <catch2/catch.hpp>

#include "catalog/catalog_builder.h"
#include "etcd/grpc_client.h"
#include "scripted_agent.h"
#include "scripted_checker.h"
#include "scripted_etcd.h"
#include "support/etcd_contract.h"

namespace rosterd::testing {
namespace {

TEST_CASE("the scripted etcd keeps the contract that real etcd keeps") {
  for (const ContractCase& one : EtcdContract()) {
    // Takes 5 s; the lease tests would not pass without it.
    if (one.name == "a lease lives while it is renewed and its keys go after") continue;
    DYNAMIC_SECTION(one.name) {
      const auto store = std::make_shared<ScriptedStore>();
      const ScriptedEtcd etcd(store, 1);
      etcd::GrpcClient client(*etcd::ParseEndpoint(etcd.endpoint()));
      one.run({.client = client,
               .prefix = "/contract/",
               .pass_time = [](Duration d) { std::this_thread::sleep_for(d); },
               .compact = [&](int64_t revision) { store->Compact(revision); },
               .first_lease = 100});
    }
  }
}

TEST_CASE("the checker of published catalogs finds halves, lies and steps back") {
  ScriptedStore store;
  const auto key = [](int i) { return FormatKey(kScriptedPrefix, "api", std::to_string(i)); };
  store.PutAll({{key(1), "10.0.0.1:1"}, {key(2), "10.0.0.1:2"}});
  const auto first = store.All();
  const int64_t first_revision = store.revision();
  store.Delete(key(1));
  const auto second = store.All();
  const int64_t second_revision = store.revision();

  const auto make = [](const ScriptedStore::Kvs& kvs, int64_t revision) {
    CatalogBuilder builder(kScriptedPrefix);
    std::vector<etcd::KeyValue> list;
    for (const auto& [name, kv] : kvs) list.push_back(kv);
    builder.ReplaceAll(list, revision);
    return builder.Snapshot();
  };
  const auto good = make(first, first_revision);
  const auto newer = make(second, second_revision);
  CHECK(CheckPublished({good, newer, newer}, store.Eras()).empty());
  CHECK(CheckPublished({make(second, first_revision)}, store.Eras()).size() == 1);
  CHECK(CheckPublished({make({}, second_revision)}, store.Eras()).size() == 1);
  CHECK(CheckPublished({make(second, second_revision + 1)}, store.Eras()).size() == 1);
  CHECK_FALSE(CheckPublished({newer, good}, store.Eras()).empty());
}

}  // namespace
}  // namespace rosterd::testing
