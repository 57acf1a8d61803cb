// SPDX-License-Identifier: Apache-2.0
// The judging half of HttpExchange: what an exchange that is over was worth, in words.
#include <algorithm>
#include <cerrno>
#include <string_view>

#include "base/duration.h"
#include "base/error_text.h"
#include "health/curl_words.h"
#include "health/http_exchange.h"

namespace rosterd {
namespace {

constexpr size_t kLongestQuote = 60;

bool IsOurs(int socket_error) {
  return socket_error == EMFILE || socket_error == ENFILE || socket_error == ENOBUFS ||
         socket_error == ENOMEM;
}

std::string_view TlsName(const PreparedCheck& check) {
  if (!check.config.tls.server_name.empty()) return check.config.tls.server_name;
  return check.request->connect_host;
}

}  // namespace

int HttpExchange::Status() const {
  long status = 0;
  curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &status);
  return static_cast<int>(status);
}

std::string HttpExchange::Verdict(int status) const {
  const CheckConfig& config = check_->config;
  if (!StatusMatches(config.expect_status, status)) {
    return "status " + std::to_string(status) + ", wanted " + DescribeRanges(config.expect_status) +
           (status >= 300 && status < 400 ? " (redirects are not followed)" : "");
  }
  if (!config.expect_body.empty() && body_.find(config.expect_body) == std::string::npos) {
    const std::string& wanted = config.expect_body;
    const std::string quoted =
        wanted.size() > kLongestQuote ? wanted.substr(0, kLongestQuote) + "..." : wanted;
    return (body_bytes_ > kBodyLimit ? "the first 64 KiB of the body do not contain '"
                                     : "body does not contain '") +
           quoted + "'";
  }
  return "";
}

ProbeResult HttpExchange::Judge(CURLcode code) const {
  ProbeResult result;
  result.http_status = Status();
  const bool whole_head = head_done_ && result.http_status >= 200;
  if (head_too_large_) {
    result.error = "the answer has more than 64 headers or 32 KiB of them";
  } else if (whole_head && (code == CURLE_OK || body_stopped_ ||
                            !StatusMatches(check_->config.expect_status, result.http_status))) {
    result.error = Verdict(result.http_status);
    result.success = result.error.empty();
  } else if (code == CURLE_OK) {
    result.error = "connection closed in the middle of the headers";
  } else if (code == CURLE_OPERATION_TIMEDOUT) {
    return JudgeTimeout();
  } else if (socket_error_ != 0 && code == CURLE_COULDNT_CONNECT) {
    result.own_trouble = IsOurs(socket_error_);
    result.error = "cannot open a socket: " + SystemErrorText(socket_error_);
  } else {
    long os_error = 0;
    curl_easy_getinfo(easy_.get(), CURLINFO_OS_ERRNO, &os_error);
    FailedExchange failed;
    failed.curl_code = code;
    failed.os_error = static_cast<int>(os_error);
    failed.detail = error_text_;
    failed.tls_name = TlsName(*check_);
    failed.ca_file = check_->ca.file();
    failed.answer_began = head_bytes_ > 0;
    result.error = DescribeFailure(failed);
  }
  return result;
}

ProbeResult HttpExchange::JudgeTimeout() const {
  ProbeResult result;
  result.http_status = Status();
  const bool connected = std::any_of(opened_.begin(), opened_.end(), IsConnected);
  curl_off_t handshaken = 0;
  curl_easy_getinfo(easy_.get(), CURLINFO_PRETRANSFER_TIME_T, &handshaken);
  const char* doing = head_bytes_ > 0             ? " in the middle of the answer"
                      : handshaken > 0 || reused_ ? " waiting for the answer"
                      : connected                 ? " in the TLS handshake"
                                                  : " connecting";
  result.error = "timed out after " + FormatDuration(check_->config.timeout) + doing;
  return result;
}

ProbeResult HttpExchange::JudgeEndless() const {
  ProbeResult result;
  result.http_status = Status();
  result.error = "the answer comes to no end: much arrives, but neither headers nor body";
  return result;
}

}  // namespace rosterd
