// SPDX-License-Identifier: Apache-2.0
#include "catalog/guard.h"

#include <algorithm>

namespace rosterd {

ShownIndex NextIndex(int64_t before, int64_t last_change, int64_t catalog, bool held) {
  if (!held) return {std::max(before, last_change), last_change};
  // Up to the catalog's revision nothing else changed, so the last change may be put off for a step
  // to show now and another one at the end.
  last_change = std::max(last_change, std::min(before + 2, catalog));
  return {std::max(before, last_change - 1), last_change};
}

void Guard::Recent::Add(int64_t lease, TimePoint now) {
  order_.emplace_back(now, lease);
  ++counts_[lease];
}

void Guard::Recent::ForgetBefore(TimePoint time) {
  for (; !order_.empty() && order_.front().first < time; order_.pop_front()) {
    const auto it = counts_.find(order_.front().second);
    if (--it->second == 0) counts_.erase(it);
  }
}

void Guard::OnPut(std::string_view service, std::string_view id) {
  if (!lost_.empty()) Erase(service, id);
}

std::vector<std::string> Guard::OnLosses(LeaseLosses::Found found, TimePoint now,
                                         const std::function<size_t(const std::string&)>& served) {
  ForgetOld(now);
  const bool many_before = whole_.size() >= kLeastLeases;
  std::set<std::pair<int64_t, int64_t>> counted;  // lease and revision
  for (const LeaseLosses::Loss& loss : found.losses) {
    if (!loss.whole) {
      partly_.Add(loss.lease, now);
    } else if (!partly_.Contains(loss.lease)) {
      // One that lost its keys bit by bit was emptied by somebody; it did not end.
      whole_.Add(loss.lease, now);
      counted.emplace(loss.lease, loss.revision);
    }
  }
  if (counted.empty()) return {};

  std::set<std::string> to_decide;
  for (LeaseLosses::GoneKey& gone : found.gone) {
    if (!gone.key.served() || !counted.contains({gone.key.lease, gone.revision})) continue;
    Erase(gone.service, gone.key.id);
    order_.emplace_back(now, gone.service, gone.key.id);
    to_decide.insert(gone.service);
    lost_[gone.service][gone.key.id] = {std::move(gone.key.instance), now, false, kNever};
  }
  const bool off = config_.max_drop_percent >= 100 || config_.hold <= Duration::zero();
  if (off || whole_.size() < kLeastLeases) return {};
  if (!many_before) {
    for (const auto& [service, lost] : lost_) to_decide.insert(service);
  }
  std::vector<std::string> changed;
  for (const std::string& service : to_decide) {
    if (Decide(service, lost_[service], served(service), now)) changed.push_back(service);
  }
  return changed;
}

bool Guard::Decide(const std::string& service, LostOfService& lost, size_t served, TimePoint now) {
  const auto recent = static_cast<size_t>(std::count_if(
      lost.begin(), lost.end(), [&](const auto& one) { return one.second.at >= now - window_; }));
  const size_t size = served + recent;
  if (size < kLeastInstances) return false;
  if (recent * 100 <= static_cast<size_t>(config_.max_drop_percent) * size) return false;
  bool more = false;
  for (auto& [id, one] : lost) {
    if (one.decided) continue;
    one.decided = true;
    // On whole seconds: what died together goes together, in few steps.
    one.until = TimePoint(std::chrono::ceil<seconds>((now + config_.hold).time_since_epoch()));
    held_.emplace(one.until, service, id);
    more = true;
  }
  return more;
}

std::vector<std::string> Guard::Release(TimePoint now) {
  std::set<std::string> changed;
  while (!held_.empty() && std::get<0>(*held_.begin()) <= now) {
    const auto [until, service, id] = *held_.begin();
    held_.erase(held_.begin());
    Lost& one = lost_.at(service).at(id);
    one.until = kNever;
    // Within the window it still counts as lost, for the service's other instances.
    if (one.at < now - window_) Erase(service, id);
    changed.insert(service);
  }
  return {changed.begin(), changed.end()};
}

std::vector<std::shared_ptr<const Instance>> Guard::HeldOf(std::string_view service) const {
  std::vector<std::shared_ptr<const Instance>> held;
  const auto it = lost_.find(service);
  if (it == lost_.end()) return held;
  for (const auto& [id, one] : it->second) {
    if (one.until != kNever) held.push_back(one.instance);
  }
  return held;
}

Guard::Summary Guard::Summarize() const {
  Summary summary;
  summary.instances = held_.size();
  summary.leases = whole_.size();
  std::set<std::string> services;
  for (const auto& [until, service, id] : held_) services.insert(service);
  summary.services.assign(services.begin(), services.end());
  return summary;
}

void Guard::ForgetOld(TimePoint now) {
  const TimePoint oldest = now - window_;
  whole_.ForgetBefore(oldest);
  partly_.ForgetBefore(oldest);
  for (; !order_.empty() && std::get<0>(order_.front()) < oldest; order_.pop_front()) {
    const auto& [at, service, id] = order_.front();
    const auto lost = lost_.find(service);
    if (lost == lost_.end()) continue;
    const auto one = lost->second.find(id);
    // It may have come back and be lost again since; what is held goes when it is released.
    if (one == lost->second.end() || one->second.at != at || one->second.until != kNever) continue;
    Erase(service, id);
  }
}

void Guard::Erase(std::string_view service, std::string_view id) {
  const auto lost = lost_.find(service);
  if (lost == lost_.end()) return;
  const auto one = lost->second.find(id);
  if (one == lost->second.end()) return;
  if (one->second.until != kNever) held_.erase({one->second.until, lost->first, one->first});
  lost->second.erase(one);
  if (lost->second.empty()) lost_.erase(lost);
}

}  // namespace rosterd
