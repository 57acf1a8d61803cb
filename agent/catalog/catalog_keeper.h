// SPDX-License-Identifier: Apache-2.0
// CatalogKeeper: keeps the newest catalog on disk, as rarely as that can be done without losing
// more than a second. Runs in the keeper's StepThread; wake it when the catalog changed.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>

#include "base/clock.h"
#include "base/latest.h"
#include "catalog/catalog_file.h"
#include "model/catalog.h"
#include "model/etcd_snapshot.h"

namespace rosterd {

// Thread-safe.
class CatalogKeeper {
 public:
  // All references must outlive it.
  CatalogKeeper(CatalogFile file, const Latest<Catalog>& catalogs, const Latest<EtcdSnapshot>& etcd,
                const Clock& clock)
      : catalogs_(catalogs), etcd_(etcd), clock_(clock), file_(std::move(file)) {}

  // Saves what changed: at most once a second, and the longer a save takes the more rarely, so that
  // it is at most a twentieth of the time. When only etcd's last answer has become younger: every
  // 10 s, a large file more rarely. Returns when to be called next.
  TimePoint Step(TimePoint now);
  // The last save of a run; left out when the disk is too slow to do it within `limit`.
  void Finish(Duration limit);

 private:
  // What of a catalog must not be lost. It only grows.
  struct Mark {
    int64_t revision = 0;
    int64_t etcd_revision = 0;
    int64_t index = 0;
    int64_t floor = 0;
    bool operator==(const Mark&) const = default;
    bool NewerThan(const Mark& other) const;
  };
  static Mark MarkOf(const Catalog& catalog);

  WallTime Answered() const;
  void Save(const Catalog& catalog);
  Duration RefreshEvery() const;

  const Latest<Catalog>& catalogs_;
  const Latest<EtcdSnapshot>& etcd_;
  const Clock& clock_;

  std::mutex mutex_;
  // Guarded by mutex_.
  CatalogFile file_;
  std::optional<Mark> saved_;
  WallTime saved_answered_{};
  TimePoint saved_at_{};
  TimePoint not_before_{};
  Duration took_{};
};

}  // namespace rosterd
