// SPDX-License-Identifier: Apache-2.0
#include "health/health_board.h"

#include <utility>

namespace rosterd {

void HealthBoard::SetServices(const std::vector<const CheckedService*>& services) {
  std::unordered_map<const CheckedService*, Place> places;
  std::vector<std::shared_ptr<const InstanceHealth>> reports;
  std::vector<const CheckedService*> marked;
  places.reserve(services.size());
  reports.reserve(services.size());
  for (const CheckedService* service : services) {
    const auto before = places_.find(service);
    Place place{reports.size(), before == places_.end() || before->second.marked};
    reports.push_back(before == places_.end() ? nullptr : reports_[before->second.index]);
    if (place.marked) marked.push_back(service);
    places.emplace(service, place);
  }
  places_ = std::move(places);
  reports_ = std::move(reports);
  marked_ = std::move(marked);
  urgent_ = true;
}

void HealthBoard::Mark(const CheckedService* service, bool urgent) {
  const auto found = places_.find(service);
  if (found == places_.end()) return;
  urgent_ = urgent_ || urgent;
  if (found->second.marked) return;
  found->second.marked = true;
  marked_.push_back(service);
}

TimePoint HealthBoard::Step(TimePoint now) {
  if (!urgent_ && marked_.empty()) return kNever;
  if (!urgent_ && now < last_published_ + kDetailsAtMostEvery) {
    return last_published_ + kDetailsAtMostEvery;
  }
  for (const CheckedService* service : marked_) {
    Place& place = places_[service];
    place.marked = false;
    reports_[place.index] = service->Report();
  }
  marked_.clear();
  urgent_ = false;
  last_published_ = now;
  auto snapshot = std::make_shared<HealthSnapshot>();
  snapshot->instances = reports_;
  published_.Publish(std::move(snapshot));
  return kNever;
}

}  // namespace rosterd
