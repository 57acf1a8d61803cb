// SPDX-License-Identifier: Apache-2.0
#include "health/name_lookup.h"

#include <algorithm>
#include <utility>

namespace rosterd {
namespace {

std::string Joined(const std::vector<std::string>& addresses) {
  std::string text;
  for (const std::string& address : addresses) text += (text.empty() ? "" : ",") + address;
  return text;
}

}  // namespace

NameLookup::Result NameLookup::Begin(const std::string& host, TimePoint now) {
  Entry& entry = entries_[host];
  const bool found = entry.result.state == State::kFound;
  const bool fresh = found && !entry.doubtful && now < entry.answered_at + kFreshFor;
  if (fresh || entry.asking) return entry.result;
  if (pending_ >= kAtMostPending) {
    if (found) return entry.result;
    return {State::kFailed, "",
            "'" + host + "' was not looked up: " + std::to_string(pending_) +
                " other name lookups still wait for an answer",
            /*ours=*/true};
  }
  entry.asking = true;
  entry.doubtful = false;
  entry.asked_at = last_asked_ = now;
  if (!found) entry.result = Result();
  ++pending_;
  backend_->Start(host);
  return entry.result;
}

NameLookup::Result NameLookup::Peek(const std::string& host) const {
  const auto found = entries_.find(host);
  return found == entries_.end() ? Result() : found->second.result;
}

void NameLookup::Doubt(const std::string& host) {
  const auto found = entries_.find(host);
  if (found != entries_.end()) found->second.doubtful = true;
}

bool NameLookup::Poll(TimePoint now) {
  if (pending_ == 0) return false;
  std::vector<LookupBackend::Answer> answers;
  backend_->Collect(answers);
  for (LookupBackend::Answer& answer : answers) {
    Entry& entry = entries_[answer.host];
    if (!entry.asking) continue;
    entry.asking = false;
    entry.answered_at = now;
    --pending_;
    if (answer.addresses.empty()) {
      entry.result = {State::kFailed, "",
                      "no address for '" + answer.host + "': " + std::move(answer.error), false};
    } else {
      entry.result = {State::kFound, Joined(answer.addresses), "", false};
    }
  }
  return !answers.empty();
}

TimePoint NameLookup::NextPoll(TimePoint now) const {
  if (pending_ == 0) return kNever;
  // Quick while an answer may come any moment, seldom for a resolver that is silent.
  const Duration waited = now - last_asked_;
  return now + std::clamp<Duration>(waited / 4, milliseconds(1), milliseconds(50));
}

}  // namespace rosterd
