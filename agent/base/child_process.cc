// SPDX-License-Identifier: Apache-2.0
#include "base/child_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/unique_fd.h"

extern char** environ;

namespace rosterd {
namespace {

// What the child says through the pipe when it could not become the program.
struct Failure {
  bool output = false;  // the output file, not the program
  int error = 0;
};

[[noreturn]] void Fail(int error_pipe, bool output, int error) {
  const Failure failure{output, error};
  [[maybe_unused]] const ssize_t written = write(error_pipe, &failure, sizeof failure);
  _exit(127);
}

// Only async-signal-safe calls: between fork and exec.
[[noreturn]] void BecomeProgram(char* const* argv, char* const* envp, const char* output,
                                pid_t parent, int error_pipe) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);  // ignored signals stay ignored across exec
  const int in = open("/dev/null", O_RDONLY);
  const int out = open(output, O_WRONLY | O_CREAT | O_APPEND, 0644);
  if (out < 0) Fail(error_pipe, true, errno);
  dup2(in, 0);
  dup2(out, 1);
  dup2(out, 2);
  if (in > 2) close(in);
  if (out > 2) close(out);
  execvpe(argv[0], argv, envp);
  Fail(error_pipe, false, errno);
}

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (const std::string& s : strings) pointers.push_back(const_cast<char*>(s.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// Ours, but for what `added` sets: of two entries with one name most programs see the first.
std::vector<std::string> Environment(const std::vector<std::string>& added,
                                     const std::string& drop_prefix) {
  std::vector<std::string> environment = added;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    if (!drop_prefix.empty() && text.starts_with(drop_prefix)) continue;
    const std::string_view name = text.substr(0, text.find('=') + 1);
    const bool replaced = std::any_of(added.begin(), added.end(), [&](const std::string& other) {
      return !name.empty() && other.starts_with(name);
    });
    if (!replaced) environment.emplace_back(text);
  }
  return environment;
}

}  // namespace

absl::StatusOr<ChildProcess> ChildProcess::Start(const std::vector<std::string>& argv,
                                                 Options options) {
  if (argv.empty()) return absl::InvalidArgumentError("no program to run was named");
  int pipe_fds[2];
  if (pipe2(pipe_fds, O_CLOEXEC) != 0) {
    return absl::InternalError(std::string("cannot make a pipe: ") + strerror(errno));
  }
  UniqueFd read_end(pipe_fds[0]);
  UniqueFd write_end(pipe_fds[1]);
  const std::vector<std::string> environment =
      Environment(options.environment, options.drop_prefix);
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
  Failure failure;
  ssize_t got = 0;
  while ((got = read(read_end.get(), &failure, sizeof failure)) < 0 && errno == EINTR) {
  }
  if (got != sizeof failure) return child;
  child.Stop(Duration::zero());
  if (failure.output) {
    return absl::PermissionDeniedError("cannot write the output of '" + argv[0] + "' to '" +
                                       output + "': " + strerror(failure.error));
  }
  return absl::NotFoundError("cannot run '" + argv[0] + "': " + strerror(failure.error));
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
    const pid_t ended = waitpid(pid_, &status, WNOHANG);
    if (ended == pid_) {
      pid_ = -1;
      return status;
    }
    if (ended < 0 && errno == ECHILD) {  // somebody else has waited for it
      pid_ = -1;
      return -1;
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
