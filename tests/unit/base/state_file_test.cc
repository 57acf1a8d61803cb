// SPDX-License-Identifier: Apache-2.0
#include "base/state_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "support/temp_dir.h"

namespace rosterd {
namespace {

using Catch::Matchers::Contains;
using testing::Disk;
using testing::FillDiskFor;
using testing::ReadAll;

const StateFile::Kind kKind{"thing", 3, 1000};

std::string Loaded(const StateFile& file) {
  const auto body = file.Load();
  if (!body.ok()) return "error: " + std::string(body.status().message());
  return body->value_or("(none)");
}

TEST_CASE("what was saved last is loaded") {
  Disk disk;
  StateFile file(*disk.dir, kKind);
  CHECK(Loaded(file) == "(none)");
  REQUIRE(file.Save("one\n").ok());
  REQUIRE(file.Save([](const StateFile::Append& append) {
                append("two\n");
                append("three\n");
              })
              .ok());
  CHECK(Loaded(file) == "two\nthree\n");
  CHECK(ReadAll(file.path()) == FrameState(kKind, "two\nthree\n"));
  struct stat found {};
  REQUIRE(::stat(file.path().c_str(), &found) == 0);
  CHECK((found.st_mode & 07777 & ~0640) == 0);
  CHECK_FALSE(std::filesystem::exists(file.path() + ".new"));
}

TEST_CASE("an aside file that a crash left is written over") {
  Disk disk;
  StateFile file(*disk.dir, kKind);
  testing::WriteAll(file.path() + ".new", std::string(500, 'x'));
  REQUIRE(file.Save("body").ok());
  CHECK(Loaded(file) == "body");
}

TEST_CASE("a body longer than one buffer arrives whole") {
  Disk disk;
  StateFile file(*disk.dir, {"long", 1, 4 << 20});
  std::string all;
  REQUIRE(file.Save([&](const StateFile::Append& append) {
                for (int i = 0; i < 100'000; ++i) {
                  const std::string piece = std::to_string(i) + "\n";
                  all += piece;
                  append(piece);
                }
              })
              .ok());
  REQUIRE(all.size() > 500'000);
  CHECK(Loaded(file) == all);
}

TEST_CASE("every broken or missing byte is noticed") {
  const std::string good = FrameState(kKind, "some body\n");
  REQUIRE(UnframeState(kKind, good).ok());
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    CHECK_FALSE(UnframeState(kKind, bad).ok());
    CHECK_FALSE(UnframeState(kKind, good.substr(0, i)).ok());
  }
  CHECK_FALSE(UnframeState(kKind, good + good).ok());
}

TEST_CASE("a file that cannot be used is named with the reason") {
  Disk disk;
  StateFile file(*disk.dir, kKind);
  std::string why = "checksum is wrong";
  SECTION("garbage") { testing::WriteAll(file.path(), "garbage"); }
  SECTION("truncated") {
    REQUIRE(file.Save("some body\n").ok());
    std::filesystem::resize_file(file.path(), 20);
  }
  SECTION("empty") { testing::WriteAll(file.path(), ""); }
  SECTION("of another format") {
    testing::WriteAll(file.path(), FrameState({"thing", 4, 1000}, "body"));
    why = "'rosterd thing 4'";
  }
  SECTION("of another kind") {
    testing::WriteAll(file.path(), FrameState({"other", 3, 1000}, "body"));
    why = "'rosterd other 3'";
  }
  SECTION("too long") {
    testing::WriteAll(file.path(), FrameState(kKind, std::string(1000, 'x')));
    why = "more than 1000";
  }
  SECTION("a directory") {
    std::filesystem::create_directory(file.path());
    why = "not a regular file";
  }
  SECTION("a pipe that nobody writes to") {
    REQUIRE(::mkfifo(file.path().c_str(), 0600) == 0);
    why = "not a regular file";
  }
  CHECK_THAT(Loaded(file), Contains("error: " + file.path()) && Contains(why));
}

TEST_CASE("a full disk leaves the old file, no aside file, one warning and a count") {
  Disk disk;
  StateFile file(*disk.dir, kKind);
  REQUIRE(file.Save("old").ok());
  CHECK(disk.Failures("thing") == 0);
  for (int i = 0; i < 3; ++i) {
    FillDiskFor(file.path());
    const absl::Status saved = file.Save("new");
    REQUIRE_FALSE(saved.ok());
    CHECK_THAT(std::string(saved.message()),
               Contains(file.path()) && Contains("no space left on device"));
    CHECK_FALSE(std::filesystem::is_symlink(file.path() + ".new"));
  }
  CHECK(Loaded(file) == "old");
  CHECK(disk.Failures("thing") == 3);
  CHECK(disk.Logged("state cannot be kept on disk") == 1);

  SECTION("another file that fails too is not told of again") {
    StateFile other(*disk.dir, {"other", 1, 1000});
    FillDiskFor(other.path());
    CHECK_FALSE(other.Save("x").ok());
    CHECK(disk.Logged("state cannot be kept on disk") == 1);
    CHECK(file.Save("new").ok());
    CHECK(disk.Logged("kept on disk again") == 0);
    CHECK(other.Save("x").ok());
    CHECK(disk.Logged("kept on disk again") == 1);
  }
  SECTION("that it works again is told, and so is the next failure") {
    CHECK(file.Save("new").ok());
    CHECK(Loaded(file) == "new");
    CHECK(disk.Logged("kept on disk again") == 1);
    FillDiskFor(file.path());
    CHECK_FALSE(file.Save("newer").ok());
    CHECK(disk.Logged("state cannot be kept on disk") == 2);
  }
}

TEST_CASE("what would be too long to be read again is not written") {
  Disk disk;
  StateFile file(*disk.dir, kKind);
  REQUIRE(file.Save("old").ok());
  CHECK_FALSE(file.Save(std::string(1000, 'x')).ok());
  CHECK(Loaded(file) == "old");
}

TEST_CASE("a second agent on one data_dir is refused, and welcome once the first has ended") {
  Disk disk;
  const auto second = DataDir::Open(disk.dir->path(), disk.log, disk.metrics);
  REQUIRE_FALSE(second.ok());
  CHECK_THAT(std::string(second.status().message()),
             Contains(disk.dir->path()) && Contains("another rosterd"));
  CHECK(disk.lines.empty());
  disk.dir.reset();
  CHECK(DataDir::Open(disk.temp.path + "/data", disk.log, disk.metrics).ok());
}

TEST_CASE("a data_dir that cannot be made is a warning, and is made when that is possible") {
  Disk disk;
  const std::string way = disk.temp.path + "/file";
  testing::WriteAll(way, "in the way");
  for (const std::string& bad : {way, way + "/below"}) {
    disk.lines.clear();
    auto dir = DataDir::Open(bad, disk.log, disk.metrics);
    REQUIRE(dir.ok());
    CHECK(disk.Logged(bad + " cannot be made") == 1);
    StateFile file(**dir, kKind);
    CHECK(Loaded(file) == "(none)");
    CHECK_FALSE(file.Save("x").ok());
    CHECK(disk.lines.size() == 1);
  }
  auto dir = DataDir::Open(way, disk.log, disk.metrics);
  REQUIRE(dir.ok());
  StateFile file(**dir, kKind);
  std::filesystem::remove(way);
  disk.lines.clear();
  CHECK(file.Save("x").ok());
  CHECK(disk.Logged("kept on disk again") == 1);
  CHECK_FALSE(DataDir::Open(way, disk.log, disk.metrics).ok());  // locked by then
}

TEST_CASE("a data_dir that was removed is made and locked again") {
  Disk disk;
  StateFile file(*disk.dir, kKind);
  std::filesystem::remove_all(disk.dir->path());
  CHECK(file.Save("x").ok());
  CHECK(Loaded(file) == "x");
  CHECK_FALSE(DataDir::Open(disk.dir->path(), disk.log, disk.metrics).ok());
}

TEST_CASE("an agent that comes to a data_dir late does not write into another one's") {
  Disk disk;
  const std::string path = disk.temp.path + "/late";
  testing::WriteAll(path, "in the way");
  auto late = DataDir::Open(path, disk.log, disk.metrics);
  REQUIRE(late.ok());
  std::filesystem::remove(path);
  const auto first = DataDir::Open(path, disk.log, disk.metrics);
  REQUIRE(first.ok());
  StateFile file(**late, kKind);
  CHECK_FALSE(file.Save("x").ok());
  CHECK_FALSE(std::filesystem::exists(path + "/thing"));
}

TEST_CASE("hexadecimal texts") {
  CHECK(HexText(0xfedcba9876543210) == "fedcba9876543210");
  CHECK(ParseHexText("fedcba9876543210") == 0xfedcba9876543210);
  CHECK_FALSE(ParseHexText(""));
  CHECK_FALSE(ParseHexText("12x"));
  CHECK_FALSE(ParseHexText("1fedcba9876543210"));
}

}  // namespace
}  // namespace rosterd
