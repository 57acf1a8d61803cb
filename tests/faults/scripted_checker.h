// SPDX-License-Identifier: Apache-2.0
// The checker of a scripted run: every catalog that was published against the history of the store
// that it came from. Pure.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "model/catalog.h"
#include "scripted_etcd.h"
#include "scripted_store.h"

namespace rosterd::testing {

// What is wrong, in words; none: nothing. `published` oldest first, `eras` oldest first. Each
// catalog must be what stood at its etcd revision, whole, in the era of the one before it or a
// later one; within an era its revision never goes back, and the revision shown never does.
std::vector<std::string> CheckPublished(
    const std::vector<std::shared_ptr<const Catalog>>& published,
    const std::vector<ScriptedStore::Era>& eras);

// The most calls that began within one second, by kind.
struct BusiestSecond {
  size_t calls = 0;
  TimePoint at{};
  std::array<size_t, kScriptedCalls> by_kind{};
  std::string Describe() const;
};
BusiestSecond FindBusiestSecond(std::vector<ScriptedEtcd::Record> calls);

}  // namespace rosterd::testing
