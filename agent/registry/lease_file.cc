// SPDX-License-Identifier: Apache-2.0
#include "registry/lease_file.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "base/json.h"

namespace rosterd {
namespace {

constexpr int kFormat = 2;
constexpr size_t kMaxBytes = 64 * 1024;
constexpr seconds kTryAgainAfter{10};

}  // namespace

std::string EncodeLeaseRecord(const LeaseRecord& record) {
  nlohmann::ordered_json json;
  json["cluster"] = HexText(record.cluster_id);
  json["prefix"] = record.prefix;
  json["node"] = record.node;
  json["lease"] = HexText(static_cast<uint64_t>(record.lease));
  json["ttl_s"] = record.ttl.count();
  json["agent"] = record.agent;
  json["boot"] = record.boot_id;
  return DumpJson(json) + "\n";
}

absl::StatusOr<LeaseRecord> DecodeLeaseRecord(const std::string& text) {
  const auto json = ParseJson(text);
  if (!json || !json->is_object()) return absl::DataLossError("it is not a JSON object");
  const auto field = [&json](const char* name) {
    const auto it = json->find(name);
    return it != json->end() && it->is_string() ? it->get<std::string>() : std::string();
  };
  const auto ttl = json->find("ttl_s");
  const auto cluster = ParseHexText(field("cluster"));
  const auto lease = ParseHexText(field("lease"));
  const bool has_ttl = ttl != json->end() && ttl->is_number_integer();
  LeaseRecord record{cluster.value_or(0),
                     field("prefix"),
                     field("node"),
                     static_cast<int64_t>(lease.value_or(0)),
                     seconds(has_ttl ? ttl->get<int64_t>() : -1),
                     field("agent"),
                     field("boot")};
  if (!cluster || !lease || record.lease < 0 || record.ttl < seconds(0) || record.agent.empty()) {
    return absl::DataLossError("a field is missing or out of range");
  }
  return record;
}

LeaseFile::LeaseFile(DataDir& dir) : file_(dir, {"lease", kFormat, kMaxBytes}) {}

absl::StatusOr<std::optional<LeaseRecord>> LeaseFile::Load(const std::string& prefix,
                                                           const std::string& node) const {
  const auto body = file_.Load();
  if (!body.ok()) return body.status();
  if (!body->has_value()) return std::nullopt;
  auto record = DecodeLeaseRecord(**body);
  if (!record.ok()) {
    return absl::DataLossError(path() +
                               " cannot be used: " + std::string(record.status().message()));
  }
  if (record->prefix != prefix || record->node != node) {
    return absl::FailedPreconditionError(path() + " belongs to node " + record->node +
                                         " and prefix " + record->prefix + ", this agent is node " +
                                         node + " and prefix " + prefix);
  }
  return *std::move(record);
}

void LeaseFile::Save(const LeaseRecord& record) {
  {
    std::lock_guard lock(mutex_);
    if (unsaved_ == record || (!unsaved_ && saved_ == record)) return;
    unsaved_ = record;
    not_before_ = {};
  }
  wake_();
}

TimePoint LeaseFile::Step(TimePoint now) {
  {
    std::lock_guard lock(mutex_);
    if (!unsaved_) return kNever;
    if (now < not_before_) return not_before_;
    not_before_ = now + kTryAgainAfter;
  }
  if (Finish().ok()) return now;
  std::lock_guard lock(mutex_);
  return not_before_;
}

absl::Status LeaseFile::Finish() {
  std::optional<LeaseRecord> record;
  {
    std::lock_guard lock(mutex_);
    record = unsaved_;
  }
  if (!record) return absl::OkStatus();
  absl::Status written = file_.Save(EncodeLeaseRecord(*record));
  std::lock_guard lock(mutex_);
  if (written.ok()) {
    saved_ = record;
    if (unsaved_ == record) unsaved_.reset();
  }
  return written;
}

}  // namespace rosterd
