// SPDX-License-Identifier: Apache-2.0
// Kept connections, black holes and stops.
#include <sys/resource.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "health_probe_run.h"
#include "support/raw_server.h"

namespace rosterd::testing {
namespace {

using Connection = RawServer::Connection;

TEST_CASE("a connection is kept and used again") {
  RawServer server(Always(OkAnswer()));
  ProbeRun run;
  const CheckId id = run.Add(CheckOf(server.Url()));
  for (int i = 0; i < 5; ++i) REQUIRE(run.Run(id).success);
  CHECK(server.connections() == 1);
  CHECK(server.requests() == 5);
}

TEST_CASE("100 checks keep 100 connections") {
  RawServer server(Always(OkAnswer()));
  ProbeRun run;
  std::vector<CheckId> ids;
  for (int i = 0; i < 100; ++i) ids.push_back(run.Add(CheckOf(server.Url())));
  for (int round = 0; round < 3; ++round) {
    for (const CheckId id : ids) run.probe().Start(id, run.Now());
    for (const CheckId id : ids) REQUIRE(run.Await(id).success);
  }
  CHECK(server.requests() == 300);
  CHECK(server.connections() <= 100);
}

TEST_CASE("a kept connection that the server has closed costs no failure") {
  // Closes after each answer without having said so.
  RawServer server([](Connection& connection) {
    connection.ReadRequest();
    connection.Send(OkAnswer());
  });
  ProbeRun run;
  const CheckId id = run.Add(CheckOf(server.Url()));
  for (int i = 0; i < 5; ++i) CHECK(run.Run(id).success);
  CHECK(server.connections() == 5);
}

TEST_CASE(
    "a connection that dies under the second request is replaced before anything is counted") {
  RawServer server([](Connection& connection) {
    connection.ReadRequest();
    connection.Send(OkAnswer());
    connection.ReadRequest();
    connection.Reset();
  });
  ProbeRun run;
  const CheckId id = run.Add(CheckOf(server.Url()));
  for (int i = 0; i < 4; ++i) CHECK(run.Run(id).success);
}

TEST_CASE("stray bytes on a kept connection are not taken for the next answer") {
  for (const std::string stray : {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "garbage",
                                  "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"}) {
    INFO(stray);
    // The first connection sends an answer too many; everything after it is a failure.
    RawServer server([stray](Connection& connection) {
      connection.ReadRequest();
      if (connection.number() == 1) {
        connection.Send(OkAnswer());
        std::this_thread::sleep_for(milliseconds(30));
        connection.Send(stray);
        connection.Hang();
      } else {
        connection.Send("HTTP/1.1 404 Gone\r\nContent-Length: 0\r\n\r\n");
      }
    });
    ProbeRun run;
    const CheckId id = run.Add(CheckOf(server.Url()));
    REQUIRE(run.Run(id).success);
    std::this_thread::sleep_for(milliseconds(80));
    const ProbeResult second = run.Run(id);
    CHECK_FALSE(second.success);
    CHECK(second.error == "status 404, wanted 200-299");
    CHECK(server.connections() == 2);
  }
}

TEST_CASE("a failure on a kept connection counts once it is repeated on a fresh one") {
  RawServer server([](Connection& connection) {
    connection.ReadRequest();
    connection.Send(connection.number() == 1 ? OkAnswer()
                                             : "HTTP/1.1 500 Down\r\nContent-Length: 0\r\n\r\n");
    connection.ReadRequest();
    connection.Send("HTTP/1.1 500 Down\r\nContent-Length: 0\r\n\r\n");
  });
  ProbeRun run;
  const CheckId id = run.Add(CheckOf(server.Url()));
  REQUIRE(run.Run(id).success);
  CHECK(run.Run(id).error == "status 500, wanted 200-299");
  CHECK(server.requests() == 3);
}

TEST_CASE("black holes delay nobody") {
  RawServer hole([](Connection& connection) { connection.Hang(); });
  RawServer good(Always(OkAnswer()));
  ProbeRun run;
  std::vector<CheckId> holes;
  for (int i = 0; i < 100; ++i) holes.push_back(run.Add(CheckOf(hole.Url(), seconds(2))));
  const CheckId id = run.Add(CheckOf(good.Url()));
  for (const CheckId one : holes) run.probe().Start(one, run.Now());
  for (int i = 0; i < 10; ++i) {
    const ProbeResult result = run.Run(id);
    CHECK(result.success);
    CHECK(result.duration < milliseconds(500));
  }
  for (const CheckId one : holes) CHECK(run.Await(one).duration < seconds(3));
}

TEST_CASE("running out of descriptors is our own trouble, not the service's") {
  RawServer server(Always(OkAnswer()));
  ProbeRun run;
  const CheckId id = run.Add(CheckOf(server.Url()));
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
  const int next = ::dup(0);
  REQUIRE(next >= 0);
  ::close(next);
  const rlimit none_left{static_cast<rlim_t>(next), before.rlim_max};
  REQUIRE(setrlimit(RLIMIT_NOFILE, &none_left) == 0);
  const ProbeResult result = run.Run(id);
  REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK_FALSE(result.success);
  CHECK(result.own_trouble);
  CHECK(result.error == "cannot open a socket: too many open files");
  CHECK(run.Run(id).success);
}

TEST_CASE("a check removed in mid-flight yields nothing, and the others go on") {
  RawServer hole([](Connection& connection) { connection.Hang(); });
  RawServer good(Always(OkAnswer()));
  ProbeRun run;
  const CheckId doomed = run.Add(CheckOf(hole.Url(), milliseconds(100)));
  run.probe().Start(doomed, run.Now());
  run.probe().Wait(run.Now() + milliseconds(20));
  run.probe().Remove(doomed);
  const CheckId id = run.Add(CheckOf(good.Url()));
  CHECK(run.Run(id).success);
  run.probe().Wait(run.Now() + milliseconds(150));
  std::vector<ProbeResult> results;
  run.probe().Collect(results);
  CHECK(results.empty());
}

}  // namespace
}  // namespace rosterd::testing
