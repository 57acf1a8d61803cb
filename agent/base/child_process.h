// SPDX-License-Identifier: Apache-2.0
// ChildProcess: a program started in its own process group that dies with the thread that started
// it (PDEATHSIG), however that ends. Start it from the main thread and before the first gRPC call:
// gRPC does not survive a fork.
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "base/clock.h"

namespace rosterd {

class ChildProcess {
 public:
  struct Options {
    // File that gets stdout and stderr; empty: /dev/null.
    std::string output_file;
    // Added to the environment, "NAME=value".
    std::vector<std::string> environment;
    // Inherited variables whose names begin so are left out; empty: none.
    std::string drop_prefix{};
  };

  // argv[0] is looked up in PATH. Error: the program cannot be executed, with its name.
  static absl::StatusOr<ChildProcess> Start(const std::vector<std::string>& argv, Options options);
  static absl::StatusOr<ChildProcess> Start(const std::vector<std::string>& argv) {
    return Start(argv, Options());
  }

  ChildProcess() = default;
  ChildProcess(ChildProcess&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}
  ChildProcess& operator=(ChildProcess&& other) noexcept;
  // SIGKILL, if it still runs.
  ~ChildProcess() { Stop(Duration::zero()); }

  pid_t pid() const { return pid_; }
  // False once it has ended (and has been waited for).
  bool Running();
  void Signal(int signal) const;
  // SIGTERM, then SIGKILL after `grace`; waits for the end. Returns the exit status as of
  // waitpid(), or -1 when nothing ran.
  int Stop(Duration grace);
  // Waits at most `limit` for the end; the status as of waitpid(), or -1 when it still runs.
  int Wait(Duration limit);

 private:
  explicit ChildProcess(pid_t pid) : pid_(pid) {}

  pid_t pid_ = -1;
};

}  // namespace rosterd
