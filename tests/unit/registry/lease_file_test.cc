// SPDX-License-Identifier: Apache-2.0
#include "registry/lease_file.h"

#include <catch2/catch.hpp>
#include <filesystem>

#include "registry/identity.h"
#include "support/temp_dir.h"

namespace rosterd {
namespace {

using Catch::Matchers::Contains;
using testing::Disk;

LeaseRecord Record() {
  return {0xfedcba9876543210, "/services/", "web-01",    0x694d7e2a11223344,
          seconds(15),        "uuid-1",     ReadBootId()};
}

absl::Status SaveNow(LeaseFile& file, const LeaseRecord& record) {
  file.Save(record);
  return file.Finish();
}

TEST_CASE("what was saved is loaded by a successor") {
  Disk disk;
  const LeaseRecord record = Record();
  LeaseFile file(*disk.dir);
  REQUIRE(SaveNow(file, record).ok());
  disk.Open();
  const auto loaded = LeaseFile(*disk.dir).Load(record.prefix, record.node);
  REQUIRE(loaded.ok());
  CHECK(*loaded == record);
}

TEST_CASE("without a file there is no predecessor") {
  Disk disk;
  const auto loaded = LeaseFile(*disk.dir).Load("/services/", "web-01");
  REQUIRE(loaded.ok());
  CHECK_FALSE(loaded->has_value());
}

TEST_CASE("a record with a field missing or wrong is not taken") {
  const std::string good = EncodeLeaseRecord(Record());
  REQUIRE(DecodeLeaseRecord(good).ok());
  for (const char* field : {"cluster", "lease", "ttl_s", "agent"}) {
    std::string bad = good;
    bad.replace(bad.find(field), 1, "x");
    CHECK_FALSE(DecodeLeaseRecord(bad).ok());
  }
  CHECK_FALSE(DecodeLeaseRecord("[1]").ok());
  CHECK_FALSE(DecodeLeaseRecord("").ok());
}

TEST_CASE("a file of another node or prefix is named and ignored") {
  Disk disk;
  LeaseFile file(*disk.dir);
  REQUIRE(SaveNow(file, Record()).ok());
  const auto other_node = file.Load("/services/", "web-02");
  REQUIRE_FALSE(other_node.ok());
  CHECK_THAT(std::string(other_node.status().message()), Contains("web-01") && Contains("web-02"));
  CHECK_FALSE(file.Load("/other/", "web-01").ok());
}

TEST_CASE("a record that is on disk already is not written again") {
  Disk disk;
  LeaseFile file(*disk.dir);
  REQUIRE(SaveNow(file, Record()).ok());
  std::filesystem::remove(file.path());
  REQUIRE(SaveNow(file, Record()).ok());
  CHECK_FALSE(std::filesystem::exists(file.path()));
}

TEST_CASE("what could not be saved is tried again every 10 s, the newest record") {
  Disk disk;
  LeaseFile file(*disk.dir);
  const LeaseRecord before = Record();
  REQUIRE(SaveNow(file, before).ok());
  LeaseRecord record = before;
  const TimePoint now{seconds(100)};
  CHECK(file.Step(now) == kNever);
  int wakes = 0;
  file.SetWake([&wakes] { ++wakes; });
  testing::FillDiskFor(file.path());
  record.lease = 5;
  file.Save(record);
  file.Save(record);
  CHECK(wakes == 1);
  const TimePoint then = file.Step(now);
  CHECK(then == now + seconds(10));
  CHECK(file.Step(then - seconds(1)) == then);
  CHECK(*file.Load(record.prefix, record.node) == before);
  testing::FillDiskFor(file.path());
  CHECK(file.Step(then) == then + seconds(10));
  record.lease = 6;
  file.Save(record);
  CHECK(file.Step(then + seconds(1)) == then + seconds(1));  // a newer one is tried at once
  CHECK(*file.Load(record.prefix, record.node) == record);
  CHECK(file.Step(then + seconds(1)) == kNever);
  CHECK(disk.Failures("lease") == 2);
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
