// SPDX-License-Identifier: Apache-2.0
// HttpProbe: checks over HTTP and HTTPS, all on the calling thread (libcurl's multi interface on an
// epoll loop). Follows no redirect, uses no proxy, keeps connections, reads a bounded part of what
// comes, and never lets one target wait for another one.
#pragma once

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "health/name_lookup.h"
#include "health/probe.h"

namespace rosterd {

// Owned by the prober thread; Wake() alone may be called from any thread.
class HttpProbe final : public Probe {
 public:
  // `clock` must be on BootClock and outlive it. Error: no descriptors, or libcurl does not start.
  static absl::StatusOr<std::unique_ptr<HttpProbe>> Create(
      const Clock& clock, std::unique_ptr<LookupBackend> lookup = MakeSystemLookup());
  // Ends all runs without waiting for anything.
  ~HttpProbe() override;

  void Add(CheckId id, const CheckConfig& check) override;
  void Remove(CheckId id) override;
  void Start(CheckId id, TimePoint now) override;
  void Collect(std::vector<ProbeResult>& results) override;
  void Wait(TimePoint until) override;
  void Wake() override;

 private:
  class Impl;
  explicit HttpProbe(std::unique_ptr<Impl> impl);

  const std::unique_ptr<Impl> impl_;
};

}  // namespace rosterd
