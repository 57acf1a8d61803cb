// SPDX-License-Identifier: Apache-2.0
// CheckSchedule: which check runs when. Runs are counted from start to start, never overlap
// themselves, and a late one delays only its own next. After a suspend or an overload of ours, what
// fell due meanwhile is spread again and the runs that were in flight are marked. Pure: every call
// takes `now`.
#pragma once

#include <cstdint>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/backoff.h"
#include "base/clock.h"
#include "health/probe.h"

namespace rosterd {

// Owned by the prober thread.
class CheckSchedule {
 public:
  struct Due {
    CheckId id = 0;
    TimePoint due;
  };

  explicit CheckSchedule(Random& random) : random_(random) {}

  // First runs: one per slot of a span of 1 ms per check, 1 s at most, at a random place within the
  // slot.
  void Add(const std::vector<CheckId>& ids, TimePoint now);
  void Remove(CheckId id);

  // To be called first at each turn. True when the turn came more than kLateTurn after the time it
  // was asked for: the host was suspended or we were overloaded.
  bool BeginTurn(TimePoint now);
  // Takes at most `limit` checks that are due, earliest first; each counts as running until
  // Finished().
  std::vector<Due> TakeDue(TimePoint now, size_t limit);
  // False when the run saw a late turn: a failure of it may be ours and must not be counted.
  bool RunCounts(CheckId id) const;
  // The run is over; the next one starts `interval` after the start of this one, but not before
  // now.
  void Finished(CheckId id, TimePoint now, Duration interval);
  // The runs are over but saw a late turn: they run again soon, spread like first runs.
  void Again(const std::vector<CheckId>& ids, TimePoint now);
  // When the next turn is wanted; BeginTurn() measures against it. `wanted` may ask for an earlier
  // one.
  TimePoint EndTurn(TimePoint now, TimePoint wanted);

  size_t running() const { return running_; }

  static constexpr Duration kLateTurn = seconds(1);

 private:
  struct Entry {
    TimePoint due;  // of the run in progress, while running
    bool running = false;
    uint64_t epoch = 0;  // in which the run in progress began
  };

  // Due times over a span of 1 ms each.
  void Spread(const std::vector<CheckId>& ids, TimePoint now);

  Random& random_;
  std::unordered_map<CheckId, Entry> entries_;
  std::set<std::pair<TimePoint, CheckId>> queue_;  // those that do not run
  size_t running_ = 0;
  uint64_t epoch_ = 0;
  TimePoint asked_ = kNever;
};

}  // namespace rosterd
