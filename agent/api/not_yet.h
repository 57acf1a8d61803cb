// SPDX-License-Identifier: Apache-2.0
// The parts of the API that this version refuses by name, all of them: 501 with what to use
// instead. Pure.
#pragma once

#include "http/message.h"

namespace rosterd::api {

// index=N on a discovery route.
http::Answer BlockingNotYet();
// /services/NAME/pick
http::Answer PickNotYet();
// /events
http::Answer EventsNotYet();

}  // namespace rosterd::api
