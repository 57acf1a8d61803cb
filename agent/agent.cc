// SPDX-License-Identifier: Apache-2.0
#include "agent.h"

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <future>
#include <optional>
#include <random>
#include <thread>
#include <utility>

#include "api/api.h"
#include "api/probes.h"
#include "base/backoff.h"
#include "base/duration.h"
#include "base/latest.h"
#include "base/metrics.h"
#include "base/status.h"
#include "base/step_thread.h"
#include "catalog/watcher.h"
#include "etcd/grpc_client.h"
#include "etcd/session.h"
#include "health/health_checker.h"
#include "health/http_probe.h"
#include "http/server.h"
#include "kept_state.h"
#include "registry/identity.h"
#include "registry/registrar.h"
#include "reload.h"

namespace rosterd {
namespace {

// A page of a large list on a slow link; a member that hangs is found out by the heartbeat before.
constexpr milliseconds kListTimeout{5000};
// How long a call to etcd in flight may go on when the agent stops, before it is cancelled.
constexpr milliseconds kStopPatience{600};
// Of the 2 s that a stop may take, what is left at the end may go into the last save.
constexpr milliseconds kStopWithoutMargin{1800};
constexpr milliseconds kLeastForDisk{200};

Random Seeded() { return Random(std::random_device{}()); }

// A successor with the same data_dir keeps its predecessor's uuid.
Identity MakeIdentity(const Config& config, const std::optional<LeaseRecord>& past) {
  Identity identity;
  identity.node = config.node.name;
  identity.zone = config.node.zone;
  identity.agent = past.has_value() ? past->agent : NewAgentUuid();
  identity.prefix = config.etcd.prefix;
  identity.lease_ttl = config.etcd.lease_ttl;
  return identity;
}

}  // namespace

// In the order of the flow; destroyed in the reverse order, after Stop() has ended every thread.
struct Agent::Parts {
  Parts(std::shared_ptr<const Config> first, Log& l, std::unique_ptr<const Clock> c,
        etcd::ClientFactory factory, std::shared_ptr<etcd::Credentials> credentials,
        std::unique_ptr<HttpProbe> probe, std::unique_ptr<Metrics> m, std::unique_ptr<KeptState> k)
      : log(l),
        clock_owner(std::move(c)),
        clock(*clock_owner),
        metrics_owner(std::move(m)),
        metrics(*metrics_owner),
        kept(std::move(k)),
        session_thread("session", clock, [this](TimePoint now) { return session.Step(now); }),
        registrar_thread("registrar", clock, [this](TimePoint now) { return registrar.Step(now); }),
        keeper_thread("keeper", clock, [this](TimePoint now) { return kept->Step(now); }),
        config(std::move(first)),
        session(config.Get()->etcd.endpoints, std::move(factory), clock, log, metrics, Seeded(),
                std::move(credentials)),
        watcher(
            Watcher::Options{.prefix = config.Get()->etcd.prefix,
                             .call_timeout = kListTimeout,
                             .lease_ttl = config.Get()->etcd.lease_ttl,
                             .guard = config.Get()->guard,
                             .before_showing = [this](int64_t shown) { kept->NoteShown(shown); }},
            session, session.state(), clock, log, metrics, Seeded()),
        checker(clock, log, metrics, std::move(probe), std::random_device{}()),
        registrar(Registrar::Inputs{session, clock, watcher.catalogs(), checker.snapshots(),
                                    session.state(), log, metrics, kept->lease_file()},
                  MakeIdentity(*config.Get(), kept->inheritance().lease),
                  kept->inheritance().lease),
        api(api::Sources{watcher.catalogs(), checker.snapshots(), registrar.registrations(),
                         session.state(), config, clock, metrics, [this] { return Loops(); },
                         kept->inheritance().catalog_answered},
            ROSTERD_VERSION) {
    kept->Follow(watcher.catalogs(), session.state(), checker.snapshots());
    Inheritance& left = kept->inheritance();
    watcher.Restore(std::exchange(left.catalog, std::nullopt), left.shown);
    if (left.health) checker.Restore(*std::exchange(left.health, std::nullopt));
    const auto wake_keeper = [this] { keeper_thread.Wake(); };
    if (kept->lease_file() != nullptr) kept->lease_file()->SetWake(wake_keeper);
    watcher.catalogs().Subscribe(wake_keeper);
    checker.snapshots().Subscribe(wake_keeper);
    session.SetWake([this] { session_thread.Wake(); });
    const auto wake_registrar = [this] { registrar_thread.Wake(); };
    watcher.catalogs().Subscribe(wake_registrar);
    checker.snapshots().Subscribe(wake_registrar);
    session.state().Subscribe(wake_registrar);
  }

  std::vector<api::LoopTurn> Loops() const {
    const TimePoint now = clock.Now();
    return {{"session", session_thread.LastTurn(now)},
            {"registrar", registrar_thread.LastTurn(now)},
            {"prober", checker.LastTurn(now)},
            {"http", server->last_turn()}};
  }

