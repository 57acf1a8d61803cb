// SPDX-License-Identifier: Apache-2.0
// ScriptedAgent: the agent's way to and from etcd as the daemon puts it together (session, watcher,
// registrar, each on its own thread), with health made up by the test and every published catalog
// and registration kept for a checker.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/step_thread.h"
#include "catalog/watcher.h"
#include "etcd/grpc_client.h"
#include "etcd/session.h"
#include "registry/registrar.h"
#include "scripted_etcd.h"

namespace rosterd::testing {

inline constexpr char kScriptedPrefix[] = "/services/";
inline constexpr char kScriptedAgentId[] = "uuid-scripted";

// An own instance of the test: service NAME, id NAME-own.
std::string OwnKeyOf(const std::string& name);

// Owned by the test's main thread.
class ScriptedAgent {
 public:
  struct Options {
    seconds lease_ttl{5};
    uint64_t seed = 1;
    Duration check_interval = std::chrono::minutes(10);
    int64_t keys_per_page = 2000;
  };

  // Starts at once. Throws std::runtime_error on an endpoint that is none.
  ScriptedAgent(const std::vector<std::string>& endpoints, const Options& options);
  explicit ScriptedAgent(const ScriptedEtcd& etcd) : ScriptedAgent({etcd.endpoint()}, Options()) {}
  // Stops without deregistering.
  ~ScriptedAgent();

  // The own services, by name; `weight` changes their value.
  void Offer(const std::map<std::string, HealthStatus>& services, uint16_t weight = 100);

  std::shared_ptr<const Catalog> catalog() { return watcher_.catalogs().Get(); }
  std::shared_ptr<const EtcdSnapshot> session() { return session_.state().Get(); }
  std::shared_ptr<const RegistrationSnapshot> registrations() const {
    return registrar_.registrations().Get();
  }
  const Clock& clock() const { return clock_; }
  std::string metrics() const { return metrics_.Render(); }

  // Every catalog published so far, oldest first.
  std::vector<std::shared_ptr<const Catalog>> Published() const;
  // The last lines of the log.
  std::string LogText() const;

  // Polls until `reached`; false at `limit`.
  bool Within(Duration limit, const std::function<bool()>& reached) const;
  // The catalog has an open watch and shows exactly what stands in `store`.
  bool Shows(const ScriptedStore& store);
  // Every service of `wanted` stands in `store` under our present, living lease.
  bool Registered(const ScriptedStore& store, const std::vector<std::string>& wanted) const;

 private:
  const SystemClock clock_;
  mutable std::mutex mutex_;
  // Guarded by mutex_.
  std::vector<std::string> lines_;
  std::vector<std::shared_ptr<const Catalog>> published_;

  Log log_;
  Metrics metrics_;
  Latest<HealthSnapshot> health_;
  StepThread session_thread_;
  StepThread registrar_thread_;
  etcd::Session session_;
  Watcher watcher_;
  Registrar registrar_;
};

// What a catalog shows, as keys of etcd: mod_revision, lease and hash of the value of each.
struct ShownKey {
  int64_t mod_revision = 0;
  int64_t lease = 0;
  uint64_t value_hash = 0;
  bool operator==(const ShownKey&) const = default;
};
std::map<std::string, ShownKey> ShownBy(const Catalog& catalog);
std::map<std::string, ShownKey> ShownBy(const ScriptedStore::Kvs& kvs);

}  // namespace rosterd::testing
