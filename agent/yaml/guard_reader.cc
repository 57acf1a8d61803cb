// SPDX-License-Identifier: Apache-2.0
#include "yaml/guard_reader.h"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include "yaml/map_reader.h"
#include "yaml/scalar.h"

namespace rosterd::yaml {
namespace {

constexpr Duration kLongestHold = std::chrono::hours(1);

std::optional<int> ParsePercent(std::string_view text) {
  if (text.size() < 2 || text.back() != '%') return std::nullopt;
  text.remove_suffix(1);
  int percent = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    percent = std::min(percent * 10 + (c - '0'), 1000);
  }
  if (percent < 1 || percent > 100) return std::nullopt;
  return percent;
}

std::optional<int> ReadPercent(const Node& node, const std::string& name, Problems& problems) {
  const auto text = ReadText(node, name, problems);
  if (!text) return std::nullopt;
  const auto percent = ParsePercent(*text);
  if (!percent) {
    problems.Add(node.place, name + " is " + Quoted(*text) +
                                 "; write a whole percentage from 1% to 100%, for example 50%");
  }
  return percent;
}

}  // namespace

void ReadGuard(const Node* node, GuardConfig& guard, Problems& problems) {
  MapReader map(node, "guard", problems);
  map.Into(guard.max_drop_percent, "max_drop", ReadPercent);
  map.Into(guard.hold, "hold", ReadDuration, Duration::zero(), kLongestHold);
  map.Finish();
}

}  // namespace rosterd::yaml
