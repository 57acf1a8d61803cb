// SPDX-License-Identifier: Apache-2.0
// Runs single checks through a real HttpProbe, one after the other, and waits for each result.
#pragma once

#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <vector>

#include "health/http_probe.h"

namespace rosterd::testing {

inline CheckConfig CheckOf(const std::string& url, Duration timeout = seconds(5)) {
  CheckConfig check;
  check.url = url;
  check.timeout = timeout;
  return check;
}

class ProbeRun {
 public:
  explicit ProbeRun(std::unique_ptr<LookupBackend> lookup = MakeSystemLookup()) {
    auto created = HttpProbe::Create(clock_, std::move(lookup));
    REQUIRE(created.ok());
    probe_ = std::move(*created);
  }

  CheckId Add(const CheckConfig& check) {
    probe_->Add(++last_id_, check);
    return last_id_;
  }
  // The result of the next run of that check.
  ProbeResult Run(CheckId id) {
    probe_->Start(id, clock_.Now());
    return Await(id);
  }
  ProbeResult Run(const CheckConfig& check) { return Run(Add(check)); }
  ProbeResult Await(CheckId id) {
    const TimePoint limit = clock_.Now() + seconds(20);
    while (clock_.Now() < limit) {
      std::vector<ProbeResult> results;
      probe_->Collect(results);
      for (ProbeResult& result : results) early_.push_back(std::move(result));
      for (auto it = early_.begin(); it != early_.end(); ++it) {
        if (it->id != id) continue;
        ProbeResult result = std::move(*it);
        early_.erase(it);
        return result;
      }
      probe_->Wait(limit);
    }
    FAIL("no result after 20 s");
    return {};
  }
  HttpProbe& probe() { return *probe_; }
  TimePoint Now() const { return clock_.Now(); }

 private:
  SystemClock clock_;
  std::unique_ptr<HttpProbe> probe_;
  CheckId last_id_ = 0;
  std::vector<ProbeResult> early_;
};

}  // namespace rosterd::testing
