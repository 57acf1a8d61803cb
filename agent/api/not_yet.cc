// SPDX-License-Identifier: Apache-2.0
#include "api/not_yet.h"

#include "api/answers.h"

namespace rosterd::api {

http::Answer BlockingNotYet() {
  return ErrorAnswer(501, "blocking queries are not supported yet; leave out index");
}

http::Answer PickNotYet() {
  return ErrorAnswer(501,
                     "/services/NAME/pick is not supported yet; choose from GET /services/NAME");
}

http::Answer EventsNotYet() {
  return ErrorAnswer(501,
                     "/events is not supported yet; ask GET /services/NAME again with "
                     "If-None-Match");
}

}  // namespace rosterd::api
