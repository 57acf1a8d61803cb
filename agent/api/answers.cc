// SPDX-License-Identifier: Apache-2.0
#include "api/answers.h"

#include <nlohmann/json.hpp>

#include "base/json.h"

namespace rosterd::api {

http::Answer JsonAnswer(int status, const nlohmann::ordered_json& body) {
  http::Answer answer;
  answer.status = status;
  answer.body = std::make_shared<const std::string>(DumpJson(body));
  return answer;
}

http::Answer ErrorAnswer(int status, std::string_view error) {
  return JsonAnswer(status, {{"error", error}});
}

http::Answer TextAnswer(std::string text) {
  http::Answer answer;
  answer.content_type = "text/plain; charset=utf-8";
  answer.body = std::make_shared<const std::string>(std::move(text));
  return answer;
}

}  // namespace rosterd::api
