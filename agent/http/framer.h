// SPDX-License-Identifier: Apache-2.0
// Framer: cuts a byte stream into whole requests, whatever pieces it arrives in, and refuses what
// is too large or ambiguous before anything else sees it. Each byte is looked at once; no more is
// kept than the limits allow. Pure: no socket, no clock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "http/limits.h"
#include "http/request_head.h"

namespace rosterd::http {

// Owned by the http thread.
class Framer {
 public:
  enum class State : uint8_t { kNeedMore, kComplete, kRefused };

  // `limits` must outlive the framer.
  explicit Framer(const Limits& limits) : limits_(&limits) {}

  // Takes bytes off the front of `input`: all of them (kNeedMore), or as many as belong to the
  // request (kComplete; what is left is the next one), or some (kRefused, see error()). After
  // kComplete only Take() may follow; after kRefused the position in the stream is lost and the
  // connection must be closed.
  State Feed(std::string_view& input);

  // The complete request; the framer is as new afterwards and holds no memory.
  FramedRequest Take();

  // The part known so far; whole once the head is complete.
  const FramedRequest& request() const { return request_; }
  const FramingError& error() const { return error_; }

  // No byte of a request has arrived (an empty line before it does not count).
  bool idle() const { return step_ == Step::kRequestLine && line_.empty(); }
  // The head is complete, and the client waits for "100 Continue" before it sends the body. True
  // until ContinueSent() or the first byte of the body.
  bool continue_due() const { return continue_due_; }
  void ContinueSent() { continue_due_ = false; }
  // Bytes held for the request that is arriving.
  size_t buffered() const { return line_.size() + header_bytes_ + request_.body.size(); }

 private:
  enum class Step : uint8_t {
    kRequestLine,
    kHeaders,
    kSizedBody,
    kChunkSize,
    kChunkData,
    kChunkEnd,
    kTrailers,
    kComplete,
    kRefused,
  };

  // One line off `input`, without its CRLF, into `line`; it may point into `input` or line_.
  // False: more is needed, or it was refused (longer than `limit`: with `too_long`).
  bool TakeLine(std::string_view& input, size_t limit, int too_long, std::string_view& line);
  void OnRequestLine(std::string_view line);
  void OnHeaderLine(std::string_view line);
  void OnHeadEnd();
  void OnChunkSize(std::string_view line);
  void TakeBody(std::string_view& input, Step next);
  // What is left of the bytes for header lines, for one line without its CRLF.
  size_t HeaderRoom() const;
  void Refuse(FramingError error);

  const Limits* limits_;
  Step step_ = Step::kRequestLine;
  bool skipped_empty_line_ = false;
  bool continue_due_ = false;
  std::string line_;  // the beginning of a line whose end has not arrived
  size_t header_bytes_ = 0;
  size_t header_lines_ = 0;
  size_t extension_bytes_ = 0;
  size_t remaining_ = 0;  // of the sized body or the chunk
  FramedRequest request_;
  FramingError error_;
};

}  // namespace rosterd::http
