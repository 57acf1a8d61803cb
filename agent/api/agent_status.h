// SPDX-License-Identifier: Apache-2.0
// GET /agent and GET /agent/services/ID: what this agent knows of itself and of the services of its
// own host. Shows no header, password or certificate of the configuration. Pure.
#pragma once

#include <string>

#include "api/views.h"
#include "http/message.h"

namespace rosterd::api {

http::Answer ShowAgent(const Views& views);
// 404 when no service with this id is configured on this host.
http::Answer ShowAgentService(const Views& views, const std::string& id);

}  // namespace rosterd::api
