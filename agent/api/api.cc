// SPDX-License-Identifier: Apache-2.0
#include "api/api.h"

#include <chrono>
#include <utility>

#include "api/router.h"

namespace rosterd::api {
namespace {

double InSeconds(Duration d) { return std::chrono::duration<double>(d).count(); }

}  // namespace

Api::Api(Sources sources, std::string version)
    : sources_(std::move(sources)),
      version_(std::move(version)),
      started_(sources_.clock.Now()),
      render_metrics_([this] { return RenderMetrics(); }),
      uptime_(sources_.metrics.AddGauge("rosterd_uptime_seconds", "Since the agent came up.")),
      catalog_age_(
          sources_.metrics.AddGauge("rosterd_catalog_age_seconds",
                                    "Since etcd's last answer; what Age shows in whole seconds.")),
      catalog_live_(sources_.metrics.AddGauge(
          "rosterd_catalog_live",
          "1 while the catalog follows etcd, 0 while it is stale or none.")) {
  sources_.metrics
      .AddGauge("rosterd_build_info", "Always 1; the version is in the label.",
                {{"version", version_}})
      .Set(1);
}

http::Answer Api::Handle(const http::Request& request) {
  return Route(TakeViews(), request, RouteTools{service_list_, render_metrics_});
}

http::Handler Api::handler() {
  return [this](const http::Request& request) { return Handle(request); };
}

Views Api::TakeViews() const {
  Views views;
  views.catalog = sources_.catalog.Get();
  views.health = sources_.health.Get();
  views.registration = sources_.registration.Get();
  views.etcd = sources_.etcd.Get();
  views.config = sources_.config.Get();
  if (sources_.loops) views.loops = sources_.loops();
  // Last, so that no snapshot is younger than `now`.
  views.now = sources_.clock.Now();
  views.started = started_;
  views.disk_answer = sources_.disk_answer;
  views.version = version_;
  return views;
}

std::string Api::RenderMetrics() const {
  const Views views = TakeViews();
  uptime_.Set(InSeconds(views.now - started_));
  catalog_age_.Set(InSeconds(AgeOfCatalog(views)));
  catalog_live_.Set(StateOfCatalog(views) == CatalogState::kLive ? 1 : 0);
  return sources_.metrics.Render();
}

}  // namespace rosterd::api
