// SPDX-License-Identifier: Apache-2.0
#include "health/curl_words.h"

#include <curl/curl.h>

#include <algorithm>
#include <cctype>

#include "base/error_text.h"

namespace rosterd {
namespace {

constexpr size_t kLongestDetail = 200;

// The detail may quote the other side.
std::string Printable(std::string_view detail) {
  std::string text(detail.substr(0, kLongestDetail));
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return text;
}

std::string AfterLast(std::string_view text, std::string_view mark) {
  const size_t at = text.rfind(mark);
  return Printable(at == std::string_view::npos ? text : text.substr(at + mark.size()));
}

bool Contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

std::string DescribeCertificate(const FailedExchange& failed) {
  if (Contains(failed.detail, "target host name")) {
    return "TLS: the certificate is not for '" + std::string(failed.tls_name) + "'";
  }
  return "TLS: certificate not trusted: " +
         LowerFirst(AfterLast(failed.detail, "SSL certificate problem: "));
}

std::string DescribeHandshake(const FailedExchange& failed) {
  if (Contains(failed.detail, "wrong version number") ||
      Contains(failed.detail, "packet length too long")) {
    return "TLS handshake failed: the server does not seem to speak TLS";
  }
  if (failed.os_error != 0) return "TLS handshake failed: " + SystemErrorText(failed.os_error);
  return "TLS handshake failed: " + AfterLast(failed.detail, "::");
}

std::string DescribeTransfer(const FailedExchange& failed) {
  if (Contains(failed.detail, "chunk")) return "malformed chunked body";
  if (failed.os_error != 0) return SystemErrorText(failed.os_error);
  return failed.answer_began ? "connection lost in the middle of the answer"
                             : "connection lost before an answer came";
}

}  // namespace

std::string DescribeFailure(const FailedExchange& failed) {
  switch (failed.curl_code) {
    case CURLE_COULDNT_CONNECT:
      return failed.os_error != 0 ? SystemErrorText(failed.os_error) : "cannot connect";
    case CURLE_COULDNT_RESOLVE_HOST:
      return "the host name cannot be resolved";
    case CURLE_GOT_NOTHING:
      return "connection closed without an answer";
    case CURLE_PARTIAL_FILE:
      return "body cut off: the connection closed before its end";
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_HTTP2:
      return "the answer is not HTTP/1.x";
    case CURLE_OUT_OF_MEMORY:
      // libcurl's word for a header line beyond its own limit.
      return "a header line is longer than 100 KB";
    case CURLE_PEER_FAILED_VERIFICATION:
      return DescribeCertificate(failed);
    case CURLE_SSL_CONNECT_ERROR:
      return DescribeHandshake(failed);
    case CURLE_SSL_CACERT_BADFILE:
      return failed.ca_file.empty()
                 ? "TLS: the system's CA certificates cannot be read"
                 : "TLS: '" + std::string(failed.ca_file) + "' holds no usable CA certificate";
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
      return DescribeTransfer(failed);
    default:
      return LowerFirst(curl_easy_strerror(static_cast<CURLcode>(failed.curl_code)));
  }
}

}  // namespace rosterd
