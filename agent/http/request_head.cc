// SPDX-License-Identifier: Apache-2.0
#include "http/request_head.h"

#include <algorithm>

#include "http/text.h"

namespace rosterd::http {
namespace {

using Refusal = std::optional<FramingError>;

FramingError Bad(std::string text) { return {400, std::move(text)}; }

bool IsToken(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), IsTokenChar);
}

// NUL, a CR or LF of its own and every other control character; a tab is white space.
bool HasControl(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
  });
}

std::string_view TrimBlanks(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Calls `f` with each element of a comma separated list.
template <typename F>
void ForEachElement(std::string_view list, F f) {
  while (!list.empty()) {
    const size_t comma = list.find(',');
    f(TrimBlanks(list.substr(0, comma)));
    if (comma == std::string_view::npos) return;
    list.remove_prefix(comma + 1);
  }
}

Refusal ParseVersion(std::string_view version, int& minor) {
  if (version == "HTTP/1.1" || version == "HTTP/1.0") {
    minor = version.back() - '0';
    return std::nullopt;
  }
  if (version.size() == 8 && version.starts_with("HTTP/") && IsDigit(version[5]) &&
      version[6] == '.' && IsDigit(version[7])) {
    return FramingError{505, "this HTTP version is not spoken here; use HTTP/1.1 or HTTP/1.0"};
  }
  return Bad("the request line must be METHOD TARGET HTTP/1.1");
}

// http://HOST[:PORT][/PATH][?QUERY]: the authority becomes the host, the rest the target.
Refusal SplitAbsoluteTarget(FramedRequest& request) {
  const std::string_view target = request.target;
  const size_t scheme_end = target.find("://");
  const std::string scheme = ToLower(target.substr(0, scheme_end));
  if (scheme_end == std::string_view::npos || (scheme != "http" && scheme != "https")) {
    return Bad("the request target must be a path that begins with '/', or a whole http URL");
  }
  const std::string_view rest = target.substr(scheme_end + 3);
  const size_t authority_end = std::min(rest.find_first_of("/?"), rest.size());
  if (authority_end == 0) return Bad("the URL in the request line has no host");
  request.host = std::string(rest.substr(0, authority_end));
  std::string path(rest.substr(authority_end));
  if (path.empty() || path.front() == '?') path.insert(0, "/");
  request.target = std::move(path);
  return std::nullopt;
}

Refusal TakeHost(FramedRequest& request) {
  int hosts = 0;
  const std::string* value = nullptr;
  for (const auto& [name, text] : request.headers) {
    if (name != "host") continue;
    ++hosts;
    value = &text;
  }
  if (hosts > 1) return Bad("more than one Host header");
  if (!request.host && value != nullptr) request.host = *value;
  if (!request.host) {
    if (request.minor_version == 0) return std::nullopt;
    return Bad("HTTP/1.1 requires a Host header");
  }
  if (request.host->size() > 300 ||
      request.host->find_first_of(" \t/\\@?#,\"<>") != std::string::npos) {
    return Bad("the host must be NAME or NAME:PORT");
  }
  return std::nullopt;
}

void DecidePersistence(FramedRequest& request) {
  bool close = false;
  bool keep = false;
  for (const auto& [name, value] : request.headers) {
    if (name != "connection") continue;
    ForEachElement(value, [&](std::string_view option) {
      close |= EqualsIgnoreCase(option, "close");
      keep |= EqualsIgnoreCase(option, "keep-alive");
    });
  }
  request.keep_alive = !close && (request.minor_version == 1 || keep);
}

Refusal DecideBody(const Limits& limits, const FramedRequest& request, BodyPlan& plan) {
  const std::string* length = nullptr;
  const std::string* coding = nullptr;
  for (const auto& [name, value] : request.headers) {
    const bool is_length = name == "content-length";
    if (!is_length && name != "transfer-encoding") continue;
    if (length != nullptr || coding != nullptr) {
      return Bad(
          "the length of the body is given more than once; send either one Content-Length "
          "or Transfer-Encoding: chunked");
    }
    (is_length ? length : coding) = &value;
  }
  if (coding != nullptr) {
    if (request.minor_version == 0) return Bad("HTTP/1.0 has no Transfer-Encoding");
    if (coding->empty()) return Bad("Transfer-Encoding is empty");
    if (!EqualsIgnoreCase(*coding, "chunked")) {
      return FramingError{501, "of the transfer codings only chunked is understood"};
    }
    plan.kind = BodyPlan::Kind::kChunked;
  } else if (length != nullptr) {
    if (length->empty() || !std::all_of(length->begin(), length->end(), IsDigit)) {
      return Bad("Content-Length must be a decimal number");
    }
    size_t value = 0;
    for (const char c : *length) {
      value = value * 10 + static_cast<size_t>(c - '0');
      if (value > limits.body) return BodyTooLarge(limits);
    }
    plan.kind = value == 0 ? BodyPlan::Kind::kNone : BodyPlan::Kind::kSized;
    plan.length = value;
  }
  return std::nullopt;
}

Refusal DecideExpectation(const FramedRequest& request, BodyPlan& plan) {
  if (request.minor_version == 0) return std::nullopt;  // RFC 9110, 10.1.1: ignored
  for (const auto& [name, value] : request.headers) {
    if (name != "expect") continue;
    if (!EqualsIgnoreCase(value, "100-continue")) {
      return FramingError{417, "of the expectations only 100-continue is understood"};
    }
    plan.expects_continue = plan.kind != BodyPlan::Kind::kNone;
  }
  return std::nullopt;
}

}  // namespace

const std::string* FramedRequest::Header(std::string_view name) const {
  for (const auto& header : headers) {
    if (header.first == name) return &header.second;
  }
  return nullptr;
}

FramingError BodyTooLarge(const Limits& limits) {
  return {413, "the body is larger than " + std::to_string(limits.body) + " bytes"};
}

Refusal ParseRequestLine(std::string_view line, FramedRequest& request) {
  const size_t first = line.find(' ');
  const size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last || HasControl(line)) {
    return Bad("the request line must be METHOD TARGET HTTP/1.1");
  }
  const std::string_view target = line.substr(first + 1, last - first - 1);
  if (Refusal refusal = ParseVersion(line.substr(last + 1), request.minor_version)) return refusal;
  request.method = std::string(line.substr(0, first));
  if (!IsToken(request.method)) return Bad("the request method is not a word");
  if (target.find_first_of(" \t#") != std::string_view::npos || target.empty()) {
    return Bad("blanks and '#' in the request target must be percent-encoded");
  }
  request.target = std::string(target);
  if (target.front() != '/') return SplitAbsoluteTarget(request);
  return std::nullopt;
}

Refusal ParseHeaderLine(std::string_view line, HeaderList& headers) {
  if (line.front() == ' ' || line.front() == '\t') {
    return Bad("a header must stand on one line; folded lines are not accepted");
  }
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos || !IsToken(line.substr(0, colon))) {
    return Bad("a header line must be NAME: VALUE, without a blank before the colon");
  }
  const std::string_view value = TrimBlanks(line.substr(colon + 1));
  if (HasControl(value)) return Bad("a header value holds a control character");
  headers.emplace_back(ToLower(line.substr(0, colon)), value);
  return std::nullopt;
}

Refusal FinishHead(const Limits& limits, FramedRequest& request, BodyPlan& plan) {
  if (Refusal refusal = TakeHost(request)) return refusal;
  DecidePersistence(request);
  if (Refusal refusal = DecideBody(limits, request, plan)) return refusal;
  return DecideExpectation(request, plan);
}

}  // namespace rosterd::http
