// SPDX-License-Identifier: Apache-2.0
#include "api/discovery.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>
#include <vector>

#include "api/answers.h"
#include "api/discovery_query.h"
#include "api/entity_match.h"
#include "api/instance_status.h"
#include "api/not_yet.h"
#include "model/service_body.h"

namespace rosterd::api {
namespace {

http::Answer NoCatalog(const Views& views) {
  http::Answer answer = ErrorAnswer(503, WhyNoCatalog(views));
  answer.headers.emplace_back("Retry-After", "1");
  return answer;
}

http::Answer BadRequest(const absl::Status& why) {
  return ErrorAnswer(400, std::string(why.message()));
}

// What is answered before the catalog is looked at.
std::optional<http::Answer> Refusal(const Views& views, const http::Request& request) {
  const absl::StatusOr<BlockingQuery> blocking = ReadBlockingQuery(request.query);
  if (!blocking.ok()) return BadRequest(blocking.status());
  if (blocking->index > 0) return BlockingNotYet();
  if (views.catalog == nullptr) return NoCatalog(views);
  return std::nullopt;
}

void AddDiscoveryHeaders(const Views& views, int64_t index, http::Answer& answer) {
  answer.headers.emplace_back("X-Rosterd-Index", std::to_string(index));
  answer.headers.emplace_back("X-Rosterd-State", ToString(StateOfCatalog(views)));
  answer.headers.emplace_back(
      "Age", std::to_string(std::chrono::duration_cast<seconds>(AgeOfCatalog(views)).count()));
}

// 200, or 304 when the client has these bytes already.
http::Answer Found(const Views& views, const http::Request& request, int64_t index,
                   const std::string& etag, std::shared_ptr<const std::string> body) {
  http::Answer answer;
  answer.headers.emplace_back("ETag", etag);
  AddDiscoveryHeaders(views, index, answer);
  if (NoneMatchHits(request, etag)) {
    answer.status = 304;
  } else {
    answer.body = std::move(body);
  }
  return answer;
}

// `entry`: null when the service was never seen.
http::Answer NotFound(const Views& views, const std::string& service, const ServiceEntry* entry) {
  std::string error = "no instance of '" + service + "' is registered";
  if (const std::string here = WhyNotHere(views, service); !here.empty()) error += "; " + here;
  if (entry != nullptr && !entry->keys().empty()) {
    error += "; keys of it in etcd that are unreadable or not passing: " +
             std::to_string(entry->keys().size());
  }
  const int64_t index = views.catalog->IndexOf(service);
  http::Answer answer;
  answer.status = 404;
  answer.body = std::make_shared<const std::string>(RenderService(service, index, {}, error));
  AddDiscoveryHeaders(views, index, answer);
  return answer;
}

std::vector<ServedInstance> Filtered(const ServiceEntry& entry, const InstanceFilter& filter) {
  std::vector<ServedInstance> instances = entry.ServedInstances();
  std::erase_if(instances,
                [&](const ServedInstance& served) { return !filter.Admits(*served.instance); });
  return instances;
}

// How many of the answer's instances are gone from etcd and kept by the guard.
http::Answer WithHeld(http::Answer answer, size_t held) {
  if (held > 0) answer.headers.emplace_back("X-Rosterd-Held", std::to_string(held));
  return answer;
}

}  // namespace

http::Answer ListServices(const Views& views, const http::Request& request,
                          ServiceListCache& cache) {
  if (auto refusal = Refusal(views, request)) return *std::move(refusal);
  const auto list = cache.Get(views.catalog);
  return Found(views, request, views.catalog->index(), list->etag, {list, &list->json});
}

http::Answer ShowService(const Views& views, const http::Request& request,
                         const std::string& service) {
  const absl::StatusOr<InstanceFilter> filter = ReadInstanceFilter(request.query);
  if (!filter.ok()) return BadRequest(filter.status());
  if (auto refusal = Refusal(views, request)) return *std::move(refusal);
  const std::shared_ptr<const ServiceEntry> entry = views.catalog->Find(service);
  if (entry == nullptr || entry->served() == 0) return NotFound(views, service, entry.get());
  if (!filter->empty()) {
    const auto instances = Filtered(*entry, *filter);
    if (instances.size() < entry->served()) {
      auto body =
          std::make_shared<const std::string>(RenderService(service, entry->index(), instances));
      const std::string etag = EntityTag(*body);
      const auto held = std::count_if(instances.begin(), instances.end(),
                                      [](const ServedInstance& served) { return served.held; });
      return WithHeld(Found(views, request, entry->index(), etag, std::move(body)),
                      static_cast<size_t>(held));
    }
  }
  const ServiceEntry::Body& whole = entry->body();
  return WithHeld(Found(views, request, entry->index(), whole.etag, {entry, &whole.json}),
                  entry->held());
}

}  // namespace rosterd::api
