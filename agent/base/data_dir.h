// SPDX-License-Identifier: Apache-2.0
// DataDir: the directory in which state outlives the agent, and the lock that keeps a second agent
// off it. A disk that fails costs a warning and what would have been kept, never the agent: what
// could not be done at the start is tried again at every save.
#pragma once

#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/unique_fd.h"

namespace rosterd {

// Thread-safe.
class DataDir {
 public:
  // Makes the directory if it is missing and locks it for the life of this object. Error: another
  // agent uses it. Anything else that is wrong with it is a warning. `log` and `metrics` must
  // outlive it.
  static absl::StatusOr<std::unique_ptr<DataDir>> Open(std::string path, Log& log,
                                                       Metrics& metrics);

  const std::string& path() const { return path_; }
  Metrics& metrics() { return metrics_; }

  // Makes and locks it, if that is still to be done. Error: why it cannot be written, naming it.
  absl::Status Prepare();
  // So that what was renamed in it survives a power cut; as well as it can.
  void Sync() const;

  // What became of saving `file`. Told to a person once, until everything can be kept again.
  void NoteSave(const std::string& file, const absl::Status& saved);

 private:
  DataDir(std::string path, Log& log, Metrics& metrics)
      : path_(std::move(path)), log_(log), metrics_(metrics) {}
  absl::Status Lock();

  const std::string path_;
  Log& log_;
  Metrics& metrics_;

  mutable std::mutex mutex_;
  // Guarded by mutex_.
  UniqueFd locked_;  // the directory itself, so that a read-only file system can be locked too
  std::set<std::string> failing_;
};

}  // namespace rosterd
