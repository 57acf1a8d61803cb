// SPDX-License-Identifier: Apache-2.0
#include "health/check_schedule.h"

#include <catch2/catch.hpp>
#include <numeric>

namespace rosterd {
namespace {

constexpr TimePoint kStart{seconds(1000)};

std::vector<CheckId> Ids(size_t count) {
  std::vector<CheckId> ids(count);
  std::iota(ids.begin(), ids.end(), CheckId{1});
  return ids;
}

TEST_CASE("first runs are spread over 1 ms per check, at most 1 s") {
  for (const auto& [count, span] :
       {std::pair{size_t{1}, milliseconds(1)}, std::pair{size_t{200}, milliseconds(200)},
        std::pair{size_t{5000}, milliseconds(1000)}}) {
    Random random(7);
    CheckSchedule schedule(random);
    schedule.Add(Ids(count), kStart);
    const auto due = schedule.TakeDue(kStart + span, count + 1);
    REQUIRE(due.size() == count);
    // Each in its own slot: no two slots apart are out of order, and the last slot is used.
    for (size_t i = 0; i < count; ++i) {
      const Duration slot = Duration(span) / static_cast<Duration::rep>(count);
      CHECK(due[i].due >= kStart + slot * static_cast<Duration::rep>(i));
      CHECK(due[i].due <= kStart + slot * static_cast<Duration::rep>(i + 1));
    }
  }
}

TEST_CASE("a check runs from start to start and never while it runs") {
  Random random(1);
  CheckSchedule schedule(random);
  schedule.Add({1}, kStart);
  const auto first = schedule.TakeDue(kStart + milliseconds(1), 10);
  REQUIRE(first.size() == 1);
  CHECK(schedule.TakeDue(kStart + seconds(50), 10).empty());
  schedule.Finished(1, kStart + milliseconds(300), milliseconds(500));
  const TimePoint next = first[0].due + milliseconds(500);
  CHECK(schedule.TakeDue(next - milliseconds(1), 10).empty());
  CHECK(schedule.TakeDue(next, 10).size() == 1);
}

TEST_CASE("a run longer than its interval delays only its own next, which begins at once") {
  Random random(1);
  CheckSchedule schedule(random);
  schedule.Add({1}, kStart);
  REQUIRE(schedule.TakeDue(kStart + milliseconds(1), 10).size() == 1);
  schedule.Finished(1, kStart + seconds(3), milliseconds(500));
  CHECK(schedule.TakeDue(kStart + seconds(3) - milliseconds(1), 10).empty());
  CHECK(schedule.TakeDue(kStart + seconds(3), 10).size() == 1);
}

TEST_CASE("a turn starts no more than it is asked to, the earliest first") {
  Random random(1);
  CheckSchedule schedule(random);
  schedule.Add(Ids(10), kStart);
  const auto first = schedule.TakeDue(kStart + milliseconds(20), 4);
  REQUIRE(first.size() == 4);
  CHECK(first[0].id == 1);
  CHECK(schedule.EndTurn(kStart + milliseconds(20), kNever) <= kStart + milliseconds(20));
  CHECK(schedule.TakeDue(kStart + milliseconds(20), 100).size() == 6);
}

TEST_CASE("after a late turn everything overdue is spread again and runs in flight do not count") {
  Random random(1);
  CheckSchedule schedule(random);
  schedule.Add(Ids(100), kStart);
  schedule.BeginTurn(kStart + milliseconds(50));
  const auto running = schedule.TakeDue(kStart + milliseconds(50), 1000);
  REQUIRE(!running.empty());
  REQUIRE(running.size() < 100);
  const TimePoint asked = schedule.EndTurn(kStart + milliseconds(50), kNever);

  const TimePoint late = asked + seconds(3600);
  CHECK(schedule.BeginTurn(late));
  CHECK_FALSE(schedule.RunCounts(running[0].id));
  std::vector<CheckId> again;
  for (const auto& run : running) again.push_back(run.id);
  schedule.Again(again, late);
  CHECK(schedule.running() == 0);
  CHECK(schedule.TakeDue(late, 1000).size() <= 2);
  CHECK(schedule.TakeDue(late + milliseconds(100), 1000).size() >= 98);
  CHECK(schedule.RunCounts(running[0].id));
}

TEST_CASE("a turn that is a little late, or early, changes nothing") {
  Random random(1);
  CheckSchedule schedule(random);
  schedule.Add({1}, kStart);
  schedule.TakeDue(kStart + milliseconds(1), 10);
  const TimePoint asked = schedule.EndTurn(kStart + milliseconds(1), kNever);
  CHECK_FALSE(schedule.BeginTurn(kStart + milliseconds(2)));
  CHECK_FALSE(schedule.BeginTurn(asked + milliseconds(900)));
  CHECK(schedule.RunCounts(1));
}

TEST_CASE("a suspend is noticed although nothing but a long run is under way") {
  Random random(1);
  CheckSchedule schedule(random);
  schedule.Add({1}, kStart);
  schedule.TakeDue(kStart + milliseconds(1), 10);
  schedule.EndTurn(kStart + milliseconds(1), kNever);
  CHECK(schedule.BeginTurn(kStart + seconds(5)));
}

TEST_CASE("with nothing to do nobody is woken, and a long sleep is no late turn") {
  Random random(1);
  CheckSchedule schedule(random);
  CHECK(schedule.EndTurn(kStart, kNever) == kNever);
  CHECK_FALSE(schedule.BeginTurn(kStart + seconds(3600)));
}

TEST_CASE("a removed check is gone, running or not") {
  Random random(1);
  CheckSchedule schedule(random);
  schedule.Add(Ids(2), kStart);
  schedule.Remove(1);
  const auto due = schedule.TakeDue(kStart + milliseconds(5), 10);
  REQUIRE(due.size() == 1);
  schedule.Remove(2);
  CHECK(schedule.running() == 0);
  schedule.Finished(2, kStart + milliseconds(6), milliseconds(1));
  CHECK(schedule.TakeDue(kStart + seconds(5), 10).empty());
}

}  // namespace
}  // namespace rosterd
