// SPDX-License-Identifier: Apache-2.0
#include "etcd/key_range.h"

namespace rosterd::etcd {
namespace {

// etcd refuses an empty key and reads a lone NUL as "from the first" or "to the last".
const std::string kOpen(1, '\0');

}  // namespace

KeyRange RangeOfPrefix(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && static_cast<unsigned char>(end.back()) == 0xff) end.pop_back();
  if (end.empty()) {
    end = kOpen;
  } else {
    end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  }
  return {prefix.empty() ? kOpen : std::string(prefix), end};
}

std::string NextKey(std::string_view key) { return std::string(key) + '\0'; }

}  // namespace rosterd::etcd
