// SPDX-License-Identifier: Apache-2.0
#include "catalog/catalog_file.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "base/json.h"
#include "base/status.h"
#include "model/instance.h"

namespace rosterd {
namespace {

constexpr int kFormat = 1;
constexpr size_t kMaxBytes = size_t{256} << 20;

absl::Status Broken() { return absl::DataLossError("a line of it is not what it should be"); }

// The lines of a body, one by one.
class Lines {
 public:
  explicit Lines(std::string_view text) : rest_(text) {}

  bool done() const { return rest_.empty(); }
  std::optional<std::string_view> Next() {
    const size_t end = rest_.find('\n');
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view line = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    return line;
  }
  std::optional<nlohmann::json> NextObject() {
    const auto line = Next();
    if (!line) return std::nullopt;
    auto json = ParseJson(*line);
    return json && json->is_object() ? std::move(json) : std::nullopt;
  }

 private:
  std::string_view rest_;
};

std::optional<int64_t> Number(const nlohmann::json& json, const char* name) {
  const auto it = json.find(name);
  if (it == json.end() || !it->is_number_integer()) return std::nullopt;
  const auto number = it->get<int64_t>();
  return number < 0 ? std::nullopt : std::optional(number);
}

std::optional<std::string> Text(const nlohmann::json& json, const char* name) {
  const auto it = json.find(name);
  if (it == json.end() || !it->is_string()) return std::nullopt;
  return it->get<std::string>();
}

std::optional<uint64_t> Hex(const nlohmann::json& json, const char* name) {
  const auto text = Text(json, name);
  return text ? ParseHexText(*text) : std::nullopt;
}

// A line of numbers and then one JSON string, each after a space: what there are ten thousands of
// is not worth a tree.
class Words {
 public:
  explicit Words(std::string_view line) : rest_(line) {}

  std::optional<uint64_t> Number(int base) {
    uint64_t number = 0;
    const auto [end, error] =
        std::from_chars(rest_.data(), rest_.data() + rest_.size(), number, base);
    if (error != std::errc() || end == rest_.data() + rest_.size() || *end != ' ') {
      return std::nullopt;
    }
    rest_.remove_prefix(static_cast<size_t>(end - rest_.data()) + 1);
    return number;
  }
  std::optional<std::string> Rest() const {
    if (rest_.size() < 2 || rest_.front() != '"' || rest_.back() != '"') return std::nullopt;
    const std::string_view inner = rest_.substr(1, rest_.size() - 2);
    if (inner.find_first_of("\\\"") == std::string_view::npos) return std::string(inner);
    const auto json = ParseJson(rest_);
    return json && json->is_string() ? std::optional(json->get<std::string>()) : std::nullopt;
  }

