// SPDX-License-Identifier: Apache-2.0
// LeaseFile: what a successor on this host must know to go on with our lease, so that a restart
// within the TTL writes nothing to etcd. It also holds the lock that keeps a second agent off the
// same data_dir. The only file of this room that touches the disk.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/unique_fd.h"

namespace rosterd {

struct LeaseRecord {
  uint64_t cluster_id = 0;  // 0: not known
  std::string prefix;
  std::string node;
  int64_t lease = 0;  // 0: none; the agent's uuid is still good
  seconds ttl{0};     // as configured
  std::string agent;
  std::string boot_id;
  bool operator==(const LeaseRecord&) const = default;
};

// Owned by one thread at a time.
class LeaseFile {
 public:
  // Makes `data_dir` if it is missing and locks it for the life of this object. Error, naming the
  // directory: it cannot be written, or another agent uses it.
  static absl::StatusOr<std::unique_ptr<LeaseFile>> Open(const std::string& data_dir);

  // What was written last; empty when there is no file. Error: why the file cannot be used (broken,
  // or of another prefix or node), for a warning; go on without it.
  absl::StatusOr<std::optional<LeaseRecord>> Load(const std::string& prefix,
                                                  const std::string& node) const;
  // Written aside, fsync, rename: whole or not at all. Does nothing when the record is already on
  // disk. Error: the file and why; the old file stays.
  absl::Status Save(const LeaseRecord& record);

  const std::string& path() const { return path_; }

 private:
  LeaseFile(std::string dir, UniqueFd lock);

  const std::string dir_;
  const std::string path_;
  const UniqueFd lock_;
  std::optional<LeaseRecord> saved_;
};

// The text of the file, and back. Error: what is wrong with it. Pure.
std::string EncodeLeaseRecord(const LeaseRecord& record);
absl::StatusOr<LeaseRecord> DecodeLeaseRecord(const std::string& text);

}  // namespace rosterd
