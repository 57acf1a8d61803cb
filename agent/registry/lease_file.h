// SPDX-License-Identifier: Apache-2.0
// LeaseFile: what a successor on this host must know to go on with our lease, so that a restart
// within the TTL writes nothing to etcd.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

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

// Thread-safe: the registrar says what is to be saved, the keeper waits for the disk.
class LeaseFile {
 public:
  // `dir` must outlive it.
  explicit LeaseFile(DataDir& dir);

  // What was written last; empty when there is no file. Error: why the file cannot be used (broken,
  // or of another prefix or node), for a warning; go on without it.
  absl::StatusOr<std::optional<LeaseRecord>> Load(const std::string& prefix,
                                                  const std::string& node) const;
  // Called when there is something to save; set before the first Save().
  void SetWake(std::function<void()> wake) { wake_ = std::move(wake); }
  // To be written by the next Step(). Never waits for the disk.
  void Save(const LeaseRecord& record);
  // Writes what is to be saved; what the disk refused again after a while. The old file stays until
  // the new one is whole. Returns when to be called next. One thread at a time.
  TimePoint Step(TimePoint now);
  // Writes at once what is left to be saved.
  absl::Status Finish();

  const std::string& path() const { return file_.path(); }

 private:
  StateFile file_;                      // the writing thread's
  std::function<void()> wake_ = [] {};  // constant after the first Save()
  mutable std::mutex mutex_;
  // Guarded by mutex_.
  std::optional<LeaseRecord> saved_;
  std::optional<LeaseRecord> unsaved_;
  TimePoint not_before_{};
};

// The body of the file, and back. Error: what is wrong with it. Pure.
std::string EncodeLeaseRecord(const LeaseRecord& record);
absl::StatusOr<LeaseRecord> DecodeLeaseRecord(const std::string& text);

}  // namespace rosterd
