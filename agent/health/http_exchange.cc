// SPDX-License-Identifier: Apache-2.0
#include "health/http_exchange.h"

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "base/net_address.h"

namespace rosterd {
namespace {

// A check's answer is small, and one turn of libcurl reads up to 100 of these.
constexpr long kReadBuffer = 2 * 1024;

CurlList Appended(CurlList list, const std::string& line) {
  curl_slist* longer = curl_slist_append(list.get(), line.c_str());
  if (longer == nullptr) return list;
  (void)list.release();
  return CurlList(longer);
}

const char* SystemBundle() {
  const char* file = curl_version_info(CURLVERSION_NOW)->cainfo;
  return file != nullptr ? file : "/etc/ssl/certs/ca-certificates.crt";
}

}  // namespace

PreparedCheck::PreparedCheck(CheckId check_id, const CheckConfig& check)
    : id(check_id), config(check), request(MakeCheckRequest(check)), ca(check.tls.ca) {
  if (!request.ok()) return;
  for (const std::string& line : request->header_lines) {
    headers = Appended(std::move(headers), line);
  }
}

HttpExchange::HttpExchange(KeptSockets& sockets) : sockets_(sockets), easy_(curl_easy_init()) {
  if (easy_ != nullptr) SetConstants();
}

void HttpExchange::SetConstants() {
  CURL* easy = easy_.get();
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, error_text_);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_PROXY, "");
  curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
  curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "rosterd/" ROSTERD_VERSION);
  curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, kReadBuffer);
  // Otherwise the system's directory is trusted besides an own CA, and read for each connection.
  curl_easy_setopt(easy, CURLOPT_CAPATH, nullptr);
  curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &HttpExchange::OnHeader);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, this);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &HttpExchange::OnBody);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, &HttpExchange::BeforeRequest);
  curl_easy_setopt(easy, CURLOPT_PREREQDATA, this);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, &HttpExchange::OpenSocket);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, this);
  // A connection outlives the exchange that opened it.
  curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, &HttpExchange::CloseSocket);
  curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, &sockets_);
}

absl::Status HttpExchange::Prepare(PreparedCheck& check, const std::string& addresses, bool fresh) {
  check_ = &check;
  error_text_[0] = '\0';
  head_bytes_ = body_bytes_ = 0;
  head_lines_ = socket_error_ = 0;
  head_done_ = head_too_large_ = body_stopped_ = reused_ = false;
  opened_.clear();
  body_.clear();
  if (!check.request.ok()) return check.request.status();
  CURL* easy = easy_.get();
  curl_easy_setopt(easy, CURLOPT_URL, check.request->url.c_str());
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, check.headers.get());
  curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, fresh ? 1L : 0L);
  // The probe keeps the deadline itself, after it has read what is there. libcurl's limit is one
  // behind it, but for several addresses: there each gets a share of this time.
  const bool several = addresses.find(',') != std::string::npos;
  const Duration connect = check.config.timeout + (several ? seconds(0) : seconds(1));
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                   static_cast<long>(ToMilliseconds(connect).count()));
  SetMethod(check.config.method);
  SetAddress(*check.request, addresses);
  return SetTls(check);
}

void HttpExchange::SetMethod(const std::string& method) {
  CURL* easy = easy_.get();
  curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
  curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, nullptr);
  if (method == "GET") return;
  if (method == "HEAD") {
    curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    return;
  }
  if (method == "POST" || method == "PUT" || method == "PATCH") {
    // With a length of zero: a server may refuse one of these without any.
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, "");
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, 0L);
  }
  if (method != "POST") curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method.c_str());
}

void HttpExchange::SetAddress(const CheckRequest& request, const std::string& addresses) {
  resolve_.reset();
  connect_to_.reset();
  const std::string port = std::to_string(request.port);
  if (!addresses.empty()) {
    resolve_ = Appended(nullptr, request.connect_host + ":" + port + ":" + addresses);
  }
  if (request.connects_elsewhere) {
    connect_to_ = Appended(nullptr, "::" + FormatHostPort(request.connect_host, request.port));
  }
  curl_easy_setopt(easy_.get(), CURLOPT_RESOLVE, resolve_.get());
  curl_easy_setopt(easy_.get(), CURLOPT_CONNECT_TO, connect_to_.get());
}

