// SPDX-License-Identifier: Apache-2.0
#include "health/check_schedule.h"

#include <algorithm>

namespace rosterd {
namespace {

constexpr Duration kSpreadPerCheck = milliseconds(1);
constexpr Duration kSpreadAtMost = seconds(1);
// A start that is late by less keeps its place in the second, so that checks stay spread.
constexpr Duration kKeepsItsPlace = milliseconds(100);
// With runs in flight a turn comes at least this often, so that a suspend is noticed.
constexpr Duration kLongestTurnWithRuns = milliseconds(500);

}  // namespace

void CheckSchedule::Spread(const std::vector<CheckId>& ids, TimePoint now) {
  if (ids.empty()) return;
  const auto count = static_cast<Duration::rep>(ids.size());
  const Duration slot = std::min(kSpreadPerCheck * count, kSpreadAtMost) / count;
  TimePoint at = now;
  for (const CheckId id : ids) {
    Entry& entry = entries_[id];
    entry.due = at + RandomUpTo(slot, random_);
    queue_.emplace(entry.due, id);
    at += slot;
  }
}

void CheckSchedule::Add(const std::vector<CheckId>& ids, TimePoint now) { Spread(ids, now); }

void CheckSchedule::Remove(CheckId id) {
  const auto found = entries_.find(id);
  if (found == entries_.end()) return;
  if (found->second.running) {
    --running_;
  } else {
    queue_.erase({found->second.due, id});
  }
  entries_.erase(found);
}

bool CheckSchedule::BeginTurn(TimePoint now) {
  if (asked_ == kNever || now <= asked_ + kLateTurn) return false;
  ++epoch_;
  std::vector<CheckId> overdue;
  while (!queue_.empty() && queue_.begin()->first <= now) {
    overdue.push_back(queue_.begin()->second);
    queue_.erase(queue_.begin());
  }
  Spread(overdue, now);
  return true;
}

std::vector<CheckSchedule::Due> CheckSchedule::TakeDue(TimePoint now, size_t limit) {
  std::vector<Due> due;
  while (!queue_.empty() && queue_.begin()->first <= now && due.size() < limit) {
    const auto [at, id] = *queue_.begin();
    queue_.erase(queue_.begin());
    Entry& entry = entries_[id];
    entry.running = true;
    entry.epoch = epoch_;
    if (now - at > kKeepsItsPlace) entry.due = now;
    ++running_;
    due.push_back({id, at});
  }
  return due;
}

bool CheckSchedule::RunCounts(CheckId id) const {
  const auto found = entries_.find(id);
  return found != entries_.end() && found->second.epoch == epoch_;
}

void CheckSchedule::Finished(CheckId id, TimePoint now, Duration interval) {
  const auto found = entries_.find(id);
  if (found == entries_.end() || !found->second.running) return;
  Entry& entry = found->second;
  entry.running = false;
  --running_;
  entry.due = std::max(entry.due + interval, now);
  queue_.emplace(entry.due, id);
}

void CheckSchedule::Again(const std::vector<CheckId>& ids, TimePoint now) {
  std::vector<CheckId> over;
  for (const CheckId id : ids) {
    const auto found = entries_.find(id);
    if (found == entries_.end() || !found->second.running) continue;
    found->second.running = false;
    --running_;
    over.push_back(id);
  }
  Spread(over, now);
}

TimePoint CheckSchedule::EndTurn(TimePoint now, TimePoint wanted) {
  asked_ = wanted;
  if (!queue_.empty()) asked_ = std::min(asked_, queue_.begin()->first);
  if (running_ > 0) asked_ = std::min(asked_, now + kLongestTurnWithRuns);
  return asked_;
}

}  // namespace rosterd
