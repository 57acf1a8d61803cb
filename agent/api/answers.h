// SPDX-License-Identifier: Apache-2.0
// The few forms that answers have. Private to api/. Pure.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "http/message.h"

namespace rosterd::api {

// For pages made anew for each request.
http::Answer JsonAnswer(int status, const nlohmann::ordered_json& body);
// {"error":"..."}
http::Answer ErrorAnswer(int status, std::string_view error);
// text/plain, for a person.
http::Answer TextAnswer(std::string text);

}  // namespace rosterd::api
