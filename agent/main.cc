// SPDX-License-Identifier: Apache-2.0
// The program: flags, configuration, signals. Signals are blocked before the first thread exists
// and waited for, never handled asynchronously. No logic of the agent itself.

#include <signal.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent.h"
#include "etcd/dev_server.h"
#include "sd_notifier.h"
#include "yaml/config_reader.h"
#include "yaml/print.h"

namespace rosterd {
namespace {

enum ExitCode { kStopped = 0, kCannotStart = 1, kWrongUsage = 2 };

struct Flags {
  std::string config;
  bool check_config = false;
  bool print = false;
  bool dev = false;
};

// Blocks the signals that the main loop waits for, in this and all later threads. SIGPIPE: a write
// to a closed socket is an error code, not an end.
sigset_t BlockSignals() {
  signal(SIGPIPE, SIG_IGN);
  sigset_t set;
  sigemptyset(&set);
  for (const int s : {SIGTERM, SIGINT, SIGHUP, SIGUSR2}) sigaddset(&set, s);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  return set;
}

void RaiseOpenFilesLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
}

ParseResult Load(const Flags& flags) {
  return flags.config.empty() ? DefaultConfig(SystemEnvironment())
                              : LoadConfig(flags.config, SystemEnvironment());
}

void PrintProblems(const ParseResult& result) {
  for (const Problem& problem : result.problems) std::cerr << problem.Format() << '\n';
}

int PrintChecked(const Flags& flags) {
  const ParseResult result = Load(flags);
  PrintProblems(result);
  if (!result.ok()) return kCannotStart;
  // Not on stderr, which has problems only; a comment in what --print shows.
  for (const std::string& warning : result.warnings) std::cout << "# warning: " << warning << '\n';
  if (flags.print) std::cout << PrintConfig(*result.config);
  return kStopped;
}

// A private etcd is another world: what data_dir remembers of the real one must survive a try.
void UseDevServer(const std::string& endpoint, Config& config) {
  config.etcd.endpoints = {endpoint};
  config.etcd.username.clear();
  config.etcd.password_file.clear();
  config.etcd.tls = {};
  config.data_dir.clear();
  config.on_stop = OnStop::kDeregister;
}

void Reload(const Flags& flags, Agent& agent, Log& log) {
  ParseResult result = flags.config.empty()
                           ? DefaultConfig(SystemEnvironment())
                           : ReloadConfig(flags.config, SystemEnvironment(), agent.config());
  for (const Problem& problem : result.problems) {
    log.Error(problem.Format());
  }
  if (!result.ok()) {
    log.Error(
        "the configuration was not reloaded and the old one stays in force; correct the file and "
        "send SIGHUP again",
        {{"file", flags.config}, {"problems", result.problems.size()}});
    return;
  }
  for (const std::string& warning : result.warnings) log.Warn(warning);
  if (flags.dev) UseDevServer(agent.config().etcd.endpoints.front(), *result.config);
  agent.Reload(*result.config);
}

// Returns how to stop.
OnStop WaitForStop(const sigset_t& signals, const Flags& flags, Agent& agent, SdNotifier& systemd,
                   Log& log) {
  for (;;) {
    int signal = -1;
    if (const auto interval = systemd.watchdog_interval()) {
      const auto whole = std::chrono::duration_cast<std::chrono::seconds>(*interval);
      const timespec timeout{whole.count(), static_cast<long>((*interval - whole).count())};
      signal = sigtimedwait(&signals, nullptr, &timeout);
      // A hung loop gets no food, so systemd restarts the agent.
      const std::vector<std::string> stuck = agent.StuckLoops();
      if (stuck.empty()) systemd.FeedWatchdog();
      for (const std::string& loop : stuck) log.Error(loop + "; the watchdog is not fed any more");
    } else {
      signal = sigwaitinfo(&signals, nullptr);
    }
    switch (signal) {
      case SIGHUP:
        systemd.Reloading();
        Reload(flags, agent, log);
        systemd.Ready();
        break;
      case SIGTERM:
      case SIGINT:
        log.Info("stopping", {{"signal", signal == SIGTERM ? "SIGTERM" : "SIGINT"}});
        return agent.config().on_stop;
      case SIGUSR2:
        log.Info("stopping and keeping the registrations for a successor", {{"signal", "SIGUSR2"}});
        return OnStop::kKeep;
      default:
        break;
    }
  }
}

int Run(const Flags& flags) {
  const sigset_t signals = BlockSignals();
  RaiseOpenFilesLimit();
  ParseResult loaded = Load(flags);
  if (!loaded.ok()) {
    PrintProblems(loaded);
    return kCannotStart;
  }
  Config& config = *loaded.config;
  Log log(config.log.level, config.log.format);
  for (const std::string& warning : loaded.warnings) log.Warn(warning);

  // Before anything of gRPC exists: it does not survive a fork.
  std::unique_ptr<etcd::DevServer> dev_server;
  if (flags.dev) {
    auto started = etcd::DevServer::Start();
    if (!started.ok()) {
      log.Error("--dev: " + std::string(started.status().message()));
      return kCannotStart;
    }
    dev_server = std::move(*started);
    UseDevServer(dev_server->endpoint(), config);
    log.Info("started a private etcd for --dev; what it holds is gone when rosterd ends",
             {{"endpoint", dev_server->endpoint()}});
  }

  auto agent = Agent::Create(std::make_shared<const Config>(config), log);
  if (!agent.ok()) {
    log.Error(std::string(agent.status().message()));
    return kCannotStart;
  }
  SdNotifier systemd;
  (*agent)->Start();
  systemd.Ready();
  const OnStop mode = WaitForStop(signals, flags, **agent, systemd, log);
  systemd.Stopping();
  (*agent)->Stop(mode);
  log.Info("stopped");
  return kStopped;
}

}  // namespace

int Main(int argc, char** argv) {
  Flags flags;
  CLI::App app{
      "rosterd: registers this host's healthy services in etcd and answers who offers what.",
      "rosterd"};
  app.add_option("--config", flags.config, "The configuration file (YAML)")->type_name("FILE");
  auto* check =
      app.add_flag("--check-config", flags.check_config,
                   "Validate the configuration and exit: 0, or 1 with one line per problem");
  app.add_flag("--print", flags.print, "With --check-config: show the effective configuration")
      ->needs(check);
  app.add_flag("--dev", flags.dev,
               "Start a private etcd child on loopback and use it; its data is gone afterwards");
  app.set_version_flag("--version", "rosterd " ROSTERD_VERSION);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kStopped : kWrongUsage;
  }
  if (flags.config.empty() && !flags.dev) {
    std::cerr << "rosterd: --config FILE is required (or --dev, to try it out); see --help\n";
    return kWrongUsage;
  }
  try {
    return flags.check_config ? PrintChecked(flags) : Run(flags);
  } catch (const std::exception& error) {
    std::cerr << "rosterd: " << error.what() << '\n';
    return kCannotStart;
  }
}

}  // namespace rosterd

int main(int argc, char** argv) { return rosterd::Main(argc, argv); }
