// SPDX-License-Identifier: Apache-2.0
// Everything that bounds what one client, or all of them together, may cost. The defaults are what
// users are promised; tests shorten the times.
#pragma once

#include <cstddef>

#include "base/clock.h"

namespace rosterd::http {

struct Limits {
  size_t request_line = size_t{8} << 10;  // bytes, its line end included
  size_t headers = 64;                    // header lines, trailers included
  size_t header_bytes = size_t{32}
                        << 10;    // all header lines and their line ends, trailers included
  size_t body = size_t{1} << 20;  // decoded bytes
  size_t chunk_extensions = size_t{16} << 10;  // bytes, over all chunks of one request
  size_t buffered = size_t{64} << 20;          // of all requests that are still arriving together

  Duration request_timeout = seconds(10);   // first byte of a request to its last
  Duration write_timeout = seconds(10);     // without the client taking a single byte
  Duration linger = seconds(2);             // reading on after an answer that ends the connection
  Duration stop_grace = milliseconds(200);  // for answers in progress when the server stops

  // 0: what RLIMIT_NOFILE allows, less a quarter that the rest of the process keeps (32 to 4,096).
  size_t max_connections = 0;
};

}  // namespace rosterd::http
