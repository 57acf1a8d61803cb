// SPDX-License-Identifier: Apache-2.0
// NameLookup: addresses of the host names in checks, asked for without ever blocking. A silent
// resolver costs only the checks that need it: one lookup per name at a time, a bounded number of
// them in all, and a name that was known once is used while a newer answer is awaited.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"

namespace rosterd {

// Asks; knows no time and no cache. Owned by the prober thread.
class LookupBackend {
 public:
  struct Answer {
    std::string host;
    std::vector<std::string> addresses;  // numeric; IPv6 in brackets; best first
    std::string error;                   // set when there is none
  };

  virtual ~LookupBackend() = default;
  // Never blocks. At most one lookup of a name at a time.
  virtual void Start(const std::string& host) = 0;
  // Appends the answers that have come in.
  virtual void Collect(std::vector<Answer>& answers) = 0;
};

// The system's resolver: /etc/hosts, DNS and whatever nsswitch.conf says.
std::unique_ptr<LookupBackend> MakeSystemLookup();

// Owned by the prober thread.
class NameLookup {
 public:
  enum class State { kPending, kFound, kFailed };
  struct Result {
    State state = State::kPending;
    std::string addresses;  // "10.0.0.5,[::1]"
    std::string error;
    bool ours = false;  // failed by our own limit: says nothing about the name
  };

  explicit NameLookup(std::unique_ptr<LookupBackend> backend) : backend_(std::move(backend)) {}

  // For a run that begins: what is known, or pending after having asked.
  Result Begin(const std::string& host, TimePoint now);
  // For a run that waits.
  Result Peek(const std::string& host) const;
  // A check of this host failed: its address may have changed, so the next Begin asks anew.
  void Doubt(const std::string& host);
  // Takes in answers; true when one came.
  bool Poll(TimePoint now);
  // When to poll next; kNever with nothing pending.
  TimePoint NextPoll(TimePoint now) const;

  static constexpr size_t kAtMostPending = 16;
  static constexpr Duration kFreshFor = seconds(10);

 private:
  struct Entry {
    Result result;
    bool asking = false;
    bool doubtful = false;
    TimePoint asked_at;
    TimePoint answered_at;
  };

  std::unique_ptr<LookupBackend> backend_;
  std::map<std::string, Entry> entries_;
  size_t pending_ = 0;
  TimePoint last_asked_;
};

}  // namespace rosterd