  Log& log;
  const std::unique_ptr<const Clock> clock_owner;
  const Clock& clock;
  const std::unique_ptr<Metrics> metrics_owner;
  Metrics& metrics;
  const std::unique_ptr<KeptState> kept;
  // Woken by what is published below, so they outlive it; their loops end in Stop().
  StepThread session_thread;
  StepThread registrar_thread;
  StepThread keeper_thread;
  Latest<Config> config;
  etcd::Session session;
  Watcher watcher;
  HealthChecker checker;
  Registrar registrar;
  api::Api api;
  std::unique_ptr<http::Server> server;
  bool running = false;
};

namespace {

// The last save, in a thread of its own: a disk that hangs must not keep the agent. `give_up` does
// not return.
void FinishWithin(KeptState& kept, Duration limit, const std::function<void()>& give_up) {
  std::packaged_task<void()> task([&] { kept.Finish(limit); });
  std::future<void> done = task.get_future();
  const std::jthread thread([&task] {
    NameThisThread("keeper");
    task();
  });
  if (done.wait_for(limit) != std::future_status::ready) give_up();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Agent>> Agent::Create(std::shared_ptr<const Config> config,
                                                     Log& log) {
  auto clock = std::make_unique<const SystemClock>();
  auto metrics = std::make_unique<Metrics>();
  ASSIGN_OR_RETURN(std::unique_ptr<KeptState> kept,
                   KeptState::Open(*config, *clock, log, *metrics));
  ASSIGN_OR_RETURN(std::shared_ptr<etcd::CredentialFiles> credentials,
                   etcd::CredentialFiles::Open(config->etcd));
  ASSIGN_OR_RETURN(
      etcd::ClientFactory factory,
      etcd::MakeGrpcClientFactory(
          config->etcd.endpoints,
          etcd::GrpcClient::Options{.ping_key = config->etcd.prefix, .settings = config->etcd},
          credentials));
  ASSIGN_OR_RETURN(std::unique_ptr<HttpProbe> probe, HttpProbe::Create(*clock));
  http::Server::Options front;
  front.listen = config->http.listen;
  front.node_name = config->node.name;
  front.allowed_hosts = config->http.allowed_hosts;

  auto parts = std::make_unique<Parts>(std::move(config), log, std::move(clock), std::move(factory),
                                       std::move(credentials), std::move(probe), std::move(metrics),
                                       std::move(kept));
  ASSIGN_OR_RETURN(parts->server, http::Server::Create(std::move(front), parts->api.handler(),
                                                       parts->clock, log, parts->metrics));
  return std::unique_ptr<Agent>(new Agent(std::move(parts)));
}

Agent::Agent(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Agent::~Agent() { Stop(config().on_stop); }

void Agent::Start() {
  Parts& p = *parts_;
  p.running = true;
  p.checker.Apply(p.config.Get());
  p.session_thread.Start();
  p.checker.Start();
  p.watcher.Start();
  p.registrar_thread.Start();
  p.keeper_thread.Start();
  p.server->Start();
  for (const std::string& address : p.server->addresses()) {
    p.log.Info("listening", {{"address", address}});
  }
}

void Agent::Reload(const Config& loaded) {
  ReloadPlan plan = PlanReload(config(), loaded);
  auto next = std::make_shared<const Config>(std::move(plan.config));
  parts_->log.Set(next->log.level, next->log.format);
  parts_->server->SetAllowedHosts(next->http.allowed_hosts);
  parts_->watcher.SetGuard(next->guard);
  parts_->checker.Apply(next);
  parts_->config.Publish(next);
  for (const std::string& setting : plan.needs_restart) {
    parts_->log.Warn("a changed setting needs restart and keeps its old value until then",
                     {{"setting", setting}});
  }
  parts_->log.Info("the configuration was reloaded", {{"services", next->services.size()}});
}

void Agent::Stop(OnStop mode) {
  Parts& p = *parts_;
  if (!p.running) return;
  p.running = false;
  const TimePoint began = p.clock.Now();
  if (p.registrar_thread.StopWithin(kStopPatience)) {
    p.registrar.Stop(mode);
  } else {
    // etcd does not answer: nothing could be taken out anyway.
    p.log.Warn("etcd does not answer; this host's registrations end with their lease",
               {{"lease_ttl", FormatDuration(p.config.Get()->etcd.lease_ttl)}});
    p.session.Stop();
    p.registrar_thread.Stop();
  }
  p.checker.Stop();
  p.session.Stop();
  p.watcher.Stop();
  p.session_thread.Stop();
  p.server->Stop();
  const auto left = [&] {
    return std::max<Duration>(kStopWithoutMargin - (p.clock.Now() - began), kLeastForDisk);
  };
  const auto give_up = [&] {
    p.log.Warn("the disk does not answer; stopping without keeping the last state",
               {{"data_dir", p.config.Get()->data_dir}});
    p.log.Info("stopped");
    std::_Exit(0);  // a thread that waits for such a disk cannot be ended
  };
  if (!p.keeper_thread.StopWithin(left())) give_up();
  FinishWithin(*p.kept, left(), give_up);
}

std::vector<std::string> Agent::StuckLoops() const {
  return api::StuckLoops(parts_->Loops(), parts_->clock.Now());
}

const Config& Agent::config() const { return *parts_->config.Get(); }

}  // namespace rosterd
