// SPDX-License-Identifier: Apache-2.0
// Writes discovery bodies straight into one string: a catalog of thousands of services is rendered
// without a tree. Runs on whichever thread asks first; pure.
#include "model/service_body.h"

#include <functional>

#include "base/json.h"

namespace rosterd {
namespace {

void AppendInstance(std::string& out, const Instance& instance, bool held) {
  out += "{\"id\":";
  AppendJsonString(out, instance.id);
  out += ",\"address\":";
  AppendJsonString(out, instance.host);
  out += ",\"port\":";
  out += std::to_string(instance.port);
  out += ",\"weight\":";
  out += std::to_string(instance.weight);
  out += ",\"tags\":";
  AppendJsonArray(out, instance.tags);
  out += ",\"meta\":";
  AppendJsonObject(out, instance.meta);
  out += ",\"node\":";
  AppendJsonString(out, instance.node);
  out += ",\"zone\":";
  AppendJsonString(out, instance.zone);
  if (held) out += ",\"held\":true";
  out += '}';
}

}  // namespace

std::string RenderService(std::string_view name, int64_t index,
                          const std::vector<ServedInstance>& instances, std::string_view error) {
  std::string out = "{";
  if (!error.empty()) {
    out += "\"error\":";
    AppendJsonString(out, error);
    out += ',';
  }
  out += "\"service\":";
  AppendJsonString(out, name);
  out += ",\"index\":";
  out += std::to_string(index);
  out += ",\"instances\":[";
  char before = 0;
  for (const ServedInstance& served : instances) {
    if (before != 0) out += before;
    AppendInstance(out, *served.instance, served.held);
    before = ',';
  }
  out += "]}";
  // Kept as long as the service does not change: what growing left unused would stay for ever.
  out.shrink_to_fit();
  return out;
}

std::string EntityTag(std::string_view body) {
  constexpr char kHex[] = "0123456789abcdef";
  static_assert(sizeof(size_t) == 8);
  uint64_t hash = std::hash<std::string_view>()(body);
  std::string tag(18, '"');
  for (size_t i = 16; i > 0; --i, hash >>= 4) tag[i] = kHex[hash & 15];
  return tag;
}

}  // namespace rosterd
