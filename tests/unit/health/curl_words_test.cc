// SPDX-License-Identifier: Apache-2.0
#include "health/curl_words.h"

#include <curl/curl.h>

#include <catch2/catch.hpp>
#include <cerrno>

namespace rosterd {
namespace {

std::string Words(CURLcode code, int os_error, std::string_view detail, bool answer_began = false) {
  FailedExchange failed;
  failed.curl_code = code;
  failed.os_error = os_error;
  failed.detail = detail;
  failed.tls_name = "web";
  failed.ca_file = "/ca.pem";
  failed.answer_began = answer_began;
  return DescribeFailure(failed);
}

TEST_CASE("failures are told in words for people") {
  CHECK(Words(CURLE_COULDNT_CONNECT, ECONNREFUSED, "") == "connection refused");
  CHECK(Words(CURLE_COULDNT_CONNECT, EHOSTUNREACH, "") == "no route to host");
  CHECK(Words(CURLE_COULDNT_CONNECT, 0, "") == "cannot connect");
  CHECK(Words(CURLE_GOT_NOTHING, 0, "Empty reply") == "connection closed without an answer");
  CHECK(Words(CURLE_RECV_ERROR, ECONNRESET, "") == "connection reset by peer");
  CHECK(Words(CURLE_RECV_ERROR, 0, "Illegal or missing hexadecimal sequence in chunked-encoding") ==
        "malformed chunked body");
  CHECK(Words(CURLE_RECV_ERROR, 0, "", true) == "connection lost in the middle of the answer");
  CHECK(Words(CURLE_OUT_OF_MEMORY, 0, "") == "a header line is longer than 100 KB");
  CHECK(Words(CURLE_PEER_FAILED_VERIFICATION, 0,
              "SSL certificate problem: certificate has expired") ==
        "TLS: certificate not trusted: certificate has expired");
  CHECK(Words(CURLE_PEER_FAILED_VERIFICATION, 0,
              "SSL: no alternative certificate subject name matches target host name 'web'") ==
        "TLS: the certificate is not for 'web'");
  CHECK(Words(CURLE_SSL_CONNECT_ERROR, 0, "error:0A00010B:SSL routines::wrong version number") ==
        "TLS handshake failed: the server does not seem to speak TLS");
  CHECK(Words(CURLE_SSL_CACERT_BADFILE, 0, "") == "TLS: '/ca.pem' holds no usable CA certificate");
}

TEST_CASE("what the other side says is made harmless") {
  CHECK(Words(CURLE_SSL_CONNECT_ERROR, 0, "x::alert\n\x1b[2J") ==
        "TLS handshake failed: alert??[2J");
}

}  // namespace
}  // namespace rosterd
