// SPDX-License-Identifier: Apache-2.0
// OwnCa: the certificates of a check's own authority, read from their file when that has changed
// and before a run begins, never in the middle of a handshake. Runs on the prober thread.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"

namespace rosterd {

// Owned by the prober thread.
class OwnCa {
 public:
  explicit OwnCa(std::string file) : file_(std::move(file)) {}

  // Reads the file if it is not the one read last. Error: it cannot be read, with its name.
  absl::Status Refresh();
  const std::string& file() const { return file_; }
  // Empty: the file is so large that libcurl reads it itself, and keeps what it has parsed.
  const std::string& text() const { return text_; }

 private:
  const std::string file_;
  std::string text_;
  int64_t seen_[4] = {-1, -1, -1, -1};  // device, inode, size, time of change
};

}  // namespace rosterd
