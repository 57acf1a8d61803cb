// SPDX-License-Identifier: Apache-2.0
// The table of paths and methods, and the answers for what is not in it. Runs on the http thread.
#pragma once

#include <functional>
#include <string>

#include "api/service_list.h"
#include "api/views.h"
#include "http/message.h"

namespace rosterd::api {

// What routes may use beside the views; nothing of it waits.
struct RouteTools {
  ServiceListCache& service_list;
  const std::function<std::string()>& render_metrics;  // Prometheus text format
};

// Sets Answer::route to the pattern that matched.
http::Answer Route(const Views& views, const http::Request& request, const RouteTools& tools);

}  // namespace rosterd::api
