// SPDX-License-Identifier: Apache-2.0
#include "health/name_lookup.h"

#include <catch2/catch.hpp>

namespace rosterd {
namespace {

constexpr TimePoint kStart{seconds(1000)};
using State = NameLookup::State;

struct FakeBackend final : LookupBackend {
  void Start(const std::string& host) override { asked.push_back(host); }
  void Collect(std::vector<Answer>& out) override {
    for (Answer& answer : answers) out.push_back(std::move(answer));
    answers.clear();
  }
  std::vector<std::string> asked;
  std::vector<Answer> answers;
};

struct Fixture {
  FakeBackend* backend = new FakeBackend;
  NameLookup lookup{std::unique_ptr<LookupBackend>(backend)};
};

TEST_CASE("a name is asked for once, however many wait for it") {
  Fixture f;
  CHECK(f.lookup.Begin("web", kStart).state == State::kPending);
  CHECK(f.lookup.Begin("web", kStart + seconds(30)).state == State::kPending);
  CHECK(f.backend->asked.size() == 1);
  f.backend->answers = {{"web", {"10.0.0.5", "[::1]"}, ""}};
  CHECK(f.lookup.Poll(kStart + seconds(31)));
  CHECK(f.lookup.Peek("web").addresses == "10.0.0.5,[::1]");
  CHECK(f.lookup.Begin("web", kStart + seconds(32)).state == State::kFound);
  CHECK(f.backend->asked.size() == 1);
}

TEST_CASE("a known address is used while a silent resolver is asked again") {
  Fixture f;
  f.lookup.Begin("web", kStart);
  f.backend->answers = {{"web", {"10.0.0.5"}, ""}};
  f.lookup.Poll(kStart);
  const TimePoint later = kStart + NameLookup::kFreshFor;
  CHECK(f.lookup.Begin("web", later).addresses == "10.0.0.5");
  CHECK(f.backend->asked.size() == 2);
  CHECK(f.lookup.Begin("web", later + seconds(60)).addresses == "10.0.0.5");
  CHECK(f.backend->asked.size() == 2);
}

TEST_CASE("a doubted address is asked for anew, a failed lookup every time") {
  Fixture f;
  f.lookup.Begin("web", kStart);
  f.backend->answers = {{"web", {"10.0.0.5"}, ""}};
  f.lookup.Poll(kStart);
  f.lookup.Doubt("web");
  f.lookup.Begin("web", kStart + milliseconds(1));
  CHECK(f.backend->asked.size() == 2);
  f.backend->answers = {{"web", {}, "name or service not known"}};
  f.lookup.Poll(kStart + milliseconds(2));
  CHECK(f.lookup.Peek("web").error == "no address for 'web': name or service not known");
  CHECK(f.lookup.Begin("web", kStart + milliseconds(3)).state == State::kPending);
  CHECK(f.backend->asked.size() == 3);
}

TEST_CASE("hanging lookups are bounded, and a name beyond the bound fails with the reason") {
  Fixture f;
  for (size_t i = 0; i < NameLookup::kAtMostPending; ++i) {
    CHECK(f.lookup.Begin("silent" + std::to_string(i), kStart).state == State::kPending);
  }
  const auto refused = f.lookup.Begin("web", kStart);
  CHECK(refused.state == State::kFailed);
  CHECK(refused.error.find("'web' was not looked up: 16 other") == 0);
  CHECK(f.backend->asked.size() == NameLookup::kAtMostPending);
  f.backend->answers = {{"silent3", {}, "timed out"}};
  f.lookup.Poll(kStart + seconds(5));
  CHECK(f.lookup.Begin("web", kStart + seconds(5)).state == State::kPending);
}

TEST_CASE("a silent resolver is polled ever more rarely, an idle one never") {
  Fixture f;
  CHECK(f.lookup.NextPoll(kStart) == kNever);
  f.lookup.Begin("web", kStart);
  CHECK(f.lookup.NextPoll(kStart) == kStart + milliseconds(1));
  CHECK(f.lookup.NextPoll(kStart + seconds(9)) == kStart + seconds(9) + milliseconds(50));
}

}  // namespace
}  // namespace rosterd
