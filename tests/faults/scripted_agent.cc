// SPDX-License-Identifier: Apache-2.0
#include "scripted_agent.h"

#include <stdexcept>
#include <thread>
#include <utility>

namespace rosterd::testing {
namespace {

etcd::Session::Factory MakeFactory(const std::vector<std::string>& endpoints,
                                   int64_t keys_per_page) {
  etcd::GrpcClient::Options options;
  options.ping_key = kScriptedPrefix;
  options.keys_per_page = keys_per_page;
  options.watch_silence = options.watch_answer = milliseconds(1500);
  auto factory = etcd::MakeGrpcClientFactory(endpoints, options);
  if (!factory.ok()) throw std::runtime_error(std::string(factory.status().message()));
  return *factory;
}

Watcher::Options MakeWatcherOptions(const ScriptedAgent::Options& options) {
  Watcher::Options result;
  result.prefix = kScriptedPrefix;
  result.check_interval = options.check_interval;
  return result;
}

Identity MakeIdentity(const ScriptedAgent::Options& options) {
  Identity identity;
  identity.node = "host-1";
  identity.agent = kScriptedAgentId;
  identity.prefix = kScriptedPrefix;
  identity.lease_ttl = options.lease_ttl;
  return identity;
}

}  // namespace

std::string OwnKeyOf(const std::string& name) {
  return FormatKey(kScriptedPrefix, name, name + "-own");
}

ScriptedAgent::ScriptedAgent(const std::vector<std::string>& endpoints, const Options& options)
    : log_(LogLevel::kDebug, LogFormat::kText,
           [this](const std::string& line) {
             std::lock_guard lock(mutex_);
             lines_.push_back(line);
           }),
      session_thread_("session", clock_, [this](TimePoint now) { return session_.Step(now); }),
      registrar_thread_("registrar", clock_,
                        [this](TimePoint now) { return registrar_.Step(now); }),
      session_(endpoints, MakeFactory(endpoints, options.keys_per_page), clock_, log_, metrics_,
               Random(options.seed)),
      watcher_(MakeWatcherOptions(options), session_, session_.state(), clock_, log_, metrics_,
               Random(options.seed + 1)),
      registrar_(Registrar::Inputs{session_, clock_, watcher_.catalogs(), health_, session_.state(),
                                   log_, metrics_, nullptr},
                 MakeIdentity(options), std::nullopt, options.seed + 2) {
  session_.SetWake([this] { session_thread_.Wake(); });
  const auto wake_registrar = [this] { registrar_thread_.Wake(); };
  watcher_.catalogs().Subscribe([this] {
    auto shown = watcher_.catalogs().Get();
    std::lock_guard lock(mutex_);
    published_.push_back(std::move(shown));
  });
  watcher_.catalogs().Subscribe(wake_registrar);
  health_.Subscribe(wake_registrar);
  session_.state().Subscribe(wake_registrar);
  session_thread_.Start();
  watcher_.Start();
  registrar_thread_.Start();
}

ScriptedAgent::~ScriptedAgent() {
  session_.Stop();
  registrar_thread_.Stop();
  watcher_.Stop();
  session_thread_.Stop();
}

void ScriptedAgent::Offer(const std::map<std::string, HealthStatus>& services, uint16_t weight) {
  auto snapshot = std::make_shared<HealthSnapshot>();
  for (const auto& [name, status] : services) {
    auto service = std::make_shared<ServiceConfig>();
    service->name = name;
    service->id = name + "-own";
    service->address = "10.0.0.5";
    service->port = 8080;
    service->weight = weight;
    auto one = std::make_shared<InstanceHealth>();
    one->service = std::move(service);
    one->status = status;
    snapshot->instances.push_back(std::move(one));
  }
  health_.Publish(std::move(snapshot));
}

std::vector<std::shared_ptr<const Catalog>> ScriptedAgent::Published() const {
  std::lock_guard lock(mutex_);
  return published_;
}

std::string ScriptedAgent::LogText() const {
  constexpr size_t kLines = 60;
  std::lock_guard lock(mutex_);
  std::string text;
  for (size_t i = lines_.size() > kLines ? lines_.size() - kLines : 0; i < lines_.size(); ++i) {
    text += lines_[i] + "\n";
  }
  return text;
}

bool ScriptedAgent::Within(Duration limit, const std::function<bool()>& reached) const {
  const TimePoint end = clock_.Now() + limit;
  while (!reached()) {
    if (clock_.Now() > end) return false;
    std::this_thread::sleep_for(milliseconds(2));
  }
  return true;
}

bool ScriptedAgent::Shows(const ScriptedStore& store) {
  const auto shown = catalog();
  return shown != nullptr && shown->watch_open() && ShownBy(*shown) == ShownBy(store.All());
}

bool ScriptedAgent::Registered(const ScriptedStore& store,
                               const std::vector<std::string>& wanted) const {
  const int64_t lease = registrations()->lease;
  if (lease == 0 || !store.LeaseLives(lease)) return false;
  for (const std::string& name : wanted) {
    const auto kv = store.Get(OwnKeyOf(name));
    if (!kv || kv->lease != lease) return false;
  }
  return true;
}

std::map<std::string, ShownKey> ShownBy(const Catalog& catalog) {
  std::map<std::string, ShownKey> shown;
  catalog.ForEach([&](const ServiceEntry& service) {
    for (const CatalogKey& key : service.keys()) {
      shown[FormatKey(kScriptedPrefix, service.name(), key.id)] = {key.mod_revision, key.lease,
                                                                   key.value_hash};
    }
  });
  return shown;
}

std::map<std::string, ShownKey> ShownBy(const ScriptedStore::Kvs& kvs) {
  std::map<std::string, ShownKey> shown;
  for (const auto& [key, kv] : kvs) {
    if (!ParseKey(kScriptedPrefix, key)) continue;
    shown[key] = {kv.mod_revision, kv.lease, HashValue(kv.value)};
  }
  return shown;
}

}  // namespace rosterd::testing
