// SPDX-License-Identifier: Apache-2.0
// ScriptedChaos: the seeded plan of a random run: what the members do wrong, what others write into
// etcd, how the own services fare. Steps on the test's main thread; what it decides for a call is
// decided on gRPC's threads.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "scripted_agent.h"
#include "scripted_etcd.h"

namespace rosterd::testing {

// Owned by the test's main thread. Everything it is given must outlive it.
class ScriptedChaos {
 public:
  ScriptedChaos(uint64_t seed, ScriptedStore& store,
                std::vector<std::unique_ptr<ScriptedEtcd>>& members, ScriptedAgent& agent);
  ~ScriptedChaos() { Heal(); }

  // Faults, foreign writes and changes of health, for that long.
  void Rage(Duration time);
  // All faults off; nobody else holds an own key any more. Returns when the last call that was
  // delayed has ended.
  void Heal();

  // In the last Rage() etcd asked for patience (overload, NOSPACE, credentials).
  bool asked_for_patience() const { return patience_; }

  std::vector<std::string> Wanted() const;
  // Keys of ours that ought not to stand in etcd.
  std::vector<std::string> Unwanted() const;
  // What was done, for whoever looks into a failure.
  const std::string& story() const { return story_; }

 private:
  enum class Mood {
    kCalm,
    kWatches,
    kLostAnswers,
    kSlow,
    kReordered,
    kExhausted,
    kLeaseLies,
    kDown,
  };

  Deed Decide(size_t member, ScriptedCall call);
  Deed DecideWatch(Mood mood);
  void NextMood();
  void Act();
  void WriteAsSomebody();
  void TouchOwnKeys();
  void ChangeHealth();
  void ReplaceHistory();
  void Offer();
  void Tell(const std::string& what);

  size_t Pick(size_t count) { return std::uniform_int_distribution<size_t>(0, count - 1)(random_); }
  bool Chance(int percent) { return Pick(100) < static_cast<size_t>(percent); }
  std::string SomeKey();

  ScriptedStore& store_;
  std::vector<std::unique_ptr<ScriptedEtcd>>& members_;
  ScriptedAgent& agent_;
  const TimePoint began_;

  std::mutex mutex_;
  // Guarded by mutex_; the members' threads draw from it.
  std::vector<Mood> moods_;
  int exhausted_ = 0;
  Random call_random_;

  // The main thread's.
  Random random_;
  TimePoint mood_until_{};
  std::map<std::string, HealthStatus> health_;
  uint16_t weight_ = 100;
  int64_t next_foreign_lease_ = 1000;
  std::optional<ScriptedStore::Backup> backup_;
  std::atomic<bool> patience_{false};
  std::string story_;
};

}  // namespace rosterd::testing
