// SPDX-License-Identifier: Apache-2.0
// Latest<T>, the door between threads.
#include "base/latest.h"

#include <catch2/catch.hpp>
#include <future>
#include <thread>

namespace rosterd {
namespace {

TEST_CASE("Latest is empty until the first snapshot, then shows the newest") {
  Latest<int> latest;
  CHECK(latest.Get() == nullptr);
  latest.Publish(std::make_shared<const int>(1));
  latest.Publish(std::make_shared<const int>(2));
  REQUIRE(latest.Get() != nullptr);
  CHECK(*latest.Get() == 2);
}

TEST_CASE("Latest may begin with a snapshot") {
  const Latest<int> latest(std::make_shared<const int>(7));
  CHECK(*latest.Get() == 7);
}

TEST_CASE("a reader keeps its snapshot when a newer one comes, and the old one ends with it") {
  Latest<int> latest;
  auto first = std::make_shared<const int>(1);
  std::weak_ptr<const int> watched = first;
  latest.Publish(std::move(first));
  auto held = latest.Get();
  latest.Publish(std::make_shared<const int>(2));
  CHECK(*held == 1);
  held.reset();
  CHECK(watched.expired());
}

TEST_CASE("every subscriber is woken once per snapshot and finds it there") {
  Latest<int> latest;
  std::vector<int> seen_by_a;
  std::vector<int> seen_by_b;
  latest.Subscribe([&] { seen_by_a.push_back(*latest.Get()); });
  latest.Publish(std::make_shared<const int>(1));
  latest.Subscribe([&] { seen_by_b.push_back(*latest.Get()); });
  latest.Publish(std::make_shared<const int>(2));
  CHECK(seen_by_a == std::vector<int>{1, 2});
  CHECK(seen_by_b == std::vector<int>{2});
}

TEST_CASE("readers on another thread only ever see snapshots in order") {
  constexpr int kLast = 2000;
  Latest<int> latest(std::make_shared<const int>(0));
  std::promise<bool> ordered;
  auto result = ordered.get_future();
  std::jthread reader([&] {
    int before = 0;
    while (before < kLast) {
      const int now = *latest.Get();
      if (now < before) return ordered.set_value(false);
      before = now;
    }
    ordered.set_value(true);
  });
  for (int i = 1; i <= kLast; ++i) latest.Publish(std::make_shared<const int>(i));
  REQUIRE(result.wait_for(std::chrono::seconds(10)) == std::future_status::ready);
  CHECK(result.get());
}

}  // namespace
}  // namespace rosterd
