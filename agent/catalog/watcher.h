// SPDX-License-Identifier: Apache-2.0
// Watcher: keeps the Catalog equal to etcd. One list, then a watch that is resumed where it broke;
// everything is listed again only when the watch cannot tell what was missed, and every ten minutes
// to compare (old servers lose events: etcd #17529, #18089). Owns the watcher thread. Nothing is
// ever dropped because etcd is away.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/latest.h"
#include "base/log.h"
#include "base/metrics.h"
#include "catalog/catalog_builder.h"
#include "catalog/guard_log.h"
#include "catalog/watch_signal.h"
#include "catalog/watcher_metrics.h"
#include "etcd/client.h"
#include "model/catalog.h"
#include "model/config.h"
#include "model/etcd_snapshot.h"

namespace rosterd {

// Start(), Stop() and catalogs() belong to its owner; everything else is owned by the watcher
// thread.
class Watcher {
 public:
  struct Options {
    std::string prefix;  // ends with a slash
    milliseconds call_timeout = etcd::kCallTimeout;
    // Between attempts, with full jitter.
    Duration retry_base = milliseconds(200);
    Duration retry_cap = seconds(2);
    // The same after errors that wait for a person or for load to go away.
    Duration slow_base = seconds(2);
    Duration slow_cap = seconds(15);
    // Between two comparisons with etcd, +-10 %.
    Duration check_interval = std::chrono::minutes(10);
    // Losses within a lease's time to live count together for the guard.
    seconds lease_ttl{15};
    GuardConfig guard{};
    // Called with each revision before it is shown: a successor must not show a smaller one. Must
    // not take long; may be empty.
    std::function<void(int64_t)> before_showing{};
  };

  // All references must outlive it; `clock` also the last Publish() on `session`. Its snapshots
  // wake the watcher when a connection is there again.
  Watcher(Options options, etcd::Client& client, Latest<EtcdSnapshot>& session, const Clock& clock,
          Log& log, Metrics& metrics, Random random);
  ~Watcher();
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

  // Shows what an earlier run knew, until etcd has been heard. Before Start().
  // `shown`: the largest revision that it is known to have shown; also without a catalog.
  void Restore(std::optional<SavedCatalog> saved, int64_t shown);
  void Start();
  // Ends the watch and joins; a list in progress ends by its deadline or by whoever owns the
  // client.
  void Stop();

  // For what is decided from now on. Thread-safe.
  void SetGuard(const GuardConfig& guard);

  // Null until the first list is complete. Thread-safe.
  Latest<Catalog>& catalogs() { return catalogs_; }

  // A list, if one is needed, and a watch until it breaks. True: go on at once. Called by the
  // watcher thread, or by a test in its place.
  bool RunOnce(std::stop_token stop);

 private:
  void Run(std::stop_token stop);
  // Notes a list as due when etcd's history is another one. False: it could not be asked.
  bool CheckHistory();
  bool List();
  bool Watch(std::stop_token stop);
  bool OnBatch(const etcd::WatchBatch& batch, int64_t start);
  void WaitToRetry(std::stop_token stop);
  void ScheduleCheck();
  // When the watch has to end although it works.
  TimePoint WatchDue() const { return std::min(check_due_, builder_.guard().next_release()); }
  // Ends the holds that are over. False: none was.
  bool ReleaseHeld();
  void Report(const CatalogBuilder::Change& change);
  void LogFailure(std::string_view what, const etcd::Error& error);
  void SetWatchOpen(bool open);
  void Publish();

  const Options options_;
  etcd::Client& client_;
  Latest<EtcdSnapshot>& session_;
  const Clock& clock_;
  Log& log_;
  const WatcherMetrics metrics_;
  Latest<Catalog> catalogs_;
  Latest<GuardConfig> guard_config_;
  // Shared with the wake-up left at `session`, which may outlive the watcher.
  const std::shared_ptr<WatchSignal> signal_;

  // Owned by the watcher thread.
  Random random_;
  Backoff backoff_;
  Backoff slow_backoff_;
  bool patient_ = false;  // the last failure was one for slow_backoff_
  CatalogBuilder builder_;
  GuardLog guard_log_;
  ListReason list_reason_ = ListReason::kStart;  // of the list that is due
  uint64_t cluster_id_ = 0;
  uint64_t tried_generation_ = 0;  // the connection of the last attempt; 0: none
  uint64_t tried_authenticated_ = 0;
  uint64_t witnessed_generation_ = 0;  // the connection that has shown the history we know
  bool watch_open_ = false;
  TimePoint changed_at_{};  // when the watch was opened or broke
  TimePoint check_due_ = kNever;
  std::string last_failure_;  // its kind, so that repetitions are not logged

  std::jthread thread_;
};

}  // namespace rosterd