 private:
  std::string_view rest_;
};

void AppendKey(const CatalogKey& key, std::string& out) {
  out += std::to_string(key.mod_revision) + " " + HexText(static_cast<uint64_t>(key.lease)) + " " +
         HexText(key.value_hash) + " ";
  AppendJsonString(out, key.id);
  out += '\n';
  out += key.instance == nullptr ? "null" : EncodeInstance(*key.instance);
  out += '\n';
}

absl::StatusOr<CatalogKey> ReadKey(const std::string& service, Lines& lines) {
  const auto line = lines.Next();
  const auto value = lines.Next();
  if (!line || !value) return Broken();
  Words words(*line);
  const auto revision = words.Number(10);
  const auto lease = words.Number(16);
  const auto hash = words.Number(16);
  auto id = words.Rest();
  if (!id || !revision || !lease || !hash) return Broken();
  CatalogKey key{*std::move(id), static_cast<int64_t>(*revision), static_cast<int64_t>(*lease),
                 *hash, nullptr};
  if (*value != "null") {
    // One that is too large in this form is as one that cannot be read, until etcd tells it again.
    const auto instance = DecodeInstance({service, key.id}, *value);
    // A copy, not a move: its strings and lists have no spare room.
    if (instance.ok()) key.instance = std::make_shared<const Instance>(*instance);
  }
  return key;
}

absl::StatusOr<SavedCatalog::Service> ReadService(Lines& lines) {
  const auto line = lines.Next();
  if (!line) return Broken();
  Words words(*line);
  const auto index = words.Number(10);
  const auto count = words.Number(10);
  auto name = words.Rest();
  if (!name || !index || !count) return Broken();
  SavedCatalog::Service service{*std::move(name), static_cast<int64_t>(*index), {}};
  for (uint64_t i = 0; i < *count; ++i) {
    ASSIGN_OR_RETURN(CatalogKey key, ReadKey(service.name, lines));
    service.keys.push_back(std::move(key));
  }
  // Bytes that are not UTF-8 were replaced, which may change the order and make two ids one.
  auto& keys = service.keys;
  std::sort(keys.begin(), keys.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  keys.erase(std::unique(keys.begin(), keys.end(),
                         [](const auto& a, const auto& b) { return a.id == b.id; }),
             keys.end());
  return service;
}

}  // namespace

void EncodeCatalog(const Catalog& catalog, const std::string& prefix, WallTime answered,
                   const StateFile::Append& append) {
  std::string text = "{\"prefix\":";
  AppendJsonString(text, prefix);
  text += ",\"cluster\":\"" + HexText(catalog.cluster_id());
  text += "\",\"revision\":" + std::to_string(catalog.etcd_revision());
  text += ",\"offset\":" + std::to_string(catalog.revision() - catalog.etcd_revision());
  text += ",\"floor\":" + std::to_string(catalog.floor());
  text += ",\"index\":" + std::to_string(catalog.index());
  text += ",\"answered_ms\":" + std::to_string(answered.time_since_epoch().count()) + "}\n";
  append(text);
  catalog.ForEach([&](const ServiceEntry& service) {
    // What the guard holds is not kept: a successor shows the service as it is without.
    text =
        std::to_string(service.last_change()) + " " + std::to_string(service.keys().size()) + " ";
    AppendJsonString(text, service.name());
    text += '\n';
    for (const CatalogKey& key : service.keys()) AppendKey(key, text);
    append(text);
  });
}

absl::StatusOr<SavedCatalog> DecodeCatalog(std::string_view body) {
  Lines lines(body);
  const auto json = lines.NextObject();
  if (!json) return Broken();
  auto prefix = Text(*json, "prefix");
  const auto cluster = Hex(*json, "cluster");
  const auto revision = Number(*json, "revision");
  const auto offset = Number(*json, "offset");
  const auto floor = Number(*json, "floor");
  const auto index = Number(*json, "index");
  const auto answered = Number(*json, "answered_ms");
  if (!prefix || !cluster || !revision || *revision == 0 || !offset || !floor || !index ||
      !answered) {
    return Broken();
  }
  SavedCatalog saved{*std::move(prefix),
                     *cluster,
                     *revision,
                     *offset,
                     *floor,
                     *index,
                     WallTime(milliseconds(*answered)),
                     {}};
  while (!lines.done()) {
    ASSIGN_OR_RETURN(SavedCatalog::Service service, ReadService(lines));
    saved.services.push_back(std::move(service));
  }
  return saved;
}

CatalogFile::CatalogFile(DataDir& dir, std::string prefix)
    : file_(dir, {"catalog", kFormat, kMaxBytes}), prefix_(std::move(prefix)) {}

absl::StatusOr<std::optional<SavedCatalog>> CatalogFile::Load() const {
  const auto body = file_.Load();
  if (!body.ok()) return body.status();
  if (!body->has_value()) return std::nullopt;
  auto saved = DecodeCatalog(**body);
  if (!saved.ok()) {
    return absl::DataLossError(file_.path() +
                               " cannot be used: " + std::string(saved.status().message()));
  }
  if (saved->prefix != prefix_) {
    return absl::FailedPreconditionError(file_.path() + " belongs to prefix " + saved->prefix +
                                         ", this agent's is " + prefix_);
  }
  return *std::move(saved);
}

absl::Status CatalogFile::Save(const Catalog& catalog, WallTime answered) {
  size_t bytes = 0;
  const absl::Status saved = file_.Save([&](const StateFile::Append& append) {
    EncodeCatalog(catalog, prefix_, answered, [&](std::string_view piece) {
      bytes += piece.size();
      append(piece);
    });
  });
  if (saved.ok()) bytes_ = bytes;
  return saved;
}

}  // namespace rosterd
