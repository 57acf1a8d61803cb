// SPDX-License-Identifier: Apache-2.0
// CatalogFile: the catalog on disk, so that a start without etcd has something to serve and no
// index that was shown is ever undercut. One line per fact; written without building a tree.
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/data_dir.h"
#include "base/state_file.h"
#include "catalog/saved_catalog.h"
#include "model/catalog.h"

namespace rosterd {

// Owned by one thread at a time.
class CatalogFile {
 public:
  // `dir` must outlive it; `prefix` is that of etcd's keys.
  CatalogFile(DataDir& dir, std::string prefix);

  // Empty: there is none. Error, naming the file: why it cannot be used, for a warning.
  absl::StatusOr<std::optional<SavedCatalog>> Load() const;
  // `answered`: when etcd last answered. Error: as StateFile::Save().
  absl::Status Save(const Catalog& catalog, WallTime answered);
  // Of the file as Save() wrote it last; 0: not yet.
  size_t bytes() const { return bytes_; }

 private:
  StateFile file_;
  const std::string prefix_;
  size_t bytes_ = 0;
};

// The body of the file, and back. Error: what is wrong with it. Pure.
void EncodeCatalog(const Catalog& catalog, const std::string& prefix, WallTime answered,
                   const StateFile::Append& append);
absl::StatusOr<SavedCatalog> DecodeCatalog(std::string_view body);

}  // namespace rosterd
