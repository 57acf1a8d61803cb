// SPDX-License-Identifier: Apache-2.0
// Adapter: between framed requests and the routes, through cpp-httplib's protected
// process_request() on a stream in memory. The library gets neither a socket nor anything that it
// could misread: a head rebuilt from method and path alone, so that Range, Accept-Encoding, Expect,
// body lengths and the like never reach it (0.11.4 answers an 8 KB Range with 340 MB, and
// percent-decodes header values). The one file that includes httplib.h is adapter.cc.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/log.h"
#include "http/message.h"
#include "http/request_head.h"

namespace rosterd::http {

// Ready for the socket: `head`, then `*body` if there is one. The body is shared, never copied.
struct WireAnswer {
  std::string head;
  std::shared_ptr<const std::string> body;
  int status = 500;
  std::string_view route = "other";
  bool must_close = false;  // whatever the request allows
};

// Owned by the http thread.
class Adapter {
 public:
  // `clock` gives the Date of the answers. What the handler throws is logged and answered with 500.
  Adapter(Handler handler, const Clock& clock, Log& log);
  ~Adapter();

  // Calls the handler. HEAD is asked as GET; its head is the same, its body stays away. The answer
  // says "Connection: close" when `request.keep_alive` is false.
  WireAnswer Serve(FramedRequest request, bool over_unix_socket);

  // {"error": text} without calling the handler. Of `request` only method and version count; it may
  // be incomplete.
  WireAnswer Refuse(const FramedRequest& request, bool keep_alive, int status,
                    const std::string& text);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, 5.6.7).
std::string FormatHttpDate(WallTime time);
// {"error": text}
std::string ErrorBody(const std::string& text);

}  // namespace rosterd::http
