// SPDX-License-Identifier: Apache-2.0
// LeaseLosses: which leases lost all their keys in one revision, and which keys went with them,
// told from nothing but the events of the watch. etcd deletes all keys of a lease that ended in one
// revision. Pure; runs on the watcher thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "model/catalog.h"

namespace rosterd {

// Keeps one number per lease. Keys without a lease (0) do not count.
//
// Owned by the watcher thread.
class LeaseLosses {
 public:
  // A lease that keys were deleted of, in one revision.
  struct Loss {
    int64_t lease = 0;
    int64_t revision = 0;
    bool whole = false;  // all it had
    bool operator==(const Loss&) const = default;
  };
  // A key that was deleted and did not come back among the same events.
  struct GoneKey {
    std::string service;
    CatalogKey key;  // as it stood
    int64_t revision = 0;
  };
  struct Found {
    std::vector<Loss> losses;  // by revision, then lease
    std::vector<GoneKey> gone;
  };

  // Begins anew with a list, which is no event: AddListed for each key follows.
  void Reset();
  void AddListed(int64_t lease);

  // In order of `revision`; all events of one revision come before the next Take().
  // `before`: the key as it stood; null: there was none.
  void OnPut(int64_t revision, const std::string& service, const std::string& id,
             const CatalogKey* before, int64_t lease);
  void OnDelete(int64_t revision, const std::string& service, const CatalogKey& before);
  // What the events since the last call showed.
  Found Take();

  size_t leases() const { return keys_.size(); }

 private:
  struct Touched {
    size_t before = 0;  // keys when the revision began
    size_t deleted = 0;
  };

  void Open(int64_t revision);
  Touched& Touch(int64_t lease);
  void RemoveFrom(int64_t lease);

  std::unordered_map<int64_t, size_t> keys_;  // per lease, never 0
  // Of the revision whose events are coming in.
  int64_t revision_ = 0;
  std::map<int64_t, Touched> touched_;
  // Since the last Take().
  std::vector<Loss> losses_;
  std::map<std::pair<std::string, std::string>, GoneKey> gone_;
};

}  // namespace rosterd
