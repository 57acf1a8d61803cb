// SPDX-License-Identifier: Apache-2.0
// HealthFile: the states of the checks on disk, so that a restart of the agent is no restart of its
// services. Holds no URL and no header of a check, as they may hold secrets: only a hash of them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/data_dir.h"
#include "base/state_file.h"
#include "model/config.h"
#include "model/health_snapshot.h"

namespace rosterd {

struct SavedCheck {
  HealthStatus status = HealthStatus::kStarting;
  int successes = 0;
  int failures = 0;
  bool operator==(const SavedCheck&) const = default;
};

struct SavedInstance {
  uint64_t fingerprint = 0;  // FingerprintOf() the service that was checked
  HealthStatus status = HealthStatus::kStarting;
  WallTime since{};
  std::vector<SavedCheck> checks;
  bool operator==(const SavedInstance&) const = default;
};

struct SavedHealth {
  std::string boot_id;
  TimePoint saved_at{};                                         // of that boot
  std::map<std::string, SavedInstance, std::less<>> instances;  // by id
};

// Of address, port and checks: what the state of a service's checks depends on.
uint64_t FingerprintOf(const ServiceConfig& service);

// Owned by one thread at a time.
class HealthFile {
 public:
  // What is older says nothing any more.
  static constexpr Duration kGoodFor = std::chrono::hours(1);

  // `dir` must outlive it. `boot_id`: after a reboot nothing is as it was.
  HealthFile(DataDir& dir, std::string boot_id);

  // Empty: there is none, or it is of another boot or too old. Error, naming the file: why it
  // cannot be used, for a warning.
  absl::StatusOr<std::optional<SavedHealth>> Load(TimePoint now) const;
  // Error: as StateFile::Save().
  absl::Status Save(const HealthSnapshot& health, TimePoint now);

 private:
  StateFile file_;
  const std::string boot_id_;
};

// The body of the file, and back. Error: what is wrong with it. Pure.
void EncodeHealth(const HealthSnapshot& health, const std::string& boot_id, TimePoint now,
                  const StateFile::Append& append);
absl::StatusOr<SavedHealth> DecodeHealth(std::string_view body);

}  // namespace rosterd
