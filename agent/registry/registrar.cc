// SPDX-License-Identifier: Apache-2.0
#include "registry/registrar.h"

#include <algorithm>
#include <utility>

namespace rosterd {
namespace {

using Event = LeaseSession::Event;

constexpr seconds kScanEvery{60};
constexpr seconds kRefusedWriteAgain{15};
constexpr int kRefusedKeysBeforePause = 5;
constexpr milliseconds kRevokeTimeout{1000};
constexpr milliseconds kLastKeepAliveTimeout{500};

LeaseSession MakeSession(const Identity& identity, const std::optional<LeaseRecord>& predecessor,
                         uint64_t seed) {
  LeaseSession session(identity.lease_ttl, Random(seed));
  if (!predecessor || predecessor->lease == 0) return session;
  if (predecessor->ttl == identity.lease_ttl) {
    session.Adopt(predecessor->lease);
  } else {
    session.Disown(predecessor->lease);
  }
  return session;
}

}  // namespace

Registrar::Registrar(const Inputs& inputs, Identity identity,
                     const std::optional<LeaseRecord>& predecessor, uint64_t seed)
    : in_(inputs),
      identity_(std::move(identity)),
      boot_id_(ReadBootId()),
      metrics_(inputs.metrics),
      log_(inputs.log),
      random_(seed),
      lease_(MakeSession(identity_, predecessor, seed + 1)),
      keys_(identity_),
      registrations_(std::make_shared<const RegistrationSnapshot>()) {
  if (predecessor && predecessor->boot_id != boot_id_) keys_.DoNotKeepStarting();
}

LeaseView Registrar::MakeLeaseView() const {
  return {lease_.lease(), [this](int64_t lease) { return lease_.WasOurs(lease); }};
}

TimePoint Registrar::Step(TimePoint now) {
  if (TakeSnapshots(now)) evaluate_ = true;
  lease_.SpreadRegrant(mass_loss_.Spread(now));
  OnLeaseEvent(lease_.Tick(now));

  const auto call = connected_ ? lease_.Due(now) : LeaseSession::Call{};
  if (call.kind != LeaseSession::Call::Kind::kNone) {
    const bool is_grant = call.kind == LeaseSession::Call::Kind::kGrant;
    is_grant ? AskForLease(call.lease, now) : RenewLease(call.lease, now);
    Publish();
    return now;
  }
  if (ScanIsDue(now)) {
    keys_.Scan(MakeLeaseView());
    scan_at_ = now + Jittered(kScanEvery, 10, random_);
    evaluate_ = true;
  }
  if (evaluate_ || now >= keys_.next_due()) {
    keys_.Evaluate(now, in_.clock.WallNow(), MakeLeaseView());
    evaluate_ = false;
    Report();
  }
  const bool can_write = connected_ && lease_.CanWrite() && keys_.has_writes();
  if (can_write && now >= std::max(write_at_, slow_until_)) {
    const OwnKeys::Batch batch = keys_.NextBatch(lease_.lease(), max_ops_, now < puts_at_);
    if (!batch.keys.empty()) {
      Write(batch);
      Publish();
      return now;
    }
  }
  Publish();

  TimePoint next = std::min(lease_.suspect_at(), keys_.next_due());
  if (connected_) next = std::min(next, lease_.next_due());
  if (can_write) next = std::min(next, NextWrite(now));
  if (scan_at_ > now) next = std::min(next, scan_at_);
  return next;
}

TimePoint Registrar::NextWrite(TimePoint now) const {
  const TimePoint any = std::max(write_at_, slow_until_);
  return any > now ? any : puts_at_;
}

bool Registrar::TakeSnapshots(TimePoint now) {
  const bool catalog_changed = TakeCatalog(now);
  const bool health_changed = keys_.SetHealth(in_.health.Get());
  auto etcd = in_.etcd.Get();
  if (etcd != etcd_ && etcd != nullptr) TakeEtcd(std::move(etcd), now);
  return catalog_changed || health_changed;
}

bool Registrar::TakeCatalog(TimePoint now) {
  const auto catalog = in_.catalog.Get();
  const uint64_t before = keys_.catalog() == nullptr ? 0 : keys_.catalog()->history();
  if (!keys_.SetCatalog(catalog)) return false;
  mass_loss_.See(catalog->instances() - catalog->held(), now);
  // A restored history may hold keys that we took out since, under leases of ours.
  if (catalog->history() != before) scan_at_ = {};
  return true;
}

void Registrar::TakeEtcd(std::shared_ptr<const EtcdSnapshot> etcd, TimePoint now) {
  if (etcd_ == nullptr || etcd->state != etcd_->state || etcd->error != etcd_->error) {
    publish_ = true;
  }
  const bool is_new = etcd_ == nullptr || etcd->generation != etcd_->generation || !connected_;
  const bool may_now = etcd_ != nullptr && etcd->authenticated != etcd_->authenticated;
  etcd_ = std::move(etcd);
  // Without permission the lease can still be renewed: it is kept while a person mends that.
  connected_ = etcd_->state == EtcdState::kConnected || etcd_->state == EtcdState::kDenied;
  if (may_now) slow_until_ = {};
  if (!connected_ || !(is_new || may_now)) return;
  // What failed on the old connection need not wait; what etcd itself refused must.
  lease_.OnNewConnection(now);
  write_at_ = std::min(write_at_, now);
}

bool Registrar::ScanIsDue(TimePoint now) const {
  return now >= scan_at_ && lease_.lease() != 0 && keys_.knows_health() &&
         keys_.catalog() != nullptr && keys_.catalog()->watch_open();
}

void Registrar::AskForLease(int64_t lease, TimePoint now) {
  const auto result = in_.client.Grant(lease, identity_.lease_ttl, etcd::kCallTimeout);
  if (result.ok()) {
    cluster_id_ = result->header.cluster_id;
  } else if (result.error().error_class != etcd::ErrorClass::kLeaseExists) {
    log_.GrantFailed(result.error());
    lease_error_ = "no lease from etcd: " + result.error().Describe();
    publish_ = true;
  }
  OnLeaseEvent(lease_.OnGrant(now, in_.clock.Now(), result));
}

void Registrar::RenewLease(int64_t lease, TimePoint now) {
  const auto result = in_.client.KeepAlive(lease, etcd::kCallTimeout);
  if (result.ok()) {
    cluster_id_ = result->header.cluster_id;
    lease_error_.clear();
    if (result->ttl > seconds(0)) log_.KeepAliveWorks(lease);
  } else if (result.error().error_class != etcd::ErrorClass::kLeaseNotFound) {
    metrics_.keepalive_failures.Increment();
    log_.KeepAliveFailed(lease, result.error());
    lease_error_ = "the lease cannot be renewed: " + result.error().Describe();
  }
  publish_ = true;
  OnLeaseEvent(lease_.OnKeepAlive(now, in_.clock.Now(), result));
}

void Registrar::OnLeaseEvent(Event event) {
  if (event == Event::kNothing) return;
  publish_ = true;
  log_.LeaseEvent(event, lease_);
  if (event == Event::kRenewed) return;
  evaluate_ = true;
  if (event == Event::kGranted || event == Event::kAdopted) {
    scan_at_ = {};
    lease_error_.clear();
    Save(lease_.lease());
  } else if (event == Event::kLost) {
    metrics_.lease_losses.Increment();
    keys_.OnLeaseLost();
  } else if (event == Event::kSuspect && lease_error_.empty()) {
    lease_error_ = "no answer from etcd for a whole lease time";
  }
}

void Registrar::Write(const OwnKeys::Batch& batch) {
  const auto result = in_.client.Write(batch.writes, etcd::kCallTimeout);
  evaluate_ = true;
  if (!result.ok()) {
    metrics_.write_failures.Increment();
    OnWriteError(result.error(), batch);
    return;
  }
  fast_.Reset();
  slow_.Reset();
  refused_keys_ = 0;
  max_ops_ = std::min(max_ops_ * 2, etcd::kMaxTxnOps);
  for (size_t i = 0; i < batch.writes.size() && i < result->answers.size(); ++i) {
    if (result->answers[i].done) metrics_.CountWrite(batch.writes[i]);
  }
  keys_.OnAnswer(batch, *result, in_.clock.Now());
  const auto is_put = [](const etcd::GuardedWrite& w) {
    return w.kind == etcd::GuardedWrite::Kind::kPut;
  };
  const bool puts_work = std::any_of(batch.writes.begin(), batch.writes.end(), is_put);
  // A deletion that works tells nothing about etcd's space.
  if (write_error_.empty() || (!puts_work && puts_at_ > in_.clock.Now())) return;
  log_.WriteWorks();
  write_error_.clear();
  publish_ = true;
}

void Registrar::OnWriteError(const etcd::Error& error, const OwnKeys::Batch& batch) {
  const TimePoint now = in_.clock.Now();
  if (error.error_class == etcd::ErrorClass::kLeaseNotFound) {
    OnLeaseEvent(lease_.OnLeaseNotFound(now));
    return;
  }
  write_error_ = "registrations cannot be written: " + error.Describe();
  publish_ = true;
  log_.WriteFailed(error, batch.keys.size());
  const auto slow = [&] { return now + std::max<Duration>(seconds(1), slow_.Next(random_)); };
  switch (error.error_class) {
    case etcd::ErrorClass::kNoSpace:
      puts_at_ = slow();
      return;
    case etcd::ErrorClass::kOverloaded:
    case etcd::ErrorClass::kDenied:
    case etcd::ErrorClass::kCorrupt:
      slow_until_ = slow();
      return;
    case etcd::ErrorClass::kInvalid:
    case etcd::ErrorClass::kLeaseExists:
      // One that etcd will not have must not hold up the others: found by halving.
      if (batch.keys.size() > 1) {
        max_ops_ = batch.keys.size() / 2;
      } else {
        keys_.PutOff(batch, now + kRefusedWriteAgain, "etcd refuses it: " + error.text);
        // All of them refused: it is not the keys.
        if (++refused_keys_ >= kRefusedKeysBeforePause) slow_until_ = slow();
      }
      return;
    case etcd::ErrorClass::kUnauthenticated:
      break;
    default:
      keys_.OnUnknownOutcome(batch, now);
      break;
  }
  write_at_ = now + fast_.Next(random_);
}

void Registrar::Report() {
  for (const RegistrationChange& change : keys_.TakeChanges()) {
    if (change.kind == RegistrationChange::Kind::kRepaired) metrics_.repairs.Increment();
    log_.Changed(change);
  }
}

std::string Registrar::Waiting() const {
  if (!connected_) {
    const bool says_why = etcd_ != nullptr && !etcd_->error.empty();
    return "not connected to etcd" + (says_why ? ": " + etcd_->error : "");
  }
  return !lease_error_.empty() ? lease_error_ : write_error_;
}

void Registrar::Publish() {
  if (!keys_.TakeDirty() && !publish_) return;
  publish_ = false;
  auto snapshot = std::make_shared<RegistrationSnapshot>();
  snapshot->lease = lease_.lease();
  snapshot->lease_ttl = lease_.ttl();
  snapshot->last_keepalive = lease_.acked_at();
  snapshot->error = Waiting();
  snapshot->instances = keys_.Registrations(
      !snapshot->error.empty() ? snapshot->error : "about to be written to etcd");
  metrics_.Show(*snapshot);
  registrations_.Publish(std::move(snapshot));
}

void Registrar::Save(int64_t lease) {
  if (in_.file == nullptr) return;
  in_.file->Save({cluster_id_, identity_.prefix, identity_.node, lease, identity_.lease_ttl,
                  identity_.agent, boot_id_});
}

void Registrar::Stop(OnStop mode) {
  const int64_t held = lease_.lease();
  const int64_t lease = held != 0 ? held : lease_.pending_grant();
  if (lease == 0) return;
  if (mode == OnStop::kKeep) {
    Save(lease);
    if (held != 0 && connected_) {
      const auto renewed = in_.client.KeepAlive(lease, kLastKeepAliveTimeout);
      if (!renewed.ok()) log_.KeepAliveFailed(lease, renewed.error());
    }
    log_.Kept(lease);
    return;
  }
  // One revision for all keys, and what may still be under way finds no lease.
  const auto revoked = in_.client.Revoke(lease, kRevokeTimeout);
  if (!revoked.ok() && revoked.error().error_class != etcd::ErrorClass::kLeaseNotFound) {
    log_.NotRevoked(lease, lease_.ttl(), revoked.error());
    return;
  }
  log_.Revoked(lease);
  Save(0);
}

}  // namespace rosterd
