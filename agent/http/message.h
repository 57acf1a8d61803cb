// SPDX-License-Identifier: Apache-2.0
// What passes between the front and the routes: a request that is complete, bounded and
// unambiguous, and its answer. Neither side sees cpp-httplib through this.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rosterd::http {

using QueryParameters = std::vector<std::pair<std::string, std::string>>;  // decoded, in order

struct Request {
  std::string method;  // upper case; HEAD arrives as GET, the front drops the body
  std::string path;    // percent-decoded, begins with '/'
  QueryParameters query;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case, in order
  std::string body;
  bool over_unix_socket = false;

  // The first value, or null. `name` in lower case for headers.
  const std::string* Header(std::string_view name) const;
  const std::string* Query(std::string_view name) const;
};

struct Answer {
  int status = 200;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>>
      headers;  // without length, type, date, connection
  // Shared, so that a body rendered once is never copied. Null: empty. Not sent on 204 and 304.
  std::shared_ptr<const std::string> body;
  std::string_view route = "other";  // a literal: the label under which metrics count it
};

// Runs on the front's thread for each request that passed every limit; must not block. Later issues
// widen the result to `Answer | Park{query} | Stream`: the connection layer will then keep the
// parsed query of a parked connection and call again when a snapshot changed.
using Handler = std::function<Answer(const Request&)>;

}  // namespace rosterd::http
