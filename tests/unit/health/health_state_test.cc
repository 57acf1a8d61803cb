// SPDX-License-Identifier: Apache-2.0
#include "health/health_state.h"

#include <catch2/catch.hpp>
#include <string>

namespace rosterd {
namespace {

// Feeds runs ("+" success, "-" failure); the status after each as s, p, f.
std::string Course(HealthState& state, const std::string& runs) {
  std::string course;
  for (const char run : runs) {
    state.Add(run == '+');
    course += ToString(state.status())[0];
  }
  return course;
}

TEST_CASE("a check rises and falls only by streaks") {
  struct Row {
    int rise, fall;
    std::string runs, course;
  };
  const Row rows[] = {
      {2, 3, "++", "sp"},
      {2, 3, "+-++", "sssp"},
      {1, 1, "+-+-", "pfpf"},
      {2, 3, "---", "ssf"},
      {2, 3, "--+--", "sssss"},
      {2, 3, "++--+--",
       "sppppp"
       "p"},
      {2, 3, "++---", "spppf"},
      {2, 3, "---+-++", "ssffffp"},
      {3, 2, "+++--+++", "ssppfffp"},
      {0, 0, "+-", "pf"},
  };
  for (const Row& row : rows) {
    INFO("rise " << row.rise << " fall " << row.fall << " runs " << row.runs);
    HealthState state(row.rise, row.fall);
    CHECK(Course(state, row.runs) == row.course);
  }
}

TEST_CASE("Add says when the status changed, and only then") {
  HealthState state(2, 2);
  CHECK_FALSE(state.Add(true));
  CHECK(state.Add(true));
  CHECK_FALSE(state.Add(true));
  CHECK_FALSE(state.Add(false));
  CHECK(state.Add(false));
  CHECK_FALSE(state.Add(false));
}

TEST_CASE("runs come fast while starting or in transition, else at the interval") {
  CheckConfig check;
  check.interval = seconds(2);
  check.fast_interval = milliseconds(500);
  struct Row {
    std::string runs;
    bool fast;
  };
  for (const Row& row : {Row{"", true}, Row{"+", true}, Row{"-", true}, Row{"++", false},
                         Row{"++-", true}, Row{"++--", true}, Row{"++---", false},
                         Row{"++---+", true}, Row{"++---+-", false}, Row{"++-+", false}}) {
    INFO("runs '" << row.runs << "'");
    HealthState state(2, 3);
    Course(state, row.runs);
    CHECK(state.NextInterval(check) == (row.fast ? check.fast_interval : check.interval));
    CHECK(state.stable() == !row.fast);
  }
}

TEST_CASE("streaks are counted and successes still missing are told") {
  HealthState state(3, 2);
  CHECK(state.successes_missing() == 3);
  state.Add(true);
  CHECK(state.successes() == 1);
  CHECK(state.successes_missing() == 2);
  state.Add(false);
  CHECK(state.successes() == 0);
  CHECK(state.failures() == 1);
  CHECK(state.successes_missing() == 3);
}

TEST_CASE("a check that begins as passing still needs a whole streak to fail") {
  HealthState state(2, 3, HealthStatus::kPassing);
  CHECK(Course(state, "--+---") == "pppppf");
}

}  // namespace
}  // namespace rosterd
