// SPDX-License-Identifier: Apache-2.0
// The head of an HTTP/1 request: one function per line kind, and one that draws the conclusions
// (host, persistence, how long the body is). Strict on purpose: whatever two parsers could read
// differently is refused (RFC 9112, sections 2 to 7). Pure; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/limits.h"

namespace rosterd::http {

// Why a request is refused: the status and a sentence for a person.
struct FramingError {
  int status = 400;
  std::string text;
  bool operator==(const FramingError&) const = default;
};

using HeaderList = std::vector<std::pair<std::string, std::string>>;

// A whole request, its length beyond doubt.
struct FramedRequest {
  std::string method;               // a token, as sent
  std::string target;               // origin form: begins with '/'; not decoded
  int minor_version = 1;            // HTTP/1.x
  HeaderList headers;               // names in lower case, in order; values without outer blanks
  std::string body;                 // decoded when it came in chunks
  bool keep_alive = true;           // the client allows another request on this connection
  std::optional<std::string> host;  // of the absolute target, else of the Host header
  bool operator==(const FramedRequest&) const = default;

  // The first value, or null. `name` in lower case.
  const std::string* Header(std::string_view name) const;
};

struct BodyPlan {
  enum class Kind : uint8_t { kNone, kSized, kChunked };
  Kind kind = Kind::kNone;
  size_t length = 0;              // kSized
  bool expects_continue = false;  // the client waits for "100 Continue" before it sends the body
};

FramingError BodyTooLarge(const Limits& limits);

// Lines come without their CRLF. An empty result means the line is good.
std::optional<FramingError> ParseRequestLine(std::string_view line, FramedRequest& request);
std::optional<FramingError> ParseHeaderLine(std::string_view line, HeaderList& headers);
// After the last header line: fills in host and keep_alive, and decides on the body.
std::optional<FramingError> FinishHead(const Limits& limits, FramedRequest& request,
                                       BodyPlan& plan);

}  // namespace rosterd::http
