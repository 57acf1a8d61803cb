// SPDX-License-Identifier: Apache-2.0
// How etcd says "every key under this prefix": a half-open range of bytes. Pure.
#pragma once

#include <string>
#include <string_view>

namespace rosterd::etcd {

struct KeyRange {
  std::string begin;
  std::string end;  // "\0": to the last key there is
};

KeyRange RangeOfPrefix(std::string_view prefix);
// The smallest key after `key`: where the next page begins.
std::string NextKey(std::string_view key);

}  // namespace rosterd::etcd
