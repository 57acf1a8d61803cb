// SPDX-License-Identifier: Apache-2.0
// StateFile: the one way in which state is written to disk. A file is replaced as a whole or not at
// all (written aside, fsync, rename) and says what it is, in which format, and whether it is whole:
// a first line "rosterd NAME FORMAT", the body, a checksum in the last line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "base/data_dir.h"
#include "base/metrics.h"

namespace rosterd {

// Owned by one thread at a time.
class StateFile {
 public:
  struct Kind {
    std::string name;  // also the file's
    int format = 1;
    size_t max_bytes = 64 * 1024;
  };
  using Append = std::function<void(std::string_view)>;
  // Hands the body, piece by piece, to its argument.
  using Produce = std::function<void(const Append&)>;

  // `dir` must outlive it.
  StateFile(DataDir& dir, Kind kind);

  // The body that was saved last; empty when there is none. Error, naming the file: why it cannot
  // be used (torn, changed, of another kind or format, too long), for a warning; go on without it.
  absl::StatusOr<std::optional<std::string>> Load() const;
  // Error, naming the file: why it could not be written; the old one stays. The directory has been
  // told by then, a person too, and the failure has been counted.
  absl::Status Save(const Produce& produce);
  absl::Status Save(std::string_view body);

  const std::string& path() const { return path_; }

 private:
  absl::Status Write(const Produce& produce) const;

  DataDir& dir_;
  const Kind kind_;
  const std::string path_;
  const Counter failures_;
};

// The file's whole text, and its body again. Error: what is wrong with it. Pure.
std::string FrameState(const StateFile::Kind& kind, std::string_view body);
absl::StatusOr<std::string> UnframeState(const StateFile::Kind& kind, std::string text);

// FNV-1a; `before` goes on with what was hashed before. Against rot and for comparing, not against
// an attacker.
uint64_t HashText(std::string_view text, uint64_t before = 0xcbf29ce484222325);
// 16 hexadecimal digits, and back.
std::string HexText(uint64_t number);
std::optional<uint64_t> ParseHexText(std::string_view text);

}  // namespace rosterd
