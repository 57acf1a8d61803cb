// SPDX-License-Identifier: Apache-2.0
// IndexMark: the largest revision that was shown to anybody, in a small file of data_dir. It is
// written before each snapshot is shown, without waiting for the disk, so that it survives the
// process, though not a power cut; the catalog's file is younger by a save, and would let an index
// go back.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "base/data_dir.h"
#include "base/unique_fd.h"

namespace rosterd {

// Owned by one thread at a time.
class IndexMark {
 public:
  // `dir` must outlive it.
  explicit IndexMark(DataDir& dir);

  // What the last run left; empty when there is no file. Error: the file and why it cannot be used.
  absl::StatusOr<std::optional<int64_t>> Load() const;
  // Does nothing when it is not larger than before. A disk that refuses is tried again with the
  // next one.
  void Raise(int64_t shown);

 private:
  DataDir& dir_;
  const std::string path_;
  UniqueFd fd_;
  int64_t written_ = 0;
};

// The text of the file, and back; empty: torn, or something else. Pure.
std::string EncodeIndexMark(int64_t shown);
std::optional<int64_t> DecodeIndexMark(const std::string& text);

}  // namespace rosterd
