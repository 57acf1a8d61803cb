// SPDX-License-Identifier: Apache-2.0
// Guard: decides which vanished instances answers keep for a while. When many hosts seem to die at
// once, it is more often etcd or the network between; but only what went with whole leases of
// several hosts can look like that. Pure: time and numbers come in. Runs on the watcher thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "catalog/lease_losses.h"
#include "model/config.h"
#include "model/instance.h"

namespace rosterd {

// The index to show for a service that changed at `last_change`, when answers showed `before` up to
// then and `catalog` is the catalog's revision; all on one scale.
//
// While something is held the index stays before the last change, as what was held then is still
// shown; the end of the hold, which etcd knows nothing of, is then a step up that a client waiting
// for a larger index notices. It never goes back. A step that etcd's history leaves no room for
// (the guard acts at the revision after the one shown already) shows the same index again.
struct ShownIndex {
  int64_t index = 0;
  int64_t last_change = 0;
};
ShownIndex NextIndex(int64_t before, int64_t last_change, int64_t catalog, bool held);

// Owned by the watcher thread.
class Guard {
 public:
  static constexpr size_t kLeastLeases = 3;
  static constexpr size_t kLeastInstances = 4;

  // Losses count together within `window` (a lease's time to live); when several come late, after a
  // broken watch, they count from when they are heard of.
  explicit Guard(const GuardConfig& config = {}, Duration window = seconds(15))
      : config_(config), window_(window) {}

  // For decisions from now on; what is held stays for its time.
  void Set(const GuardConfig& config) { config_ = config; }

  // The instance stands in etcd again: its loss is forgotten and its hold over.
  void OnPut(std::string_view service, std::string_view id);
  // Holds what these losses ask for. `served` tells how many of a service's keys are served after
  // them. Returns the services that have more held now.
  std::vector<std::string> OnLosses(LeaseLosses::Found found, TimePoint now,
                                    const std::function<size_t(const std::string&)>& served);
  // Ends the holds that are over. Returns the services that have fewer held now.
  std::vector<std::string> Release(TimePoint now);

  // Sorted by id.
  std::vector<std::shared_ptr<const Instance>> HeldOf(std::string_view service) const;
  TimePoint next_release() const { return held_.empty() ? kNever : std::get<0>(*held_.begin()); }
  size_t held() const { return held_.size(); }

  // What is held now, for a person.
  struct Summary {
    size_t instances = 0;
    std::vector<std::string> services;
    size_t leases = 0;  // that were lost within the window
  };
  Summary Summarize() const;

 private:
  // How often each lease appeared within the window.
  class Recent {
   public:
    void Add(int64_t lease, TimePoint now);
    void ForgetBefore(TimePoint time);
    bool Contains(int64_t lease) const { return counts_.contains(lease); }
    size_t size() const { return counts_.size(); }

   private:
    std::deque<std::pair<TimePoint, int64_t>> order_;
    std::unordered_map<int64_t, size_t> counts_;
  };
  // An instance that went with its whole lease.
  struct Lost {
    std::shared_ptr<const Instance> instance;
    TimePoint at{};
    bool decided = false;      // it was held, so it is not held again
    TimePoint until = kNever;  // held until then; kNever: it is not
  };
  using LostOfService = std::map<std::string, Lost, std::less<>>;

  void ForgetOld(TimePoint now);
  void Erase(std::string_view service, std::string_view id);
  bool Decide(const std::string& service, LostOfService& lost, size_t served, TimePoint now);

  GuardConfig config_;
  const Duration window_;
  Recent whole_;   // leases that lost all their keys in one revision
  Recent partly_;  // leases that lost some of them
  // Within the window, or held.
  std::map<std::string, LostOfService, std::less<>> lost_;
  std::deque<std::tuple<TimePoint, std::string, std::string>> order_;  // when they were lost
  std::set<std::tuple<TimePoint, std::string, std::string>> held_;     // by the end of the hold
};

}  // namespace rosterd
