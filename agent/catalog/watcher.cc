// SPDX-License-Identifier: Apache-2.0
#include "catalog/watcher.h"

#include <malloc.h>

#include <algorithm>
#include <utility>

#include "base/step_thread.h"
#include "etcd/endpoint_rotation.h"

namespace rosterd {
namespace {

using etcd::ErrorClass;

// A watch that lasted this long ends a series of failures.
constexpr Duration kStable = seconds(10);
// After so long without a watch, or with a comparison overdue, one follows within kCheckSpread: a
// restored history may have overtaken what is known, and a fleet must not list at one moment.
constexpr Duration kLongBreak = seconds(60);
constexpr Duration kCheckSpread = seconds(60);
// A list of more keys leaves enough garbage behind to give back to the system.
constexpr size_t kManyKeys = 1000;

}  // namespace

Watcher::Watcher(Options options, etcd::Client& client, Latest<EtcdSnapshot>& session,
                 const Clock& clock, Log& log, Metrics& metrics, Random random)
    : options_(std::move(options)),
      client_(client),
      session_(session),
      clock_(clock),
      log_(log),
      metrics_(metrics),
      signal_(std::make_shared<WatchSignal>(clock)),
      random_(random),
      backoff_(options_.retry_base, options_.retry_cap),
      slow_backoff_(options_.slow_base, options_.slow_cap),
      builder_(options_.prefix, CatalogBuilder::kMaxEnded,
               Guard(options_.guard, options_.lease_ttl)),
      guard_log_(log_, metrics_) {
  SetGuard(options_.guard);
  session_.Subscribe([signal = signal_] { signal->Knock(); });
}

Watcher::~Watcher() { Stop(); }

void Watcher::Restore(std::optional<SavedCatalog> saved, int64_t shown) {
  if (!saved) return builder_.StartAbove(shown);
  cluster_id_ = saved->cluster_id;
  builder_.Restore(*std::move(saved), shown);
  Publish();
}

void Watcher::Start() {
  thread_ = std::jthread([this](std::stop_token stop) { Run(std::move(stop)); });
}

void Watcher::Stop() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
}

void Watcher::Run(std::stop_token stop) {
  NameThisThread("watcher");
  while (!stop.stop_requested()) {
    if (!RunOnce(stop)) WaitToRetry(stop);
  }
}

bool Watcher::RunOnce(std::stop_token stop) {
  ReleaseHeld();
  const auto session = session_.Get();
  const bool connected = session != nullptr && (session->state == EtcdState::kConnected ||
                                                session->state == EtcdState::kDenied);
  tried_generation_ = connected ? session->generation : 0;
  tried_authenticated_ = session == nullptr ? 0 : session->authenticated;
  if (list_reason_ == ListReason::kNone && tried_generation_ != witnessed_generation_ &&
      !CheckHistory()) {
    return false;
  }
  if (list_reason_ != ListReason::kNone && !List()) return false;
  return !stop.stop_requested() && Watch(std::move(stop));
}

// An etcd that was restored from a backup looks the same, and once it has overtaken the revision
// that is known, a watch goes on there without a word. The newest change that is known tells: it
// happened at its revision in our history only.
bool Watcher::CheckHistory() {
  const CatalogBuilder::NewestChange& change = builder_.newest_change();
  if (tried_generation_ == 0) return true;
  if (change.revision == 0) {
    // Nothing is known that could tell, and a list of nothing costs nothing.
    list_reason_ = ListReason::kCheck;
    return true;
  }
  const auto read = [&](int64_t revision) {
    return client_.ReadAt(change.key, revision, etcd::kCallTimeout);
  };
  auto found = read(builder_.revision());
  bool same = found.ok() && found->has_value() != change.deleted;
  if (same && !change.deleted) {
    const etcd::KeyValue& kv = **found;
    same = kv.mod_revision == change.revision && kv.version == change.version &&
           HashValue(kv.value) == change.value_hash;
  } else if (same) {
    // It must also have been there before. Where that is compacted, its end has to do.
    const auto before = read(change.revision - 1);
    if (!before.ok() && before.error().error_class != ErrorClass::kCompacted) found = before;
    same = before.ok() ? before->has_value() : found.ok();
  }
  if (!found.ok() && found.error().error_class != ErrorClass::kCompacted) {
    patient_ = etcd::NeedsPatience(found.error().error_class);
    SetWatchOpen(false);
    LogFailure("etcd does not tell whether it knows the catalog's revision", found.error());
    return false;
  }
  witnessed_generation_ = tried_generation_;
  if (same) return true;
  list_reason_ = found.ok() ? ListReason::kReplaced : ListReason::kCompacted;
  if (found.ok()) {
    log_.Warn("etcd's history is not the one that was known; listing again",
              {{"revision", change.revision}, {"key", change.key}});
  }
  return true;
}

