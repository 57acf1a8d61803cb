// SPDX-License-Identifier: Apache-2.0
#include "etcd/endpoint_rotation.h"

#include <catch2/catch.hpp>
#include <set>

namespace rosterd::etcd {
namespace {

constexpr TimePoint kStart{seconds(1000)};

TEST_CASE("the first pass asks every endpoint once and without delay") {
  Random random(1);
  EndpointRotation rotation({"a", "b", "c"}, random);
  std::set<std::string> asked;
  for (int i = 0; i < 3; ++i) {
    CHECK(rotation.first_pass());
    CHECK(rotation.next_attempt() <= kStart);
    asked.insert(rotation.current());
    rotation.AttemptFailed(ErrorClass::kUnavailable, kStart, random);
  }
  CHECK(asked.size() == 3);
  CHECK_FALSE(rotation.first_pass());
}

TEST_CASE("later attempts back off to two seconds and no further") {
  Random random(7);
  EndpointRotation rotation({"a", "b"}, random);
  Duration longest{};
  Duration first{};
  for (int i = 0; i < 200; ++i) {
    rotation.AttemptFailed(ErrorClass::kUnavailable, kStart, random);
    if (i < 1) continue;
    const Duration delay = rotation.next_attempt() - kStart;
    if (i == 1) first = delay;
    longest = std::max(longest, delay);
  }
  CHECK(first <= milliseconds(200));
  CHECK(longest <= seconds(2));
  CHECK(longest > milliseconds(1500));
}

TEST_CASE("errors that wait for a person back off to fifteen seconds, from the first on") {
  Random random(7);
  EndpointRotation rotation({"a", "b", "c"}, random);
  Duration longest{};
  for (int i = 0; i < 200; ++i) {
    rotation.AttemptFailed(ErrorClass::kDenied, kStart, random);
    CHECK(rotation.next_attempt() > kStart);
    longest = std::max(longest, rotation.next_attempt() - kStart);
  }
  CHECK(longest <= seconds(15));
  CHECK(longest > seconds(12));
}

TEST_CASE("an overloaded member is asked again, not its neighbour") {
  Random random(3);
  EndpointRotation rotation({"a", "b", "c"}, random);
  const std::string before = rotation.current();
  rotation.AttemptFailed(ErrorClass::kOverloaded, kStart, random);
  CHECK(rotation.current() == before);
  rotation.AttemptFailed(ErrorClass::kDenied, kStart, random);
  CHECK(rotation.current() != before);
}

TEST_CASE("a connection that lasted is replaced at once, one that did not is not") {
  Random random(3);
  EndpointRotation rotation({"a", "b"}, random);
  for (int i = 0; i < 20; ++i) rotation.AttemptFailed(ErrorClass::kUnavailable, kStart, random);
  const std::string broken = rotation.current();
  rotation.ConnectionLost(seconds(60), kStart, random);
  CHECK(rotation.current() != broken);
  CHECK(rotation.next_attempt() == kStart);
  CHECK(rotation.first_pass());
  rotation.AttemptFailed(ErrorClass::kTimeout, kStart, random);
  CHECK(rotation.next_attempt() == kStart);
  Duration longest{};
  for (int i = 0; i < 20; ++i) {
    rotation.ConnectionLost(milliseconds(5), kStart, random);
    longest = std::max(longest, rotation.next_attempt() - kStart);
  }
  CHECK(longest > milliseconds(500));
}

TEST_CASE("a fleet does not start at one member") {
  std::set<std::string> first;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Random random(seed);
    first.insert(EndpointRotation({"a", "b", "c"}, random).current());
  }
  CHECK(first.size() == 3);
}

}  // namespace
}  // namespace rosterd::etcd
