// SPDX-License-Identifier: Apache-2.0
// Programs started and ended. These run for real, for milliseconds.
#include "base/child_process.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace rosterd {
namespace {

constexpr Duration kDeadline = seconds(10);

// A file of its own that goes away with the test.
struct OutputFile {
  OutputFile() {
    char name[] = "/tmp/rosterd-child-XXXXXX";
    const int fd = mkstemp(name);
    REQUIRE(fd >= 0);
    close(fd);
    path = name;
  }
  ~OutputFile() { std::filesystem::remove(path); }
  std::string Text() const {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }
  std::string path;
};

TEST_CASE("a program is found in PATH, runs, and its exit status is told") {
  auto ok = ChildProcess::Start({"true"});
  REQUIRE(ok.ok());
  CHECK(ok->Wait(kDeadline) == 0);
  auto seven = ChildProcess::Start({"/bin/sh", "-c", "exit 7"});
  REQUIRE(seven.ok());
  const int status = seven->Wait(kDeadline);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 7);
  CHECK_FALSE(seven->Running());
  CHECK(seven->Wait(kDeadline) == -1);
}

TEST_CASE("a program that is missing, or none at all, is an error with its name") {
  const auto missing = ChildProcess::Start({"/nonexistent/rosterd-test", "x"});
  REQUIRE_FALSE(missing.ok());
  CHECK_THAT(std::string(missing.status().message()),
             Catch::Contains("'/nonexistent/rosterd-test'") &&
                 Catch::Contains("No such file or directory"));
  const auto forbidden = ChildProcess::Start({"/dev/null"});
  REQUIRE_FALSE(forbidden.ok());
  CHECK_THAT(std::string(forbidden.status().message()), Catch::Contains("Permission denied"));
  CHECK_FALSE(ChildProcess::Start({}).ok());
}

TEST_CASE("output goes to the file, appended, and an output file that cannot be is an error") {
  const OutputFile file;
  for (int i = 0; i < 2; ++i) {
    auto child = ChildProcess::Start({"/bin/sh", "-c", "echo out; echo err >&2"},
                                     {.output_file = file.path, .environment = {}});
    REQUIRE(child.ok());
    CHECK(child->Wait(kDeadline) == 0);
  }
  CHECK(file.Text() == "out\nerr\nout\nerr\n");
  const auto bad =
      ChildProcess::Start({"true"}, {.output_file = "/nonexistent/dir/log", .environment = {}});
  REQUIRE_FALSE(bad.ok());
  CHECK_THAT(std::string(bad.status().message()), Catch::Contains("'/nonexistent/dir/log'"));
}

TEST_CASE("the environment is ours with additions, and an addition wins over what was there") {
  REQUIRE(setenv("ROSTERD_TEST_OURS", "ours", 1) == 0);
  REQUIRE(setenv("ROSTERD_TEST_BOTH", "ours", 1) == 0);
  const OutputFile file;
  auto child = ChildProcess::Start(
      {"/bin/sh", "-c", "env | grep ^ROSTERD_TEST_ | sort"},
      {.output_file = file.path, .environment = {"ROSTERD_TEST_BOTH=new", "ROSTERD_TEST_ADDED=1"}});
  REQUIRE(child.ok());
  CHECK(child->Wait(kDeadline) == 0);
  CHECK(file.Text() == "ROSTERD_TEST_ADDED=1\nROSTERD_TEST_BOTH=new\nROSTERD_TEST_OURS=ours\n");
  unsetenv("ROSTERD_TEST_OURS");
  unsetenv("ROSTERD_TEST_BOTH");
}

TEST_CASE("a program that runs can be stopped, and leads its own process group") {
  auto child = ChildProcess::Start({"sleep", "1000"});
  REQUIRE(child.ok());
  CHECK(child->Running());
  CHECK(getpgid(child->pid()) == child->pid());
  const int status = child->Stop(kDeadline);
  CHECK(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGTERM);
  CHECK_FALSE(child->Running());
  CHECK(child->Stop(kDeadline) == -1);
}

TEST_CASE("a program that ignores SIGTERM, or is frozen, is killed") {
  SECTION("frozen") {
    auto child = ChildProcess::Start({"sleep", "1000"});
    REQUIRE(child.ok());
    child->Signal(SIGSTOP);
    const int status = child->Stop(milliseconds(20));
    CHECK(WIFSIGNALED(status));  // by which of the two that wait for it, kernels differ
  }
  SECTION("ignoring") {
    const OutputFile file;
    auto child = ChildProcess::Start({"/bin/sh", "-c", "trap '' TERM; echo ready; exec sleep 1000"},
                                     {.output_file = file.path, .environment = {}});
    REQUIRE(child.ok());
    const TimePoint end = BootClock::now() + kDeadline;
    while (file.Text().empty() && BootClock::now() < end) child->Wait(milliseconds(1));
    const int status = child->Stop(milliseconds(20));
    CHECK(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == SIGKILL);
  }
  SECTION("no grace at all") {
    auto child = ChildProcess::Start({"sleep", "1000"});
    REQUIRE(child.ok());
    CHECK(WTERMSIG(child->Stop(Duration::zero())) == SIGKILL);
  }
}

TEST_CASE("a program dies with the object that owns it, and moving hands it on") {
  pid_t pid = -1;
  {
    auto child = ChildProcess::Start({"sleep", "1000"});
    REQUIRE(child.ok());
    pid = child->pid();
    ChildProcess other = std::move(*child);
    CHECK(other.pid() == pid);
    CHECK(child->pid() == -1);
    CHECK(kill(pid, 0) == 0);
    auto second = ChildProcess::Start({"sleep", "1000"});
    REQUIRE(second.ok());
    other = std::move(*second);
    CHECK(kill(pid, 0) == -1);  // what it owned before is gone
    pid = other.pid();
  }
  CHECK(kill(pid, 0) == -1);
}

TEST_CASE("one that never ran is not running") {
  ChildProcess none;
  CHECK_FALSE(none.Running());
  CHECK(none.Wait(Duration::zero()) == -1);
  CHECK(none.Stop(kDeadline) == -1);
}

TEST_CASE("one whose end somebody else has waited for is not running") {
  auto child = ChildProcess::Start({"true"});
  REQUIRE(child.ok());
  int status = 0;
  REQUIRE(waitpid(child->pid(), &status, 0) == child->pid());
  CHECK_FALSE(child->Running());
}

}  // namespace
}  // namespace rosterd
