// SPDX-License-Identifier: Apache-2.0
// If-None-Match (RFC 9110 section 13.1.2). Pure.
#pragma once

#include <string_view>

#include "http/message.h"

namespace rosterd::api {

// True when the request's If-None-Match names `etag` by weak comparison, or is "*": the answer is
// then 304. Every line of the header counts; a malformed list matches nothing from its fault on.
bool NoneMatchHits(const http::Request& request, std::string_view etag);

}  // namespace rosterd::api
