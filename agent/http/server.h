// SPDX-License-Identifier: Apache-2.0
// Server: the front as the rest of the program sees it: bind, start, stop. It owns the thread
// "http", on which the handler runs too, and knows no route.
#pragma once

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/latest.h"
#include "base/log.h"
#include "base/metrics.h"
#include "http/host_check.h"
#include "http/limits.h"
#include "http/message.h"

namespace rosterd::http {

class Loop;

// Thread-safe, except that Start(), Stop() and the destructor belong to one thread.
class Server {
 public:
  struct Options {
    // IP:PORT, localhost:PORT or unix:/PATH; port 0 takes a free one.
    std::vector<std::string> listen{"127.0.0.1:8500"};
    std::string node_name;                   // passes the Host check
    std::vector<std::string> allowed_hosts;  // so do these
    Limits limits;
  };

  // Binds and listens, so that clients queue up from now on. Error: one sentence for a person. The
  // references must outlive the server.
  static absl::StatusOr<std::unique_ptr<Server>> Create(Options options, Handler handler,
                                                        const Clock& clock, Log& log,
                                                        Metrics& metrics);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // The real addresses, in the order of `listen`; localhost may give two.
  const std::vector<std::string>& addresses() const { return addresses_; }

  void Start();
  // Stops listening, lets answers in progress end (at most limits.stop_grace), closes everything
  // and joins. A second call does nothing.
  void Stop();

  // At reload.
  void SetAllowedHosts(const std::vector<std::string>& allowed_hosts);

  // Causes a turn of the loop; for whoever publishes what a waiting client might want.
  void Wake() const;
  // When the loop last turned. It turns at least once a second, so one that is several seconds old
  // means that a handler hangs.
  TimePoint last_turn() const;

 private:
  Server(Options options, std::vector<std::string> addresses);

  // Constant after Create().
  const std::string node_name_;
  const std::vector<std::string> addresses_;
  Latest<HostCheck> host_check_;
  std::unique_ptr<Loop> loop_;
  std::jthread thread_;
};

}  // namespace rosterd::http
