// SPDX-License-Identifier: Apache-2.0
// HttpExchange: one request and its answer on a libcurl easy handle: what is sent, how much is read
// and what the answer is worth. Knows neither loop nor time. The room's one header with libcurl in
// it; only the prober thread comes here.
#pragma once

#include <curl/curl.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "health/check_request.h"
#include "health/kept_sockets.h"
#include "health/own_ca.h"
#include "health/probe.h"

namespace rosterd {

// CURL and CURLM are both void to C++.
struct EasyFree {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
struct ListFree {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using CurlList = std::unique_ptr<curl_slist, ListFree>;

// What all runs of one check have in common.
struct PreparedCheck {
  PreparedCheck(CheckId check_id, const CheckConfig& check);

  const CheckId id;
  const CheckConfig config;
  const absl::StatusOr<CheckRequest> request;
  CurlList headers;
  OwnCa ca;
};

// Owned by the prober thread.
class HttpExchange {
 public:
  // `sockets` must outlive the multi handle that this exchange is added to.
  explicit HttpExchange(KeptSockets& sockets);
  HttpExchange(const HttpExchange&) = delete;
  HttpExchange& operator=(const HttpExchange&) = delete;

  // Makes the handle ready for one exchange, to be added to a multi handle; `check` must outlive it
  // there. `addresses` are those of the request's host, "" when none had to be looked up; `fresh`
  // uses no kept connection. Error: what stands in the way.
  absl::Status Prepare(PreparedCheck& check, const std::string& addresses, bool fresh);
  // To be called once the handle has left the multi handle; forgets the check.
  void Reset();

  // What the exchange came to; everything but the id and the duration is filled in.
  ProbeResult Judge(CURLcode code) const;
  ProbeResult JudgeTimeout() const;
  // Ended by us: what arrives is neither header nor body.
  ProbeResult JudgeEndless() const;
  // True when it went over a connection of an earlier exchange.
  bool reused() const { return reused_; }
  // Bytes of headers and body so far.
  size_t progress() const { return head_bytes_ + body_bytes_; }

  CURL* easy() const { return easy_.get(); }

  static constexpr size_t kBodyLimit = 64 * 1024;
  static constexpr size_t kHeadLimit = 32 * 1024;
  static constexpr int kHeaderLimit = 64;

 private:
  static size_t OnHeader(char* data, size_t size, size_t count, void* self);
  static size_t OnBody(char* data, size_t size, size_t count, void* self);
  static int BeforeRequest(void* self, char* remote_ip, char*, int remote_port, int local_port);
  static curl_socket_t OpenSocket(void* self, curlsocktype, curl_sockaddr* address);
  static int CloseSocket(void* sockets, curl_socket_t fd);

  void SetConstants();
  void SetMethod(const std::string& method);
  absl::Status SetTls(PreparedCheck& check);
  void SetAddress(const CheckRequest& request, const std::string& addresses);
  std::string Verdict(int status) const;
  int Status() const;

  KeptSockets& sockets_;
  const std::unique_ptr<CURL, EasyFree> easy_;
  const PreparedCheck* check_ = nullptr;
  CurlList resolve_, connect_to_;
  char error_text_[CURL_ERROR_SIZE] = "";
  size_t head_bytes_ = 0;
  int head_lines_ = 0;
  bool head_done_ = false;
  bool head_too_large_ = false;
  size_t body_bytes_ = 0;
  bool body_stopped_ = false;
  std::string body_;         // kept only for expect_body
  std::vector<int> opened_;  // in this exchange; some may be closed again
  bool reused_ = false;
  int socket_error_ = 0;
};

}  // namespace rosterd
