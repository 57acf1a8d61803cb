// SPDX-License-Identifier: Apache-2.0
#include "registry/mass_loss.h"

#include <catch2/catch.hpp>

namespace rosterd {
namespace {

TimePoint At(milliseconds after_boot) { return TimePoint(after_boot); }

TEST_CASE("A lone loss comes back within a second") {
  MassLoss loss;
  CHECK(loss.Spread(At(seconds(0))) == seconds(1));
  loss.See(10'000, At(seconds(1)));
  loss.See(9'990, At(seconds(2)));
  CHECK(loss.Spread(At(seconds(2))) == seconds(1));
}

TEST_CASE("When most of a large registry vanished at once, its return is spread by its size") {
  MassLoss loss;
  loss.See(6'000, At(seconds(1)));
  loss.See(4'000, At(seconds(5)));
  loss.See(2'000, At(seconds(6)));
  CHECK(loss.Spread(At(seconds(6))) == seconds(8));
  loss.See(0, At(seconds(7)));
  CHECK(loss.Spread(At(seconds(7))) == seconds(12));
}

TEST_CASE("The spread has a limit") {
  MassLoss loss;
  loss.See(100'000, At(seconds(1)));
  loss.See(10, At(seconds(2)));
  CHECK(loss.Spread(At(seconds(2))) == seconds(15));
}

TEST_CASE("Most of a small registry is back within a second as well") {
  MassLoss loss;
  loss.See(9, At(seconds(1)));
  loss.See(0, At(seconds(2)));
  CHECK(loss.Spread(At(seconds(2))) == seconds(1));
}

TEST_CASE("What vanished slowly, or long ago, is no mass loss") {
  MassLoss loss;
  for (size_t n = 0; n <= 10; ++n) loss.See(20'000 - n * 1'000, At(seconds(5 * n)));
  CHECK(loss.Spread(At(seconds(50))) == seconds(1));

  MassLoss old;
  old.See(20'000, At(seconds(1)));
  old.See(100, At(seconds(2)));
  CHECK(old.Spread(At(seconds(11))) == seconds(15));
  CHECK(old.Spread(At(seconds(13))) == seconds(1));
}

TEST_CASE("A registry that is back has not vanished") {
  MassLoss loss;
  loss.See(20'000, At(seconds(1)));
  loss.See(100, At(seconds(2)));
  loss.See(19'000, At(seconds(3)));
  CHECK(loss.Spread(At(seconds(3))) == seconds(1));
}

}  // namespace
}  // namespace rosterd