bool Watcher::List() {
  const ListReason reason = list_reason_;
  size_t keys = 0;
  {
    auto answer = client_.List(options_.prefix, options_.call_timeout);
    if (!answer.ok()) {
      if (reason == ListReason::kCheck) list_reason_ = ListReason::kNone;
      SetWatchOpen(false);
      patient_ = etcd::NeedsPatience(answer.error().error_class);
      LogFailure("etcd does not list the catalog", answer.error());
      return false;
    }
    keys = answer->kvs.size();
    const bool other_cluster = cluster_id_ != 0 && answer->header.cluster_id != cluster_id_;
    cluster_id_ = answer->header.cluster_id;
    if (reason == ListReason::kReplaced) builder_.NoteReplaced();
    const auto change =
        builder_.ReplaceAll(answer->kvs, answer->header.revision, answer->header.cluster_id);
    Report(change);
    if (other_cluster || change.history_went_back) {
      log_.Warn("etcd's history was replaced, its list is taken over",
                {{"revision", answer->header.revision}, {"services_changed", change.services}});
    } else if (reason == ListReason::kCheck && change.missed > 0) {
      metrics_.repairs.Increment(static_cast<double>(change.missed));
      log_.Warn("the catalog differed from etcd and was repaired",
                {{"revision", answer->header.revision}, {"services_changed", change.missed}});
    } else if (reason != ListReason::kCheck) {
      log_.Info("catalog listed", {{"reason", ToString(reason)},
                                   {"revision", answer->header.revision},
                                   {"keys", keys},
                                   {"services_changed", change.services}});
    }
  }
  metrics_.relists.at(reason).Increment();
  list_reason_ = ListReason::kNone;
  witnessed_generation_ = tried_generation_;
  last_failure_.clear();
  ScheduleCheck();
  Publish();
  if (keys > kManyKeys) malloc_trim(0);
  return true;
}

bool Watcher::Watch(std::stop_token stop) {
  const TimePoint now = clock_.Now();
  const bool long_break =
      !watch_open_ && changed_at_ != TimePoint{} && now - changed_at_ >= kLongBreak;
  if (long_break || now >= check_due_) check_due_ = now + RandomUpTo(kCheckSpread, random_);

  const int64_t start = builder_.revision() + 1;
  const std::stop_token ending = signal_->BeginWatch(WatchDue());
  const std::stop_callback link(stop, [this] { signal_->EndWatch(); });
  const etcd::Error end =
      client_.Watch(options_.prefix, start, options_.call_timeout, ending,
                    [this, start](const etcd::WatchBatch& batch) { return OnBatch(batch, start); });
  signal_->EndWatch();

  const bool over = clock_.Now() >= check_due_;
  if (watch_open_ && list_reason_ == ListReason::kNone && !stop.stop_requested() &&
      end.error_class == ErrorClass::kCancelled && (over || signal_->WasDue())) {
    // Ended on purpose and back in a moment: what is served is no older for it.
    if (over) list_reason_ = ListReason::kCheck;
    ReleaseHeld();
    return true;
  }
  if (watch_open_ && clock_.Now() - changed_at_ >= kStable) {
    backoff_.Reset();
    slow_backoff_.Reset();
  }
  const bool was_open = watch_open_;
  SetWatchOpen(false);
  if (stop.stop_requested() || list_reason_ != ListReason::kNone) return false;
  if (end.error_class == ErrorClass::kCompacted) {
    list_reason_ = ListReason::kCompacted;
    log_.Info("etcd has compacted what the watch has yet to tell",
              {{"revision", builder_.revision()}, {"compacted", end.compact_revision}});
  } else {
    if (was_open) last_failure_.clear();
    patient_ = etcd::NeedsPatience(end.error_class);
    LogFailure(was_open ? "the watch broke" : "the watch does not open", end);
  }
  return false;
}

