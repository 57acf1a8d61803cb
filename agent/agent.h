// SPDX-License-Identifier: Apache-2.0
// Agent: the composition root. It owns every worker and alone connects them, as the data flows:
//   checks -> HealthSnapshot -> registrar -> etcd;   etcd -> watcher -> Catalog -> API.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/log.h"
#include "model/config.h"

namespace rosterd {

// Owned by the main thread.
class Agent {
 public:
  // Binds the sockets and locks data_dir, so that what cannot work fails here with one clear error
  // (what, where, what to do). etcd may be away. `log` must outlive the agent.
  static absl::StatusOr<std::unique_ptr<Agent>> Create(std::shared_ptr<const Config> config,
                                                       Log& log);
  // As Stop() with the configured on_stop, if it was not called.
  ~Agent();

  void Start();
  // Services, guard, log and allowed_hosts change; what cannot is named in the log with "needs
  // restart".
  void Reload(const Config& loaded);
  // In reverse order of start, within 2 s. Idempotent.
  void Stop(OnStop mode);

  // One sentence for each loop that has not turned for 10 s; empty: all is well.
  std::vector<std::string> StuckLoops() const;
  // What it runs with now.
  const Config& config() const;

 private:
  struct Parts;
  explicit Agent(std::unique_ptr<Parts> parts);

  std::unique_ptr<Parts> parts_;
};

}  // namespace rosterd
