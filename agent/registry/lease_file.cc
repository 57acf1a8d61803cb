// SPDX-License-Identifier: Apache-2.0
#include "registry/lease_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "base/json.h"
#include "base/status.h"

namespace rosterd {
namespace {

constexpr int kFormat = 1;
constexpr size_t kMaxBytes = 64 * 1024;

absl::Status Failed(const std::string& what, int error) {
  return absl::UnavailableError(what + ": " + std::strerror(error));
}

// FNV-1a; against torn and rotten files, not against an attacker.
uint64_t Checksum(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const unsigned char c : text) hash = (hash ^ c) * 0x100000001b3;
  return hash;
}

std::string Hex(uint64_t number) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(number));
  return text;
}

std::optional<uint64_t> ParseHex(const std::string& text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, 16);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

absl::Status WriteAll(int fd, std::string_view text, const std::string& path) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return Failed("cannot write " + path, errno);
    text.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

}  // namespace

std::string EncodeLeaseRecord(const LeaseRecord& record) {
  nlohmann::ordered_json json;
  json["format"] = kFormat;
  json["cluster"] = Hex(record.cluster_id);
  json["prefix"] = record.prefix;
  json["node"] = record.node;
  json["lease"] = Hex(static_cast<uint64_t>(record.lease));
  json["ttl_s"] = record.ttl.count();
  json["agent"] = record.agent;
  json["boot"] = record.boot_id;
  const std::string body = DumpJson(json);
  return body + "\n" + Hex(Checksum(body)) + "\n";
}

absl::StatusOr<LeaseRecord> DecodeLeaseRecord(const std::string& text) {
  const size_t line = text.find('\n');
  if (line == std::string::npos ||
      text.substr(line + 1) != Hex(Checksum(text.substr(0, line))) + "\n") {
    return absl::DataLossError("its checksum is wrong");
  }
  const auto json = ParseJson(text.substr(0, line));
  if (!json || !json->is_object()) return absl::DataLossError("it is not a JSON object");
  const auto field = [&json](const char* name) {
    const auto it = json->find(name);
    return it != json->end() && it->is_string() ? it->get<std::string>() : std::string();
  };
  const auto number = [&json](const char* name) {
    const auto it = json->find(name);
    return it != json->end() && it->is_number_integer() ? it->get<int64_t>() : int64_t{-1};
  };
  if (number("format") != kFormat) {
    return absl::FailedPreconditionError("its format is " + std::to_string(number("format")) +
                                         ", this version reads " + std::to_string(kFormat));
  }
  const auto cluster = ParseHex(field("cluster"));
  const auto lease = ParseHex(field("lease"));
  LeaseRecord record{cluster.value_or(0),
                     field("prefix"),
                     field("node"),
                     static_cast<int64_t>(lease.value_or(0)),
                     seconds(number("ttl_s")),
                     field("agent"),
                     field("boot")};
  if (!cluster || !lease || record.lease < 0 || record.ttl < seconds(0) || record.agent.empty()) {
    return absl::DataLossError("a field is missing or out of range");
  }
  return record;
}

LeaseFile::LeaseFile(std::string dir, UniqueFd lock)
    : dir_(std::move(dir)), path_(dir_ + "/lease"), lock_(std::move(lock)) {}

absl::StatusOr<std::unique_ptr<LeaseFile>> LeaseFile::Open(const std::string& data_dir) {
  const std::string named = "data_dir " + data_dir;
  std::error_code error;
  std::filesystem::create_directories(data_dir, error);
  if (error) {
    return absl::FailedPreconditionError(named + " cannot be made: " + error.message() +
                                         "; make it, owned by the user that rosterd runs as");
  }
  const std::string lock_path = data_dir + "/lock";
  UniqueFd lock(::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640));
  if (!lock.valid()) {
    return absl::FailedPreconditionError(named + " cannot be written: " + std::strerror(errno) +
                                         "; it must belong to the user that rosterd runs as");
  }
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return absl::FailedPreconditionError(
        errno == EWOULDBLOCK
            ? named + " is in use by another rosterd; stop that one or give this one its own"
            : named + " cannot be locked: " + std::strerror(errno));
  }
  return std::unique_ptr<LeaseFile>(new LeaseFile(data_dir, std::move(lock)));
}

absl::StatusOr<std::optional<LeaseRecord>> LeaseFile::Load(const std::string& prefix,
                                                           const std::string& node) const {
  const UniqueFd fd(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid() && errno == ENOENT) return std::nullopt;
  if (!fd.valid()) return Failed("cannot read " + path_, errno);
  std::string text(kMaxBytes, '\0');
  size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = ::read(fd.get(), text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Failed("cannot read " + path_, errno);
    if (got == 0) break;
    size += static_cast<size_t>(got);
  }
  text.resize(size);
  auto record = DecodeLeaseRecord(text);
  if (!record.ok()) {
    return absl::DataLossError(path_ +
                               " cannot be used: " + std::string(record.status().message()));
  }
  if (record->prefix != prefix || record->node != node) {
    return absl::FailedPreconditionError(path_ + " belongs to node " + record->node +
                                         " and prefix " + record->prefix + ", this agent is node " +
                                         node + " and prefix " + prefix);
  }
  return *std::move(record);
}

absl::Status LeaseFile::Save(const LeaseRecord& record) {
  if (saved_ == record) return absl::OkStatus();
  const std::string aside = path_ + ".new";
  {
    const UniqueFd fd(::open(aside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640));
    if (!fd.valid()) return Failed("cannot write " + aside, errno);
    RETURN_IF_ERROR(WriteAll(fd.get(), EncodeLeaseRecord(record), aside));
    if (::fsync(fd.get()) != 0) return Failed("cannot write " + aside, errno);
  }
  if (::rename(aside.c_str(), path_.c_str()) != 0) return Failed("cannot write " + path_, errno);
  // Best effort: without it a power cut may bring back the old file, which is whole as well.
  const UniqueFd dir(::open(dir_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (dir.valid()) ::fsync(dir.get());
  saved_ = record;
  return absl::OkStatus();
}

}  // namespace rosterd
