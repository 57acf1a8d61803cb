// SPDX-License-Identifier: Apache-2.0
// The JSON that discovery answers carry, in one place for the catalog (whole services) and the API
// (filtered ones, lists). Shapes as in docs/http-api.md; bytes that are not UTF-8 become U+FFFD.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/instance.h"

namespace rosterd {

// One instance of an answer.
struct ServedInstance {
  // NOLINTNEXTLINE: implicit on purpose, for those that are simply there
  ServedInstance(const Instance* i, bool h = false) : instance(i), held(h) {}

  const Instance* operator->() const { return instance; }

  const Instance* instance;
  bool held;  // gone from etcd, kept in answers by the guard: "held":true stands in it
};

// {"service":NAME,"index":N,"instances":[...]}, in the order given (callers sort by id). A
// non-empty `error` stands first, as in the 404 of a service that nobody has registered.
std::string RenderService(std::string_view name, int64_t index,
                          const std::vector<ServedInstance>& instances,
                          std::string_view error = {});

// A strong entity tag of these bytes, quotes included.
std::string EntityTag(std::string_view body);

}  // namespace rosterd