absl::Status HttpExchange::SetTls(PreparedCheck& check) {
  CURL* easy = easy_.get();
  const bool verify = !check.config.tls.insecure;
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, verify ? 1L : 0L);
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, verify ? 2L : 0L);
  if (!verify) {
    curl_easy_setopt(easy, CURLOPT_CAINFO, nullptr);
    return absl::OkStatus();
  }
  if (check.ca.file().empty()) {
    // libcurl parses the system's bundle once (40 ms) and keeps it in the multi handle; a file
    // given as a blob does not push it out.
    curl_easy_setopt(easy, CURLOPT_CAINFO, SystemBundle());
    return absl::OkStatus();
  }
  if (const absl::Status status = check.ca.Refresh(); !status.ok()) return status;
  curl_easy_setopt(easy, CURLOPT_CAINFO, check.ca.file().c_str());
  if (!check.ca.text().empty()) {
    curl_blob blob{const_cast<char*>(check.ca.text().data()), check.ca.text().size(),
                   CURL_BLOB_COPY};
    curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &blob);
  }
  return absl::OkStatus();
}

void HttpExchange::Reset() {
  check_ = nullptr;
  body_.clear();
  body_.shrink_to_fit();
  CURL* easy = easy_.get();
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, nullptr);
  curl_easy_setopt(easy, CURLOPT_RESOLVE, nullptr);
  curl_easy_setopt(easy, CURLOPT_CONNECT_TO, nullptr);
  curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, nullptr);
  resolve_.reset();
  connect_to_.reset();
}

size_t HttpExchange::OnHeader(char* data, size_t size, size_t count, void* self) {
  auto& exchange = *static_cast<HttpExchange*>(self);
  const std::string_view line(data, size * count);
  exchange.head_bytes_ += line.size();
  if (line.starts_with("HTTP/")) {
    exchange.head_done_ = false;
  } else if (line == "\r\n" || line == "\n") {
    exchange.head_done_ = true;
  } else {
    ++exchange.head_lines_;
  }
  exchange.head_too_large_ =
      exchange.head_bytes_ > kHeadLimit || exchange.head_lines_ > kHeaderLimit;
  return exchange.head_too_large_ ? 0 : line.size();
}

size_t HttpExchange::OnBody(char* data, size_t size, size_t count, void* self) {
  auto& exchange = *static_cast<HttpExchange*>(self);
  const size_t length = size * count;
  if (!exchange.check_->config.expect_body.empty() && exchange.body_.size() < kBodyLimit) {
    exchange.body_.append(data, std::min(length, kBodyLimit - exchange.body_.size()));
  }
  exchange.body_bytes_ += length;
  if (exchange.body_bytes_ < kBodyLimit) return length;
  curl_off_t announced = -1;
  curl_easy_getinfo(exchange.easy(), CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &announced);
  if (announced == static_cast<curl_off_t>(exchange.body_bytes_)) return length;
  exchange.body_stopped_ = true;
  return 0;
}

int HttpExchange::BeforeRequest(void* self, char* remote_ip, char*, int remote_port,
                                int local_port) {
  auto& exchange = *static_cast<HttpExchange*>(self);
  const ConnectionName name{remote_ip, remote_port, local_port};
  if (!exchange.opened_.empty()) {
    exchange.sockets_.Remember(exchange.opened_, name);
    return CURL_PREREQFUNC_OK;
  }
  exchange.reused_ = true;
  // Bytes that came unasked over a kept connection would be taken for the answer. Under TLS they
  // may be a session ticket; the failure they cause there is repeated on a fresh connection.
  const bool plain = exchange.check_->request->url.starts_with("http://");
  return plain && exchange.sockets_.HasInput(name) ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

curl_socket_t HttpExchange::OpenSocket(void* self, curlsocktype, curl_sockaddr* address) {
  auto& exchange = *static_cast<HttpExchange*>(self);
  const int fd = exchange.sockets_.Open(address->family, address->socktype, address->protocol);
  if (fd < 0) {
    exchange.socket_error_ = errno;
    return CURL_SOCKET_BAD;
  }
  exchange.opened_.push_back(fd);
  return fd;
}

int HttpExchange::CloseSocket(void* sockets, curl_socket_t fd) {
  static_cast<KeptSockets*>(sockets)->Close(fd);
  return 0;
}

}  // namespace rosterd
