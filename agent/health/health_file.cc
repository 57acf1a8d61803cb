// SPDX-License-Identifier: Apache-2.0
#include "health/health_file.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/json.h"
#include "base/status.h"

namespace rosterd {
namespace {

constexpr int kFormat = 1;
constexpr size_t kMaxBytes = size_t{16} << 20;

absl::Status Broken() { return absl::DataLossError("a line of it is not what it should be"); }

std::optional<HealthStatus> ParseStatus(const nlohmann::json& json) {
  if (!json.is_string()) return std::nullopt;
  for (const auto status :
       {HealthStatus::kStarting, HealthStatus::kPassing, HealthStatus::kFailing}) {
    if (json.get_ref<const std::string&>() == ToString(status)) return status;
  }
  return std::nullopt;
}

std::optional<int> ParseCount(const nlohmann::json& json) {
  if (!json.is_number_integer()) return std::nullopt;
  return static_cast<int>(std::clamp<int64_t>(json.get<int64_t>(), 0, 1'000'000'000));
}

std::string TextOf(const nlohmann::json& json, const char* name) {
  const auto it = json.find(name);
  return it != json.end() && it->is_string() ? it->get<std::string>() : std::string();
}

absl::Status ReadInstance(const nlohmann::json& json, SavedHealth& saved) {
  const auto checks = json.find("checks");
  const auto status = json.find("status");
  const auto since = json.find("since_ms");
  const auto fingerprint = ParseHexText(TextOf(json, "fingerprint"));
  if (checks == json.end() || !checks->is_array() || status == json.end() || since == json.end() ||
      !since->is_number_integer() || !fingerprint) {
    return Broken();
  }
  const auto parsed = ParseStatus(*status);
  if (!parsed) return Broken();
  SavedInstance instance{*fingerprint, *parsed, WallTime(milliseconds(since->get<int64_t>())), {}};
  for (const auto& check : *checks) {
    if (!check.is_array() || check.size() != 3) return Broken();
    const auto state = ParseStatus(check[0]);
    const auto successes = ParseCount(check[1]);
    const auto failures = ParseCount(check[2]);
    if (!state || !successes || !failures) return Broken();
    instance.checks.push_back({*state, *successes, *failures});
  }
  saved.instances.insert_or_assign(TextOf(json, "id"), std::move(instance));
  return absl::OkStatus();
}

// Each with its length, so that two lists of fields never read alike.
class Fingerprint {
 public:
  void Add(std::string_view text) {
    hash_ = HashText(std::to_string(text.size()) + ":", hash_);
    hash_ = HashText(text, hash_);
  }
  void Add(int64_t number) { Add(std::to_string(number)); }
  uint64_t hash() const { return hash_; }

 private:
  uint64_t hash_ = HashText({});
};

}  // namespace

uint64_t FingerprintOf(const ServiceConfig& service) {
  Fingerprint print;
  print.Add(service.address);
  print.Add(service.port);
  for (const CheckConfig& check : service.checks) {
    print.Add(check.url);
    print.Add(check.method);
    print.Add(static_cast<int64_t>(check.headers.size()));
    for (const auto& [name, value] : check.headers) {
      print.Add(name);
      print.Add(value);
    }
    print.Add(static_cast<int64_t>(check.expect_status.size()));
    for (const StatusRange& range : check.expect_status) {
      print.Add(range.first);
      print.Add(range.last);
    }
    print.Add(check.expect_body);
    print.Add(check.tls.ca);
    print.Add(check.tls.server_name);
    print.Add(check.tls.insecure ? 1 : 0);
    for (const Duration d : {check.interval, check.fast_interval, check.timeout}) {
      print.Add(d.count());
    }
    print.Add(check.rise);
    print.Add(check.fall);
  }
  return print.hash();
}

void EncodeHealth(const HealthSnapshot& health, const std::string& boot_id, TimePoint now,
                  const StateFile::Append& append) {
  std::string text = "{\"boot\":";
  AppendJsonString(text, boot_id);
  text += ",\"saved_ns\":" + std::to_string(now.time_since_epoch().count()) + "}\n";
  for (const auto& instance : health.instances) {
    text += "{\"id\":";
    AppendJsonString(text, instance->service->id);
    text += ",\"fingerprint\":\"" + HexText(FingerprintOf(*instance->service));
    text += "\",\"status\":\"";
    text += ToString(instance->status);
    text += "\",\"since_ms\":" + std::to_string(instance->since.time_since_epoch().count());
    text += ",\"checks\":[";
    const char* before = "[\"";
    for (const CheckReport& check : instance->checks) {
      text += before;
      text += ToString(check.status);
      text += "\"," + std::to_string(check.successes) + "," + std::to_string(check.failures) + "]";
      before = ",[\"";
    }
    text += "]}\n";
    append(text);
    text.clear();
  }
  append(text);
}

absl::StatusOr<SavedHealth> DecodeHealth(std::string_view body) {
  SavedHealth saved;
  bool first = true;
  while (!body.empty()) {
    const size_t end = body.find('\n');
    const auto json = ParseJson(body.substr(0, end));
    if (end == std::string_view::npos || !json || !json->is_object()) return Broken();
    body.remove_prefix(end + 1);
    if (std::exchange(first, false)) {
      const auto at = json->find("saved_ns");
      if (at == json->end() || !at->is_number_integer()) return Broken();
      saved.boot_id = TextOf(*json, "boot");
      saved.saved_at = TimePoint(Duration(at->get<int64_t>()));
    } else {
      RETURN_IF_ERROR(ReadInstance(*json, saved));
    }
  }
  if (first) return Broken();
  return saved;
}

HealthFile::HealthFile(DataDir& dir, std::string boot_id)
    : file_(dir, {"health", kFormat, kMaxBytes}), boot_id_(std::move(boot_id)) {}

absl::StatusOr<std::optional<SavedHealth>> HealthFile::Load(TimePoint now) const {
  const auto body = file_.Load();
  if (!body.ok()) return body.status();
  if (!body->has_value()) return std::nullopt;
  auto saved = DecodeHealth(**body);
  if (!saved.ok()) {
    return absl::DataLossError(file_.path() +
                               " cannot be used: " + std::string(saved.status().message()));
  }
  const bool same_boot = !boot_id_.empty() && saved->boot_id == boot_id_ && saved->saved_at <= now;
  if (!same_boot || now - saved->saved_at > kGoodFor) return std::nullopt;
  return *std::move(saved);
}

absl::Status HealthFile::Save(const HealthSnapshot& health, TimePoint now) {
  return file_.Save(
      [&](const StateFile::Append& append) { EncodeHealth(health, boot_id_, now, append); });
}

}  // namespace rosterd
