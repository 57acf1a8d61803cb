// SPDX-License-Identifier: Apache-2.0
#include "http/framer.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "http/text.h"

namespace rosterd::http {
namespace {

// Sixteen hexadecimal digits and room for an extension that somebody might really send.
constexpr size_t kChunkLineLimit = 4096;

std::string TooLong(int status, const Limits& limits) {
  switch (status) {
    case 414:
      return "the request line is longer than " + std::to_string(limits.request_line) + " bytes";
    case 431:
      return "the headers are larger than " + std::to_string(limits.header_bytes) + " bytes";
    default:
      return "a chunk extension is too long";
  }
}

}  // namespace

void Framer::Refuse(FramingError error) {
  error_ = std::move(error);
  step_ = Step::kRefused;
  line_ = {};
  continue_due_ = false;
}

bool Framer::TakeLine(std::string_view& input, size_t limit, int too_long, std::string_view& line) {
  // The limit acts at the same byte however the input is cut: a line is too long when its LF is not
  // among the first limit + 2 bytes.
  const size_t room = limit + 2 - line_.size();
  const std::string_view window = input.substr(0, room);
  const size_t lf = window.find('\n');
  if (lf == std::string_view::npos) {
    if (window.size() == room) {
      Refuse({too_long, TooLong(too_long, *limits_)});
    } else {
      line_.append(window);
      input = {};
    }
    return false;
  }
  line = window.substr(0, lf + 1);
  if (!line_.empty()) {
    line_.append(line);
    line = line_;
  }
  input.remove_prefix(lf + 1);
  if (!line.ends_with("\r\n")) {
    Refuse({400, "a line must end with CR LF, not with LF alone"});
    return false;
  }
  line.remove_suffix(2);
  return true;
}

size_t Framer::HeaderRoom() const {
  const size_t used = header_bytes_ + 2;
  return limits_->header_bytes > used ? limits_->header_bytes - used : 0;
}

Framer::State Framer::Feed(std::string_view& input) {
  std::string_view line;
  while (!input.empty() && step_ != Step::kComplete && step_ != Step::kRefused) {
    switch (step_) {
      case Step::kRequestLine:
        if (!TakeLine(input, limits_->request_line - 2, 414, line)) break;
        OnRequestLine(line);
        break;
      case Step::kHeaders:
      case Step::kTrailers:
        if (!TakeLine(input, HeaderRoom(), 431, line)) break;
        OnHeaderLine(line);
        break;
      case Step::kSizedBody:
        TakeBody(input, Step::kComplete);
        break;
      case Step::kChunkSize:
        continue_due_ = false;
        if (!TakeLine(input, kChunkLineLimit, 413, line)) break;
        OnChunkSize(line);
        break;
      case Step::kChunkData:
        TakeBody(input, Step::kChunkEnd);
        break;
      case Step::kChunkEnd:
        if (!TakeLine(input, 0, 400, line)) {
          if (step_ == Step::kRefused) error_ = {400, "a chunk is longer than its size says"};
          break;
        }
        line_.clear();
        step_ = Step::kChunkSize;
        break;
      case Step::kComplete:
      case Step::kRefused:
        break;
    }
  }
  if (step_ == Step::kRefused) return State::kRefused;
  return step_ == Step::kComplete ? State::kComplete : State::kNeedMore;
}

void Framer::OnRequestLine(std::string_view line) {
  if (line.empty() && !skipped_empty_line_) {
    skipped_empty_line_ = true;  // RFC 9112, 2.2: some clients send one after a POST
    line_.clear();
    return;
  }
  auto refusal = ParseRequestLine(line, request_);
  line_.clear();
  if (refusal) return Refuse(std::move(*refusal));
  step_ = Step::kHeaders;
}

void Framer::OnHeaderLine(std::string_view line) {
  const bool trailer = step_ == Step::kTrailers;
  if (line.empty()) {
    line_ = {};
    if (trailer) {
      step_ = Step::kComplete;
    } else {
      OnHeadEnd();
    }
    return;
  }
  if (++header_lines_ > limits_->headers) {
    return Refuse({431, "more than " + std::to_string(limits_->headers) + " header lines"});
  }
  header_bytes_ += line.size() + 2;
  // A trailer must be well formed, but means nothing here (RFC 9110, 6.5.1: it may be discarded).
  HeaderList discarded;
  auto refusal = ParseHeaderLine(line, trailer ? discarded : request_.headers);
  line_.clear();
  if (refusal) return Refuse(std::move(*refusal));
}

void Framer::OnHeadEnd() {
  BodyPlan plan;
  if (auto refusal = FinishHead(*limits_, request_, plan)) return Refuse(std::move(*refusal));
  continue_due_ = plan.expects_continue;
  switch (plan.kind) {
    case BodyPlan::Kind::kNone:
      step_ = Step::kComplete;
      break;
    case BodyPlan::Kind::kSized:
      remaining_ = plan.length;
      step_ = Step::kSizedBody;
      break;
    case BodyPlan::Kind::kChunked:
      step_ = Step::kChunkSize;
      break;
  }
}

void Framer::TakeBody(std::string_view& input, Step next) {
  continue_due_ = false;
  const size_t count = std::min(remaining_, input.size());
  request_.body.append(input.substr(0, count));
  input.remove_prefix(count);
  remaining_ -= count;
  if (remaining_ == 0) step_ = next;
}

void Framer::OnChunkSize(std::string_view line) {
  size_t digits = 0;
  size_t size = 0;
  const size_t room = limits_->body - request_.body.size();
  for (; digits < line.size() && HexValue(line[digits]) >= 0; ++digits) {
    size = size * 16 + static_cast<size_t>(HexValue(line[digits]));
    if (size > room) return Refuse(BodyTooLarge(*limits_));
  }
  const std::string_view extension = line.substr(digits);
  const bool clean = std::all_of(extension.begin(), extension.end(), [](char c) {
    return static_cast<unsigned char>(c) >= ' ' || c == '\t';
  });
  if (digits == 0 || (!extension.empty() && extension.front() != ';') || !clean) {
    return Refuse({400, "a chunk must begin with its size as a hexadecimal number"});
  }
  extension_bytes_ += extension.size();
  line_.clear();
  if (extension_bytes_ > limits_->chunk_extensions) {
    return Refuse({413, "the chunk extensions are larger than " +
                            std::to_string(limits_->chunk_extensions) + " bytes"});
  }
  remaining_ = size;
  step_ = size == 0 ? Step::kTrailers : Step::kChunkData;
}

FramedRequest Framer::Take() {
  FramedRequest request = std::move(request_);
  *this = Framer(*limits_);
  return request;
}

}  // namespace rosterd::http
