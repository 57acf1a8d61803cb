// SPDX-License-Identifier: Apache-2.0
// Names in checks: the system's resolver, and one that never answers.
#include <unistd.h>

#include <catch2/catch.hpp>
#include <string>

#include "health_probe_run.h"
#include "support/raw_server.h"

namespace rosterd::testing {
namespace {

struct SilentResolver final : LookupBackend {
  void Start(const std::string&) override {}
  void Collect(std::vector<Answer>&) override {}
};
struct LoopbackResolver final : LookupBackend {
  void Start(const std::string& host) override { answers.push_back({host, {"127.0.0.1"}, ""}); }
  void Collect(std::vector<Answer>& out) override {
    out = std::move(answers);
    answers.clear();
  }
  std::vector<Answer> answers;
};

TEST_CASE("a silent resolver costs only the checks that need it") {
  RawServer good(Always(OkAnswer()));
  ProbeRun run(std::make_unique<SilentResolver>());
  const CheckId stuck = run.Add(CheckOf("http://silent.example:1/", milliseconds(300)));
  run.probe().Start(stuck, run.Now());
  for (int i = 0; i < 5; ++i) {
    const ProbeResult result = run.Run(CheckOf(good.Url()));
    CHECK(result.success);
    CHECK(result.duration < milliseconds(200));
  }
  const ProbeResult result = run.Await(stuck);
  CHECK(result.error == "timed out after 300ms looking up 'silent.example'");
  CHECK(result.duration < milliseconds(800));
}

TEST_CASE("the name that was looked up is the one that is connected to and asked for") {
  std::string host;
  std::mutex mutex;
  RawServer server([&](RawServer::Connection& connection) {
    const std::string head = connection.ReadRequest();
    std::lock_guard lock(mutex);
    host = head;
    connection.Send(OkAnswer());
  });
  ProbeRun run(std::make_unique<LoopbackResolver>());
  const std::string name = "web.example:" + std::to_string(server.port());
  REQUIRE(run.Run(CheckOf("http://" + name + "/")).success);
  std::lock_guard lock(mutex);
  CHECK(host.find("Host: " + name + "\r\n") != std::string::npos);
}

// glibc starts the threads of getaddrinfo_a behind ThreadSanitizer's back, which ends in a crash.
#ifndef __SANITIZE_THREAD__
TEST_CASE("the system's resolver knows this host, and says when a name has no address") {
  RawServer server(Always(OkAnswer()));
  ProbeRun run;
  CHECK(run.Run(CheckOf("http://localhost:" + std::to_string(server.port()) + "/")).success);
  char name[256] = "";
  REQUIRE(gethostname(name, sizeof name - 1) == 0);
  // Whatever address it has, nothing listens there or the server answers: never a lookup error.
  const ProbeResult mine =
      run.Run(CheckOf("http://" + std::string(name) + ":" + std::to_string(server.port()) + "/"));
  INFO(mine.error);
  CHECK((mine.success || mine.error.find("address") != std::string::npos ||
         mine.error == "connection refused"));
  const ProbeResult none = run.Run(CheckOf("http://no-such-host.invalid/", seconds(5)));
  INFO(none.error);
  CHECK_FALSE(none.success);
  CHECK((none.error.find("no address for 'no-such-host.invalid': ") == 0 ||
         none.error.find("looking up 'no-such-host.invalid'") != std::string::npos));
}
#endif

}  // namespace
}  // namespace rosterd::testing
