// SPDX-License-Identifier: Apache-2.0
#include "base/error_text.h"

#include <catch2/catch.hpp>
#include <cerrno>

namespace rosterd {
namespace {

TEST_CASE("an error of the system reads well in the middle of a sentence") {
  CHECK(SystemErrorText(ECONNREFUSED) == "connection refused");
  CHECK(LowerFirst("SSL error") == "SSL error");
  CHECK(LowerFirst("No route") == "no route");
  CHECK(LowerFirst("A") == "A");
  CHECK(LowerFirst("") == "");
}

}  // namespace
}  // namespace rosterd
