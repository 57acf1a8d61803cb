// SPDX-License-Identifier: Apache-2.0
#include "registry/lease_file.h"

#include <stdlib.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "registry/identity.h"

namespace rosterd {
namespace {

using Catch::Matchers::Contains;

struct TempDir {
  TempDir() {
    char name[] = "/tmp/rosterd-lease-XXXXXX";
    REQUIRE(mkdtemp(name) != nullptr);
    path = name;
  }
  ~TempDir() { std::filesystem::remove_all(path); }
  std::string path;
};

LeaseRecord Record() {
  return {0xfedcba9876543210, "/services/",   "web-01",    0x694d7e2a11223344,
          seconds(15),        NewAgentUuid(), ReadBootId()};
}

std::unique_ptr<LeaseFile> MustOpen(const std::string& dir) {
  auto file = LeaseFile::Open(dir);
  REQUIRE(file.ok());
  return *std::move(file);
}

std::string ReadAll(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

TEST_CASE("what was saved is loaded by a successor") {
  TempDir dir;
  const LeaseRecord record = Record();
  const std::string data_dir = dir.path + "/made/by/us";
  REQUIRE(MustOpen(data_dir)->Save(record).ok());
  const auto loaded = MustOpen(data_dir)->Load(record.prefix, record.node);
  REQUIRE(loaded.ok());
  CHECK(*loaded == record);
}

TEST_CASE("without a file there is no predecessor") {
  TempDir dir;
  const auto loaded = MustOpen(dir.path)->Load("/services/", "web-01");
  REQUIRE(loaded.ok());
  CHECK_FALSE(loaded->has_value());
}

TEST_CASE("every broken byte is noticed") {
  TempDir dir;
  auto file = MustOpen(dir.path);
  REQUIRE(file->Save(Record()).ok());
  const std::string good = ReadAll(file->path());
  REQUIRE(DecodeLeaseRecord(good).ok());
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    CHECK_FALSE(DecodeLeaseRecord(bad).ok());
    CHECK_FALSE(DecodeLeaseRecord(good.substr(0, i)).ok());
  }
  std::ofstream(file->path()) << "garbage";
  const auto loaded = file->Load("/services/", "web-01");
  REQUIRE_FALSE(loaded.ok());
  CHECK_THAT(std::string(loaded.status().message()), Contains(file->path()));
  CHECK_THAT(std::string(loaded.status().message()), Contains("checksum"));
}

TEST_CASE("a file of another node or prefix is named and ignored") {
  TempDir dir;
  auto file = MustOpen(dir.path);
  REQUIRE(file->Save(Record()).ok());
  const auto other_node = file->Load("/services/", "web-02");
  REQUIRE_FALSE(other_node.ok());
  CHECK_THAT(std::string(other_node.status().message()), Contains("web-01") && Contains("web-02"));
  CHECK_FALSE(file->Load("/other/", "web-01").ok());
}

TEST_CASE("a second agent on one data_dir is refused, and welcome once the first has ended") {
  TempDir dir;
  auto first = MustOpen(dir.path);
  const auto second = LeaseFile::Open(dir.path);
  REQUIRE_FALSE(second.ok());
  CHECK_THAT(std::string(second.status().message()),
             Contains(dir.path) && Contains("another rosterd"));
  first.reset();
  CHECK(LeaseFile::Open(dir.path).ok());
}

TEST_CASE("a data_dir that cannot be is refused by name") {
  TempDir dir;
  std::ofstream(dir.path + "/file") << "in the way";
  for (const std::string& bad : {dir.path + "/file", dir.path + "/file/below"}) {
    const auto file = LeaseFile::Open(bad);
    REQUIRE_FALSE(file.ok());
    CHECK_THAT(std::string(file.status().message()), Contains("data_dir " + bad));
  }
}

TEST_CASE("a save that fails names the file and leaves the old one") {
  TempDir dir;
  auto file = MustOpen(dir.path);
  LeaseRecord record = Record();
  REQUIRE(file->Save(record).ok());
  std::filesystem::create_directory(file->path() + ".new");  // works for root too
  const LeaseRecord before = record;
  record.lease = 5;
  const absl::Status saved = file->Save(record);
  REQUIRE_FALSE(saved.ok());
  CHECK_THAT(std::string(saved.message()), Contains(file->path()));
  CHECK(*file->Load(record.prefix, record.node) == before);
}

TEST_CASE("an agent's uuid is a random one of version 4") {
  const std::string uuid = NewAgentUuid();
  CHECK(uuid.size() == 36);
  CHECK(uuid[14] == '4');
  CHECK(std::string("89ab").find(uuid[19]) != std::string::npos);
  CHECK(uuid != NewAgentUuid());
}

}  // namespace
}  // namespace rosterd
