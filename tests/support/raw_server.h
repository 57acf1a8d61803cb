// SPDX-License-Identifier: Apache-2.0
// RawServer: a TCP server on loopback whose every byte a test decides: one thread per connection
// runs the test's handler. For answers that no honest server gives.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "base/unique_fd.h"

namespace rosterd::testing {

class RawServer {
 public:
  // One accepted connection; lives on its handler's thread.
  class Connection {
   public:
    Connection(RawServer& server, int fd, int number) : server_(server), fd_(fd), number_(number) {}

    // The next request's head, up to and with its empty line; "" when the client is gone.
    std::string ReadRequest();
    // False when the client is gone.
    bool Send(std::string_view bytes);
    // Returns when the client has gone or the server stops.
    void Hang();
    // Closes with a reset instead of an orderly end.
    void Reset();
    // Counts from 1.
    int number() const { return number_; }

   private:
    RawServer& server_;
    const int fd_;
    const int number_;
    std::string rest_;
  };
  // Returning closes the connection.
  using Handler = std::function<void(Connection&)>;

  explicit RawServer(Handler handler);
  ~RawServer();
  RawServer(const RawServer&) = delete;
  RawServer& operator=(const RawServer&) = delete;

  uint16_t port() const { return port_; }
  std::string Url(const std::string& path = "/") const {
    return "http://127.0.0.1:" + std::to_string(port_) + path;
  }
  int connections() const { return connections_; }
  int requests() const { return requests_; }
  // Bytes that Send() has got rid of.
  uint64_t bytes_sent() const { return bytes_sent_; }

 private:
  struct Open {
    std::atomic<bool> done{false};
    UniqueFd fd;  // closed under mutex_
    std::jthread thread;
  };
  void Accept();

  const Handler handler_;
  UniqueFd listener_;
  uint16_t port_ = 0;
  std::atomic<int> connections_{0};
  std::atomic<int> requests_{0};
  std::atomic<uint64_t> bytes_sent_{0};
  std::mutex mutex_;
  std::list<Open> open_;  // guarded by mutex_
  std::jthread acceptor_;
};

// A port on loopback that refuses connections for as long as this lives.
class RefusingPort {
 public:
  RefusingPort();
  uint16_t port() const { return port_; }
  std::string Url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/"; }

 private:
  uint16_t port_ = 0;
  UniqueFd fd_;
};

// "HTTP/1.1 200 OK" with a length and that body.
std::string OkAnswer(std::string_view body = "ok");

// Answers every request of a connection like this.
RawServer::Handler Always(std::string answer);

}  // namespace rosterd::testing