bool Watcher::OnBatch(const etcd::WatchBatch& batch, int64_t start) {
  if (batch.header.cluster_id != cluster_id_) {
    list_reason_ = ListReason::kReplaced;
    return false;
  }
  if (batch.created) {
    // Opened on a connection that was not asked about its history.
    const auto session = session_.Get();
    if (session != nullptr && session->generation != tried_generation_) return false;
    // etcd takes a watch from a future revision without a word and skips what comes before it.
    if (batch.header.revision < start - 1) {
      list_reason_ = ListReason::kBehind;
      log_.Warn("the etcd member stands before what is known, listing again",
                {{"known", start - 1}, {"member", batch.header.revision}});
      return false;
    }
    last_failure_.clear();
    if (!watch_open_) log_.Info("watch open", {{"from_revision", start}});
    SetWatchOpen(true);
  }
  builder_.guard().Set(*guard_config_.Get());
  const TimePoint now = clock_.Now();
  builder_.Release(now);
  Report(builder_.Apply(batch, now));
  signal_->SetDue(WatchDue());
  metrics_.events.Increment(static_cast<double>(batch.events.size()));
  Publish();
  return clock_.Now() < check_due_;
}

void Watcher::WaitToRetry(std::stop_token stop) {
  Backoff& backoff = patient_ ? slow_backoff_ : backoff_;
  patient_ = false;
  const Duration limit =
      std::min(backoff.Next(random_), builder_.guard().next_release() - clock_.Now());
  signal_->Wait(std::move(stop), std::max(limit, Duration::zero()), [this] {
    const auto session = session_.Get();
    return session != nullptr &&
           (session->state == EtcdState::kConnected || session->state == EtcdState::kDenied) &&
           (session->generation != tried_generation_ ||
            session->authenticated != tried_authenticated_);
  });
}

void Watcher::SetGuard(const GuardConfig& guard) {
  guard_config_.Publish(std::make_shared<const GuardConfig>(guard));
}

bool Watcher::ReleaseHeld() {
  if (builder_.Release(clock_.Now()).services == 0) return false;
  Publish();
  return true;
}

void Watcher::ScheduleCheck() {
  check_due_ = clock_.Now() + Jittered(options_.check_interval, 10, random_);
}

void Watcher::Report(const CatalogBuilder::Change& change) {
  for (const auto& [key, reason] : change.unreadable) {
    log_.Warn("value skipped; the service's other instances are not affected",
              {{"key", key}, {"reason", reason}});
  }
}

void Watcher::LogFailure(std::string_view what, const etcd::Error& error) {
  // Cancelled: whoever owns the client has ended the call.
  if (error.error_class == ErrorClass::kCancelled) return;
  // While there is no connection the session tells why.
  const auto session = session_.Get();
  const bool connected = session == nullptr || session->state == EtcdState::kConnected;
  if (error.connection_is_bad() && !connected) return;
  // Endpoints fail in different words; one line for all of them until the next success.
  const std::string_view kind =
      error.connection_is_bad() ? "connection" : ToString(error.error_class);
  if (kind == last_failure_) return;
  last_failure_ = kind;
  log_.Warn(what, {{"error", error.Describe()}, {"revision", builder_.revision()}});
}

void Watcher::SetWatchOpen(bool open) {
  if (watch_open_ != open) changed_at_ = clock_.Now();
  watch_open_ = open;
  builder_.SetWatchOpen(open);
  Publish();
}

void Watcher::Publish() {
  if (builder_.revision() == 0) return;
  auto snapshot = builder_.Snapshot();
  if (snapshot == catalogs_.Get()) return;
  if (options_.before_showing) options_.before_showing(snapshot->revision());
  metrics_.services.Set(static_cast<double>(snapshot->services()));
  metrics_.instances.Set(static_cast<double>(snapshot->instances()));
  metrics_.revision.Set(static_cast<double>(snapshot->revision()));
  metrics_.unreadable.Set(static_cast<double>(builder_.unreadable()));
  catalogs_.Publish(std::move(snapshot));
  guard_log_.Update(builder_.guard(), clock_);
}

}  // namespace rosterd
