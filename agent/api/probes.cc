// SPDX-License-Identifier: Apache-2.0
#include "api/probes.h"

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "api/answers.h"

namespace rosterd::api {
namespace {

http::Answer Verdict(std::string_view bad_status, const std::vector<std::string>& reasons) {
  if (reasons.empty()) return JsonAnswer(200, {{"status", "ok"}});
  return JsonAnswer(503, {{"status", bad_status}, {"reasons", reasons}});
}

}  // namespace

std::vector<std::string> StuckLoops(const std::vector<LoopTurn>& loops, TimePoint now) {
  std::vector<std::string> reasons;
  for (const LoopTurn& loop : loops) {
    const Duration still = now - loop.last_turn;
    if (still < kStuckAfter) continue;
    reasons.push_back("the " + std::string(loop.name) + " loop has not turned for " +
                      std::to_string(std::chrono::duration_cast<seconds>(still).count()) + " s");
  }
  return reasons;
}

http::Answer ShowLiveness(const Views& views) {
  return Verdict("unhealthy", StuckLoops(views.loops, views.now));
}

http::Answer ShowReadiness(const Views& views) {
  if (views.catalog != nullptr) return Verdict("not ready", {});
  http::Answer answer = Verdict("not ready", {WhyNoCatalog(views)});
  answer.headers.emplace_back("Retry-After", "1");
  return answer;
}

}  // namespace rosterd::api
