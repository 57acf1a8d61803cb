// SPDX-License-Identifier: Apache-2.0
#include "scripted_chaos.h"

#include <algorithm>
#include <set>
#include <thread>
#include <utility>

namespace rosterd::testing {
namespace {

const std::vector<std::string> kOwn{"api", "web", "db", "cache", "auth", "mail"};
const std::vector<std::string> kForeign{"api", "web", "billing", "search"};
// Ours are random and large.
constexpr int64_t kForeignLeases = 1'000'000;
// A restore goes back at least so far that what follows it cannot overtake what was known before it
// is seen.
constexpr int64_t kRestoreDistance = 60;

const std::vector<std::string> kCancelReasons{
    "", "rpc error: code = Unauthenticated desc = etcdserver: invalid auth token",
    "etcdserver: no leader"};
const std::vector<ScriptedStatus> kFailures{{14, "etcdserver: no leader"},
                                            {14, "etcdserver: request timed out"},
                                            {14, "etcdserver: leader changed"},
                                            {13, "stream terminated by RST_STREAM"},
                                            {2, "connection error"},
                                            {1, "context canceled"}};
const std::vector<ScriptedStatus> kExhaustions{
    {8, "etcdserver: mvcc: database space exceeded"},
    {8, "etcdserver: too many requests"},
    {8, "Received message larger than max (70000000 vs. 67108864)"}};

}  // namespace

ScriptedChaos::ScriptedChaos(uint64_t seed, ScriptedStore& store,
                             std::vector<std::unique_ptr<ScriptedEtcd>>& members,
                             ScriptedAgent& agent)
    : store_(store),
      members_(members),
      agent_(agent),
      began_(agent.clock().Now()),
      moods_(members.size(), Mood::kCalm),
      call_random_(seed * 2 + 1),
      random_(seed * 2) {
  for (const std::string& name : kOwn) health_[name] = HealthStatus::kPassing;
  Offer();
}

void ScriptedChaos::Rage(Duration time) {
  patience_ = false;
  for (size_t i = 0; i < members_.size(); ++i) {
    members_[i]->SetScript([this, i](ScriptedCall call) { return Decide(i, call); });
  }
  const TimePoint end = agent_.clock().Now() + time;
  while (agent_.clock().Now() < end) {
    if (agent_.clock().Now() >= mood_until_) NextMood();
    Act();
    std::this_thread::sleep_for(milliseconds(1 + Pick(15)));
  }
}

void ScriptedChaos::Heal() {
  for (const auto& member : members_) member->SetScript(nullptr);
  for (const int64_t lease : store_.Leases()) {
    if (lease < kForeignLeases) store_.Revoke(lease);
  }
  backup_.reset();
  mood_until_ = {};
  Tell("healed");
  agent_.Within(seconds(5), [this] {
    return std::all_of(members_.begin(), members_.end(),
                       [](const auto& member) { return member->Delayed() == 0; });
  });
}

std::vector<std::string> ScriptedChaos::Wanted() const {
  std::vector<std::string> wanted;
  for (const auto& [name, status] : health_) {
    if (status == HealthStatus::kPassing) wanted.push_back(name);
  }
  return wanted;
}

std::vector<std::string> ScriptedChaos::Unwanted() const {
  std::vector<std::string> unwanted;
  for (const auto& [key, kv] : store_.All()) {
    if (kv.value.find(kScriptedAgentId) == std::string::npos) continue;
    const auto wanted = Wanted();
    const bool is_wanted = std::any_of(
        wanted.begin(), wanted.end(), [&k = key](const auto& name) { return OwnKeyOf(name) == k; });
    if (!is_wanted) unwanted.push_back(key);
  }
  return unwanted;
}

Deed ScriptedChaos::Decide(size_t member, ScriptedCall call) {
  std::lock_guard lock(mutex_);
  const auto pick = [this](size_t count) {
    return std::uniform_int_distribution<size_t>(0, count - 1)(call_random_);
  };
  const auto chance = [&](int percent) { return pick(100) < static_cast<size_t>(percent); };
  const auto time = [&](size_t most) { return milliseconds(pick(most)); };
  const Mood mood = moods_[member];
  Deed deed = call == ScriptedCall::kWatch ? DecideWatch(mood) : Deed();
  const bool no_list = call == ScriptedCall::kPing || call == ScriptedCall::kGrant ||
                       call == ScriptedCall::kKeepAlive;
  deed.revision_zero = deed.revision_zero || (no_list && chance(5));
  switch (mood) {
    case Mood::kCalm:
    case Mood::kWatches:
      break;
    case Mood::kLostAnswers:
      if (call != ScriptedCall::kWatch && chance(40)) deed.lose = kFailures[pick(kFailures.size())];
      break;
    case Mood::kSlow:
      if (call != ScriptedCall::kWatch && chance(30)) {
        (chance(50) ? deed.before : deed.after) = time(2300);
      }
      break;
    case Mood::kReordered:
      if (call != ScriptedCall::kWatch && chance(70)) deed.after = time(400);
      break;
    case Mood::kExhausted:
      if (call != ScriptedCall::kWatch && chance(60)) {
        deed.refuse = kExhaustions[static_cast<size_t>(exhausted_)];
        patience_ = true;
      }
      break;
    case Mood::kLeaseLies:
      deed.ttl_zero = call == ScriptedCall::kKeepAlive && chance(40);
      if (call == ScriptedCall::kTxn && chance(40)) {
        deed.refuse = ScriptedStatus{5, "etcdserver: requested lease not found"};
      }
      break;
    case Mood::kDown:
      if (chance(80)) deed.refuse = kFailures[pick(kFailures.size())];
      break;
  }
  return deed;
}

Deed ScriptedChaos::DecideWatch(Mood mood) {
  const auto pick = [this](size_t count) {
    return std::uniform_int_distribution<size_t>(0, count - 1)(call_random_);
  };
  Deed deed;
  deed.fragment = pick(4);
  deed.progress = pick(2) == 0;
  deed.header_ahead = pick(2) == 0;
  deed.repeats = pick(4) == 0;
  if (mood != Mood::kWatches || pick(100) >= 70) return deed;
  constexpr Deed::Watch kKinds[] = {Deed::Watch::kMute,
                                    Deed::Watch::kSilent,
                                    Deed::Watch::kBehind,
                                    Deed::Watch::kDropped,
                                    Deed::Watch::kDroppedInside,
                                    Deed::Watch::kCancelledLater,
                                    Deed::Watch::kCreatedAndCancelled};
  deed.watch = kKinds[pick(std::size(kKinds))];
  deed.after = milliseconds(pick(500));
  deed.cancel_reason = kCancelReasons[pick(kCancelReasons.size())];
  deed.revision_zero = pick(5) == 0;
  if (deed.cancel_reason == kCancelReasons[1]) patience_ = true;
  return deed;
}

void ScriptedChaos::NextMood() {
  mood_until_ = agent_.clock().Now() + milliseconds(150 + Pick(500));
  std::lock_guard lock(mutex_);
  constexpr const char* kNames[] = {"calm",      "watches",   "lost answers", "slow",
                                    "reordered", "exhausted", "lease lies",   "down"};
  std::string told = "moods:";
  for (Mood& mood : moods_) {
    const size_t next = Pick(std::size(kNames));
    mood = static_cast<Mood>(next);
    told += std::string(" ") + kNames[next] + ",";
  }
  exhausted_ = static_cast<int>(Pick(kExhaustions.size()));
  Tell(told);
}

void ScriptedChaos::Act() {
  const size_t what = Pick(100);
  if (what < 62) {
    WriteAsSomebody();
  } else if (what < 74) {
    TouchOwnKeys();
  } else if (what < 86) {
    ChangeHealth();
  } else if (what < 88) {
    members_[Pick(members_.size())]->DropWatches();
  } else if (what < 92) {
    store_.Compact(store_.revision() - static_cast<int64_t>(Pick(20)));
  } else if (what < 98) {
    for (const int64_t lease : store_.Leases()) {
      if (lease >= kForeignLeases && Chance(30)) store_.Revoke(lease);
    }
  } else {
    ReplaceHistory();
  }
}

std::string ScriptedChaos::SomeKey() {
  return FormatKey(kScriptedPrefix, kForeign[Pick(kForeign.size())], "n" + std::to_string(Pick(6)));
}

void ScriptedChaos::WriteAsSomebody() {
  const std::string value = "10.0.1.1:" + std::to_string(1 + Pick(60000));
  switch (Pick(8)) {
    case 0:
      store_.Put("/elsewhere", value);
      break;
    case 1:
      store_.Delete(SomeKey());
      break;
    case 2:
      store_.DeleteAll({SomeKey(), SomeKey(), SomeKey()});
      break;
    case 3: {
      const auto leases = store_.Leases();
      if (!leases.empty() && *leases.begin() < kForeignLeases) store_.Revoke(*leases.begin());
      break;
    }
    case 4:
      store_.PutAll({{SomeKey(), value}, {SomeKey(), "nonsense"}, {SomeKey(), value}},
                    next_foreign_lease_++);
      break;
    case 5:
      store_.PutAll({{SomeKey(), value}, {SomeKey(), value}, {"/elsewhere", value}});
      break;
    default:
      store_.Put(SomeKey(), value);
  }
}

void ScriptedChaos::TouchOwnKeys() {
  const std::string key = OwnKeyOf(kOwn[Pick(kOwn.size())]);
  switch (Pick(4)) {
    case 0:
      store_.Put(key, "nonsense");
      break;
    case 1:
      store_.Put(key, "10.0.1.1:80", next_foreign_lease_++);
      break;
    default:
      store_.Delete(key);
  }
}

void ScriptedChaos::ChangeHealth() {
  const std::string name = kOwn[Pick(kOwn.size())];
  switch (Pick(5)) {
    case 0:
      ++weight_;
      break;
    case 1:
      health_.erase(name);
      break;
    case 2:
      health_[name] = HealthStatus::kFailing;
      break;
    default:
      health_[name] = HealthStatus::kPassing;
  }
  Offer();
}

void ScriptedChaos::ReplaceHistory() {
  const auto known = agent_.catalog();
  const int64_t revision = known == nullptr ? 0 : known->etcd_revision();
  if (Chance(5)) {
    Tell("another cluster");
    backup_.reset();
    store_.ReplaceCluster();
  } else if (!backup_) {
    backup_ = store_.TakeBackup();
  } else if (revision >= backup_->era.revision + kRestoreDistance &&
             store_.revision() >= revision) {
    Tell("restored from revision " + std::to_string(store_.revision()) + " to " +
         std::to_string(backup_->era.revision));
    store_.Restore(*backup_);
    backup_.reset();
    // Until the agent has seen it nobody else writes: see kRestoreDistance.
    agent_.Within(seconds(1), [&] { return agent_.catalog()->etcd_revision() < revision; });
  }
}

void ScriptedChaos::Offer() { agent_.Offer(health_, weight_); }

void ScriptedChaos::Tell(const std::string& what) {
  const auto at = ToMilliseconds(agent_.clock().Now() - began_).count();
  story_ += std::to_string(at) + " ms, revision " + std::to_string(store_.revision()) + ": " +
            what + "\n";
}

}  // namespace rosterd::testing
