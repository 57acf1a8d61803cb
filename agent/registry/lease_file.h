// SPDX-License-Identifier: Apache-2.0
// LeaseFile: what a successor on this host must know to go on with our lease, so that a restart
// within the TTL writes nothing to etcd.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/data_dir.h"
#include "base/state_file.h"

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

// Thread-safe: the registrar saves, the keeper tries again what the disk refused.
class LeaseFile {
 public:
  // `dir` must outlive it.
  explicit LeaseFile(DataDir& dir);

  // What was written last; empty when there is no file. Error: why the file cannot be used (broken,
  // or of another prefix or node), for a warning; go on without it.
  absl::StatusOr<std::optional<LeaseRecord>> Load(const std::string& prefix,
                                                  const std::string& node) const;
  // Does nothing when the record is already on disk. Error: the file and why; the old file stays
  // until Step() has written the new one.
  absl::Status Save(const LeaseRecord& record);
  // Tries again what could not be saved; returns when to be called next.
  TimePoint Step(TimePoint now);

  const std::string& path() const { return file_.path(); }

 private:
  absl::Status Write(const LeaseRecord& record);

  mutable std::mutex mutex_;
  // Guarded by mutex_.
  StateFile file_;
  std::optional<LeaseRecord> saved_;
  std::optional<LeaseRecord> unsaved_;
  TimePoint again_at_{};
};

// The body of the file, and back. Error: what is wrong with it. Pure.
std::string EncodeLeaseRecord(const LeaseRecord& record);
absl::StatusOr<LeaseRecord> DecodeLeaseRecord(const std::string& text);

}  // namespace rosterd
