// SPDX-License-Identifier: Apache-2.0
#include "catalog/guard_log.h"

#include <algorithm>

#include "base/duration.h"

namespace rosterd {

void GuardLog::Update(const Guard& guard, const Clock& clock) {
  const size_t held = guard.held();
  metrics_.held.Set(static_cast<double>(held));
  most_ = std::max(most_, held);
  if ((held > 0) == holding_) return;
  holding_ = held > 0;
  const TimePoint now = clock.Now();
  if (holding_) {
    since_ = now;
    metrics_.holds.Increment();
    const Guard::Summary summary = guard.Summarize();
    const WallTime until = clock.WallNow() + ToMilliseconds(guard.next_release() - now);
    log_.Warn(
        "many instances vanished with their hosts' leases at about the same time; answers keep "
        "them, marked as held, for a while: see whether etcd lost leases, or those hosts or the "
        "network between them and etcd are down",
        {{"instances", summary.instances},
         {"services", NameAFew(summary.services)},
         {"leases", summary.leases},
         {"until", FormatRfc3339(until)}});
    return;
  }
  const auto lasted = std::chrono::duration_cast<seconds>(now - since_);
  log_.Info("no vanished instance is held any more",
            {{"held_at_most", most_}, {"lasted", FormatDuration(lasted)}});
  most_ = 0;
}

std::string NameAFew(const std::vector<std::string>& names) {
  constexpr size_t kFew = 3;
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), kFew); ++i) {
    if (i > 0) text += i + 1 == names.size() ? " and " : ", ";
    text += names[i];
  }
  if (names.size() > kFew) text += " and " + std::to_string(names.size() - kFew) + " more";
  return text;
}

}  // namespace rosterd
