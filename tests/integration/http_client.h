// SPDX-License-Identifier: Apache-2.0
// A client that sends any bytes and reads answers off a real socket, for tests of the front. Every
// wait has a deadline. One thread uses one client.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/unique_fd.h"

namespace rosterd::testing {

struct ClientAnswer {
  int status = 0;
  std::string head;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
};

class HttpClient {
 public:
  // "127.0.0.1:8500", "[::1]:8500" or "unix:/path". `receive_buffer` > 0 makes the client's window
  // small.
  explicit HttpClient(const std::string& address, int receive_buffer = 0);
  HttpClient(HttpClient&&) = default;

  bool connected() const { return fd_.valid(); }
  int fd() const { return fd_.get(); }
  // False: the server has closed.
  bool Send(std::string_view bytes);
  void HalfClose();
  void Close() { fd_.Reset(); }

  // The next answer; nothing when the connection ended before it was whole. `no_body`: the answer
  // to a HEAD.
  std::optional<ClientAnswer> Read(bool no_body = false);
  // Sends a GET with a good Host and reads the answer.
  std::optional<ClientAnswer> Get(const std::string& path);
  // The server closes within `limit`; bytes that come before are thrown away.
  bool ClosedWithin(std::chrono::milliseconds limit);
  // The server has closed, or does so within the deadline; nothing came before.
  bool ClosedSilently();
  // What was received and not read as an answer yet.
  const std::string& pending() const { return buffer_; }

 private:
  // Appends to buffer_; false at the end of the stream or the deadline.
  bool Fill(std::chrono::steady_clock::time_point deadline);

  UniqueFd fd_;
  std::string buffer_;
};

}  // namespace rosterd::testing
