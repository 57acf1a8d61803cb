// SPDX-License-Identifier: Apache-2.0
// DevServer: a private, single etcd for --dev: a child process on free loopback ports whose data
// directory goes with it. Made on the main thread before the first gRPC call (see ChildProcess).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/child_process.h"
#include "base/clock.h"

namespace rosterd::etcd {

// Owned by the main thread.
class DevServer {
 public:
  struct Options {
    // More flags for etcd.
    std::vector<std::string> flags;
    // Its clients speak TLS; the flags name its certificate and key.
    bool tls = false;
    // How long it may take to answer.
    Duration start_limit = seconds(15);
  };

  // Returns when it answers. Error: etcd is not installed, or its own words.
  static absl::StatusOr<std::unique_ptr<DevServer>> Start(Options options);
  static absl::StatusOr<std::unique_ptr<DevServer>> Start() { return Start(Options()); }
  // Ends it and removes its data.
  ~DevServer();
  DevServer(const DevServer&) = delete;
  DevServer& operator=(const DevServer&) = delete;

  std::string endpoint() const;  // "http://127.0.0.1:PORT", https with Options::tls
  ChildProcess& process() { return process_; }
  // Runs it again on the same port and data, after process() was ended.
  absl::Status Restart();

 private:
  DevServer(Options options, std::string directory);
  absl::Status Launch();
  absl::Status WaitUntilHealthy();
  // The first line it wrote: etcd logs errors only, and usage comes after what is wrong.
  std::string Complaint() const;
  std::string LogFile() const;

  const Options options_;
  const std::string directory_;
  uint16_t client_port_ = 0;
  uint16_t peer_port_ = 0;
  uint16_t health_port_ = 0;  // that of clients, unless they speak TLS
  ChildProcess process_;
};

}  // namespace rosterd::etcd
