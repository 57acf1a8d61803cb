// SPDX-License-Identifier: Apache-2.0
// What the tests of scripted watches begin with: a cluster with a few keys of others, and an agent
// that is told about them. Its end checks every catalog that was published.
#pragma once

#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <vector>

#include "scripted_agent.h"
#include "scripted_checker.h"
#include "scripted_etcd.h"

namespace rosterd::testing {

inline constexpr char kValue[] = "10.0.0.9:80";

inline std::string KeyOf(const std::string& service, int i) {
  return FormatKey(kScriptedPrefix, service, std::to_string(i));
}

// Owned by the test's main thread.
struct WatchWorld {
  explicit WatchWorld(size_t members = 1) {
    for (int i = 0; i < 3; ++i) store->Put(KeyOf("api", i), kValue);
    for (size_t i = 0; i < members; ++i) {
      etcds.push_back(std::make_unique<ScriptedEtcd>(store, i + 1));
      endpoints.push_back(etcds.back()->endpoint());
    }
  }

  ScriptedEtcd& etcd() { return *etcds.front(); }
  void Start() { agent = std::make_unique<ScriptedAgent>(endpoints, ScriptedAgent::Options()); }
  bool Shows(Duration limit = seconds(3)) {
    return agent->Within(limit, [&] { return agent->Shows(*store); });
  }
  size_t Count(ScriptedCall call) const {
    size_t count = 0;
    for (const auto& etcd : etcds) count += etcd->Count(call);
    return count;
  }
  int64_t LastStart() const {
    int64_t start = 0;
    for (const auto& record : etcds.front()->Calls()) {
      if (record.call == ScriptedCall::kWatch) start = record.start_revision;
    }
    return start;
  }
  // The history never lied, whatever the test was about.
  ~WatchWorld() {
    if (agent == nullptr) return;
    for (const std::string& wrong : CheckPublished(agent->Published(), store->Eras())) {
      FAIL_CHECK(wrong);
    }
  }

  std::shared_ptr<ScriptedStore> store = std::make_shared<ScriptedStore>();
  std::vector<std::unique_ptr<ScriptedEtcd>> etcds;
  std::vector<std::string> endpoints;
  std::unique_ptr<ScriptedAgent> agent;
};

inline Deed WatchDeed(Deed::Watch watch, const std::string& reason = "") {
  Deed deed;
  deed.watch = watch;
  deed.cancel_reason = reason;
  return deed;
}

}  // namespace rosterd::testing
