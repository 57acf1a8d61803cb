// SPDX-License-Identifier: Apache-2.0
#include "scripted_checker.h"

#include <algorithm>
#include <map>

#include "scripted_agent.h"

namespace rosterd::testing {
namespace {

using Shown = std::map<std::string, ShownKey>;

// The state of one era at any of its revisions; cheap while asked forwards.
class Truth {
 public:
  explicit Truth(const ScriptedStore::Era& era) : era_(&era) {}

  const Shown& At(int64_t revision) {
    if (revision < at_) {
      state_.clear();
      next_ = 0;
    }
    at_ = revision;
    for (; next_ < era_->events.size(); ++next_) {
      const etcd::WatchEvent& event = era_->events[next_];
      if (event.kv.mod_revision > revision) break;
      if (!ParseKey(kScriptedPrefix, event.kv.key)) continue;
      if (event.kind == etcd::WatchEvent::Kind::kDelete) {
        state_.erase(event.kv.key);
      } else {
        state_[event.kv.key] = {event.kv.mod_revision, event.kv.lease, HashValue(event.kv.value)};
      }
    }
    return state_;
  }
  int64_t last() const { return era_->revision; }

 private:
  const ScriptedStore::Era* era_;
  Shown state_;
  size_t next_ = 0;
  int64_t at_ = 0;
};

std::string Difference(const Shown& shown, const Shown& truth) {
  std::string text;
  const auto tell = [&](const std::string& key, const ShownKey* s, const ShownKey* t) {
    const auto describe = [](const ShownKey* k) {
      return k == nullptr ? std::string("nothing")
                          : "revision " + std::to_string(k->mod_revision) + " lease " +
                                std::to_string(k->lease);
    };
    text += "; " + key + ": shown " + describe(s) + ", stood " + describe(t);
  };
  for (const auto& [key, s] : shown) {
    const auto it = truth.find(key);
    if (it == truth.end()) {
      tell(key, &s, nullptr);
    } else if (it->second != s) {
      tell(key, &s, &it->second);
    }
  }
  for (const auto& [key, t] : truth) {
    if (!shown.contains(key)) tell(key, nullptr, &t);
  }
  return text;
}

}  // namespace

std::vector<std::string> CheckPublished(
    const std::vector<std::shared_ptr<const Catalog>>& published,
    const std::vector<ScriptedStore::Era>& eras) {
  std::vector<std::string> wrong;
  size_t era = 0;
  int64_t last_etcd = 0;
  int64_t last_shown = 0;
  Truth truth(eras.front());
  for (size_t i = 0; i < published.size(); ++i) {
    const Catalog& catalog = *published[i];
    const int64_t revision = catalog.etcd_revision();
    const std::string name = "catalog " + std::to_string(i) + " at etcd revision " +
                             std::to_string(revision) + ", shown " +
                             std::to_string(catalog.revision());
    if (catalog.revision() < last_shown) {
      wrong.push_back(name + ": the shown revision went back from " + std::to_string(last_shown));
    }
    last_shown = std::max(last_shown, catalog.revision());
    const Shown shown = ShownBy(catalog);
    if (revision >= last_etcd && revision <= truth.last() && shown == truth.At(revision)) {
      last_etcd = revision;
      continue;
    }
    bool found = false;
    for (size_t later = era + 1; later < eras.size() && !found; ++later) {
      if (revision > eras[later].revision) continue;
      found = Truth(eras[later]).At(revision) == shown;
      if (!found) continue;
      era = later;
    }
    if (found) {
      truth = Truth(eras[era]);
    } else {
      wrong.push_back(name + " is of no history (era " + std::to_string(era) + " of " +
                      std::to_string(eras.size()) + ", last revision " + std::to_string(last_etcd) +
                      ")" + Difference(shown, truth.At(revision)));
    }
    last_etcd = revision;
  }
  return wrong;
}

std::string BusiestSecond::Describe() const {
  constexpr const char* kNames[] = {"range", "read",      "ping",   "txn",
                                    "grant", "keepalive", "revoke", "watch"};
  std::string text = std::to_string(calls) + " calls:";
  for (size_t i = 0; i < by_kind.size(); ++i) {
    if (by_kind[i] > 0) text += " " + std::to_string(by_kind[i]) + " " + kNames[i];
  }
  return text;
}

BusiestSecond FindBusiestSecond(std::vector<ScriptedEtcd::Record> calls) {
  std::sort(calls.begin(), calls.end(), [](const auto& a, const auto& b) { return a.at < b.at; });
  BusiestSecond busiest;
  for (size_t first = 0, end = 0; first < calls.size(); ++first) {
    while (end < calls.size() && calls[end].at < calls[first].at + seconds(1)) ++end;
    if (end - first <= busiest.calls) continue;
    busiest.calls = end - first;
    busiest.at = calls[first].at;
    busiest.by_kind = {};
    for (size_t i = first; i < end; ++i) ++busiest.by_kind[static_cast<size_t>(calls[i].call)];
  }
  return busiest;
}

}  // namespace rosterd::testing
