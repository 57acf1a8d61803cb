// SPDX-License-Identifier: Apache-2.0
#include "base/child_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/unique_fd.h"

extern char** environ;

namespace rosterd {
namespace {

// Only async-signal-safe calls: between fork and exec. `error_pipe` carries errno of a failed exec.
[[noreturn]] void BecomeProgram(char* const* argv, char* const* envp, const char* output,
                                pid_t parent, int error_pipe) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  const int in = open("/dev/null", O_RDONLY);
  const int out = open(output, O_WRONLY | O_CREAT | O_APPEND, 0644);
  dup2(in, 0);
  dup2(out, 1);
  dup2(out, 2);
  execvpe(argv[0], argv, envp);
  const int error = errno;
  [[maybe_unused]] const ssize_t written = write(error_pipe, &error, sizeof error);
  _exit(127);
}

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (const std::string& s : strings) pointers.push_back(const_cast<char*>(s.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

absl::StatusOr<ChildProcess> ChildProcess::Start(const std::vector<std::string>& argv,
                                                 Options options) {
  int pipe_fds[2];
  if (pipe2(pipe_fds, O_CLOEXEC) != 0) {
    return absl::InternalError(std::string("cannot make a pipe: ") + strerror(errno));
  }
  UniqueFd read_end(pipe_fds[0]);
  UniqueFd write_end(pipe_fds[1]);
  std::vector<std::string> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) environment.emplace_back(*entry);
  environment.insert(environment.end(), options.environment.begin(), options.environment.end());
  const std::vector<char*> argv_pointers = Pointers(argv);
  const std::vector<char*> env_pointers = Pointers(environment);
  const std::string output = options.output_file.empty() ? "/dev/null" : options.output_file;
  const pid_t parent = getpid();

  const pid_t pid = fork();
  if (pid < 0) return absl::InternalError(std::string("cannot fork: ") + strerror(errno));
  if (pid == 0) {
    BecomeProgram(argv_pointers.data(), env_pointers.data(), output.c_str(), parent,
                  write_end.get());
  }
  ChildProcess child(pid);
  write_end.Reset();
  int exec_error = 0;
  if (read(read_end.get(), &exec_error, sizeof exec_error) == sizeof exec_error) {
    child.Stop(Duration::zero());
    return absl::NotFoundError("cannot run '" + argv[0] + "': " + strerror(exec_error));
  }
  return child;
}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
  if (this != &other) {
    Stop(Duration::zero());
    pid_ = std::exchange(other.pid_, -1);
  }
  return *this;
}

bool ChildProcess::Running() { return pid_ > 0 && Wait(Duration::zero()) == -1 && pid_ > 0; }

void ChildProcess::Signal(int signal) const {
  if (pid_ > 0) ::kill(pid_, signal);
}

int ChildProcess::Wait(Duration limit) {
  if (pid_ <= 0) return -1;
  const TimePoint end = BootClock::now() + limit;
  for (;;) {
    int status = 0;
    if (waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = -1;
      return status;
    }
    if (BootClock::now() >= end) return -1;
    usleep(2000);
  }
}

int ChildProcess::Stop(Duration grace) {
  if (pid_ <= 0) return -1;
  if (grace > Duration::zero()) {
    Signal(SIGTERM);
    const int status = Wait(grace);
    if (status != -1) return status;
  }
  Signal(SIGKILL);
  Signal(SIGCONT);
  return Wait(std::chrono::seconds(5));
}

}  // namespace rosterd
