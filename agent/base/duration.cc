// SPDX-License-Identifier: Apache-2.0
#include "base/duration.h"

#include <array>
#include <charconv>
#include <cmath>

namespace rosterd {
namespace {

struct Unit {
  std::string_view name;
  double nanoseconds;
};
// Longer names first, so that "ms" is not read as minutes.
constexpr std::array<Unit, 6> kUnits{
    {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}}};
constexpr double kLimitNanoseconds = 100.0 * 365 * 24 * 3600 * 1e9;

absl::Status Malformed(std::string_view text) {
  return absl::InvalidArgumentError("'" + std::string(text) +
                                    "' is not a duration; write a number with a unit of ms, s, m "
                                    "or h, for example 500ms, 15s or 5m");
}

}  // namespace

absl::StatusOr<Duration> ParseDuration(std::string_view text) {
  if (text == "0") return Duration::zero();
  if (text.empty() || text.size() > 64) return Malformed(text.substr(0, 64));
  double total = 0;
  for (std::string_view rest = text; !rest.empty();) {
    const size_t digits = rest.find_first_not_of("0123456789.");
    if (digits == 0 || digits == std::string_view::npos) return Malformed(text);
    double number = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + digits, number);
    if (error != std::errc() || end != rest.data() + digits) return Malformed(text);
    rest.remove_prefix(digits);
    const Unit* unit = nullptr;
    for (const Unit& candidate : kUnits) {
      if (rest.starts_with(candidate.name)) {
        unit = &candidate;
        break;
      }
    }
    if (unit == nullptr) return Malformed(text);
    rest.remove_prefix(unit->name.size());
    total += number * unit->nanoseconds;
    if (total > kLimitNanoseconds) {
      return absl::InvalidArgumentError("'" + std::string(text) +
                                        "' is too long; at most 100 years are possible");
    }
  }
  return Duration(static_cast<Duration::rep>(std::llround(total)));
}

std::string FormatDuration(Duration d) {
  struct Step {
    Duration::rep nanoseconds;
    const char* name;
  };
  constexpr Step kSteps[] = {{3'600'000'000'000, "h"}, {60'000'000'000, "m"}, {1'000'000'000, "s"},
                             {1'000'000, "ms"},        {1'000, "us"},         {1, "ns"}};
  const auto count = d.count();
  if (count == 0) return "0s";
  for (const Step& step : kSteps) {
    if (count % step.nanoseconds == 0) return std::to_string(count / step.nanoseconds) + step.name;
  }
  return std::to_string(count) + "ns";
}

}  // namespace rosterd
