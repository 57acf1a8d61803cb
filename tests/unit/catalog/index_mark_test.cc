// SPDX-License-Identifier: Apache-2.0
#include "catalog/index_mark.h"

#include <catch2/catch.hpp>
#include <fstream>

#include "support/temp_dir.h"

namespace rosterd::testing {
namespace {

TEST_CASE("what was raised is there for a successor, and never falls") {
  Disk disk;
  CHECK_FALSE((*IndexMark(*disk.dir).Load()).has_value());
  {
    IndexMark mark(*disk.dir);
    mark.Raise(7);
    mark.Raise(1'000'000'000'000);
    mark.Raise(8);
  }
  CHECK(*IndexMark(*disk.dir).Load() == 1'000'000'000'000);
}

TEST_CASE("a torn or foreign mark is none") {
  const std::string good = EncodeIndexMark(57);
  CHECK(DecodeIndexMark(good) == 57);
  const char bit = GENERATE(1, 0x20);
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ bit);
    CHECK_FALSE(DecodeIndexMark(bad));
    CHECK_FALSE(DecodeIndexMark(good.substr(0, i)));
  }
  CHECK_FALSE(DecodeIndexMark(good + "x"));
  Disk disk;
  std::ofstream(disk.dir->path() + "/index") << std::string(1000, 'x');
  IndexMark mark(*disk.dir);
  CHECK_FALSE(mark.Load().ok());
  mark.Raise(5);
  CHECK(*mark.Load() == 5);
}

TEST_CASE("a disk that refuses is tried again with the next revision") {
  Disk disk;
  const std::string path = disk.dir->path() + "/index";
  std::filesystem::create_directory(path);
  IndexMark mark(*disk.dir);
  mark.Raise(7);
  std::filesystem::remove(path);
  mark.Raise(8);
  CHECK(*IndexMark(*disk.dir).Load() == 8);
}

}  // namespace
}  // namespace rosterd::testing
