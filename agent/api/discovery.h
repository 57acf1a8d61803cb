// SPDX-License-Identifier: Apache-2.0
// GET /services and GET /services/NAME: what everyone offers. Answered from memory alone; a whole
// service goes out as the bytes that the catalog keeps, uncopied. Pure but for the list's cache.
#pragma once

#include <string>

#include "api/service_list.h"
#include "api/views.h"
#include "http/message.h"

namespace rosterd::api {

http::Answer ListServices(const Views& views, const http::Request& request,
                          ServiceListCache& cache);
http::Answer ShowService(const Views& views, const http::Request& request,
                         const std::string& service);

}  // namespace rosterd::api
