// SPDX-License-Identifier: Apache-2.0
#include "api/views.h"

#include <algorithm>

namespace rosterd::api {
namespace {

bool EtcdHasAnswered(const Views& views) {
  return views.etcd != nullptr && views.etcd->last_answer != TimePoint{};
}

}  // namespace

std::string_view ToString(CatalogState state) {
  switch (state) {
    case CatalogState::kNone:
      return "none";
    case CatalogState::kStale:
      return "stale";
    case CatalogState::kLive:
      return "live";
  }
  return "none";
}

CatalogState StateOfCatalog(const Views& views) {
  if (views.catalog == nullptr) return CatalogState::kNone;
  const bool live =
      views.catalog->watch_open() && EtcdHasAnswered(views) &&
      (views.etcd->state == EtcdState::kConnected || views.etcd->state == EtcdState::kDenied) &&
      views.now - views.etcd->last_answer < kLiveFor;
  return live ? CatalogState::kLive : CatalogState::kStale;
}

Duration AgeOfCatalog(const Views& views) {
  TimePoint since = EtcdHasAnswered(views) ? views.etcd->last_answer : views.started;
  if (views.catalog != nullptr && views.catalog->from_disk()) since = views.disk_answer;
  return std::max(views.now - since, Duration::zero());
}

std::string EtcdEndpoint(const Views& views) {
  if (views.etcd != nullptr && !views.etcd->endpoint.empty()) return views.etcd->endpoint;
  if (views.config != nullptr && !views.config->etcd.endpoints.empty()) {
    return views.config->etcd.endpoints.front();
  }
  return "";
}

std::string WhyNoCatalog(const Views& views) {
  const std::string endpoint = EtcdEndpoint(views);
  const std::string etcd = endpoint.empty() ? "etcd" : "etcd " + endpoint;
  if (views.etcd != nullptr && !views.etcd->error.empty()) {
    const std::string& error = views.etcd->error;
    const bool names_endpoint = !endpoint.empty() && error.find(endpoint) != std::string::npos;
    return "no catalog yet: " + (names_endpoint ? error : etcd + ": " + error);
  }
  if (views.etcd != nullptr && views.etcd->state == EtcdState::kConnected) {
    return "no catalog yet: the first list from " + etcd + " is on its way";
  }
  return "no catalog yet: connecting to " + etcd;
}

}  // namespace rosterd::api
