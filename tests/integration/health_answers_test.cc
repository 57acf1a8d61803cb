// SPDX-License-Identifier: Apache-2.0
// What HttpProbe makes of good, bad, broken and hostile answers.
#include <sys/resource.h>

#include <catch2/catch.hpp>
#include <string>

#include "health_probe_run.h"
#include "support/raw_server.h"

namespace rosterd::testing {
namespace {

using Connection = RawServer::Connection;

// One answer, then the connection is closed.
RawServer::Handler Once(std::string answer) {
  return [answer = std::move(answer)](Connection& connection) {
    if (!connection.ReadRequest().empty()) connection.Send(answer);
  };
}
// One answer, then silence on an open connection.
RawServer::Handler ThenHang(std::string answer) {
  return [answer = std::move(answer)](Connection& connection) {
    if (!connection.ReadRequest().empty()) connection.Send(answer);
    connection.Hang();
  };
}

double CpuSeconds() {
  rusage used{};
  getrusage(RUSAGE_THREAD, &used);
  return static_cast<double>(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
         static_cast<double>(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

TEST_CASE("a wanted status is a success") {
  RawServer server(Always(OkAnswer()));
  ProbeRun run;
  const ProbeResult result = run.Run(CheckOf(server.Url("/healthz")));
  CHECK(result.success);
  CHECK(result.http_status == 200);
  CHECK(result.error.empty());
  CHECK(result.duration > Duration::zero());
}

TEST_CASE("the answer decides, and the error says what was wrong with it") {
  struct Row {
    std::string answer, error;
    int status;
  };
  const Row rows[] = {
      {"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", "status 503, wanted 200-299", 503},
      {"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n",
       "status 302, wanted 200-299 (redirects are not followed)", 302},
      {"SSH-2.0-OpenSSH_9.2\r\n", "the answer is not HTTP/1.x", 0},
      {"HTTP/9.9 200 OK\r\n\r\n", "the answer is not HTTP/1.x", 0},
      {std::string(3000, '\xff') + "\r\n\r\n", "the answer is not HTTP/1.x", 0},
      {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok",
       "body cut off: the connection closed before its end", 200},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
       "body cut off: the connection closed before its end", 200},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "malformed chunked body",
       200},
      {"HTTP/1.1 200 OK\r\nX-A: b\r\nX-", "connection closed in the middle of the headers", 200},
      {"HTTP/1.1 503 Busy\r\nContent-Length: 9\r\n\r\nok", "status 503, wanted 200-299", 503},
      {"", "connection closed without an answer", 0},
  };
  for (const Row& row : rows) {
    INFO(row.answer.substr(0, 80));
    RawServer server(Once(row.answer));
    ProbeRun run;
    const ProbeResult result = run.Run(CheckOf(server.Url()));
    CHECK_FALSE(result.success);
    CHECK_FALSE(result.own_trouble);
    CHECK(result.error == row.error);
    CHECK(result.http_status == row.status);
  }
}

TEST_CASE("a redirect is not followed, and no other request is made") {
  RawServer elsewhere(Always(OkAnswer()));
  RawServer server(
      Once("HTTP/1.1 301 Moved\r\nContent-Length: 0\r\nLocation: " + elsewhere.Url() + "\r\n\r\n"));
  ProbeRun run;
  CHECK_FALSE(run.Run(CheckOf(server.Url())).success);
  CHECK(elsewhere.connections() == 0);
}

TEST_CASE("a refused port says so") {
  const RefusingPort port;
  ProbeRun run;
  CHECK(run.Run(CheckOf(port.Url())).error == "connection refused");
}

TEST_CASE("a reset connection says so") {
  RawServer server([](Connection& connection) {
    connection.ReadRequest();
    connection.Reset();
  });
  ProbeRun run;
  CHECK(run.Run(CheckOf(server.Url())).error == "connection reset by peer");
}

TEST_CASE("the timeout spans everything from the connect to the last byte") {
  RawServer silent([](Connection& connection) { connection.Hang(); });
  RawServer slow([](Connection& connection) {
    connection.ReadRequest();
    connection.Send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
    while (connection.Send("x")) std::this_thread::sleep_for(milliseconds(20));
  });
  RawServer half(ThenHang("HTTP/1.1 200 OK\r\nContent-Le"));
  ProbeRun run;
  const std::pair<std::string, std::string> rows[] = {
      {silent.Url(), "timed out after 200ms waiting for the answer"},
      {slow.Url(), "timed out after 200ms in the middle of the answer"},
      {half.Url(), "timed out after 200ms"},
  };
  for (const auto& [url, error] : rows) {
    const ProbeResult result = run.Run(CheckOf(url, milliseconds(200)));
    CHECK_FALSE(result.success);
    CHECK(result.error.find(error) == 0);
    CHECK(result.duration >= milliseconds(200));
    CHECK(result.duration < milliseconds(700));
  }
}

TEST_CASE("expect_body is looked for in the first 64 KiB only") {
  const auto with = [](const std::string& body) {
    return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  };
  struct Row {
    std::string body, error;
  };
  const std::string limit(64 * 1024, 'x');
  const Row rows[] = {
      {"all is ready here", ""},
      {"not yet", "body does not contain 'ready'"},
      {limit.substr(5) + "ready", ""},
      {limit.substr(5) + "ready" + limit, ""},
      {limit.substr(4) + "ready", "the first 64 KiB of the body do not contain 'ready'"},
      {limit + "ready", "the first 64 KiB of the body do not contain 'ready'"},
  };
  for (const Row& row : rows) {
    RawServer server(Always(with(row.body)));
    ProbeRun run;
    CheckConfig check = CheckOf(server.Url());
    check.expect_body = "ready";
    const ProbeResult result = run.Run(check);
    INFO(row.body.size());
    CHECK(result.error == row.error);
    CHECK(result.success == row.error.empty());
  }
}

TEST_CASE(
    "expect_body is found across chunks, and a body cut behind it is a failure all the same") {
  RawServer whole(
      Always("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
             "3\r\nrea\r\n2\r\ndy\r\n0\r\n\r\n"));
  RawServer cut(Once("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nready"));
  ProbeRun run;
  for (RawServer* server : {&whole, &cut}) {
    CheckConfig check = CheckOf(server->Url());
    check.expect_body = "ready";
    CHECK(run.Run(check).success == (server == &whole));
  }
}

TEST_CASE("1 GB of body costs no more than its beginning") {
  for (const bool chunked : {false, true}) {
    RawServer server([chunked](Connection& connection) {
      connection.ReadRequest();
      connection.Send(chunked ? "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40000000\r\n"
                              : "HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n");
      const std::string block(1 << 20, 'x');
      for (int i = 0; i < 1024 && connection.Send(block); ++i) {
      }
    });
    ProbeRun run;
    const ProbeResult result = run.Run(CheckOf(server.Url()));
    CHECK(result.success);
    CHECK(result.duration < seconds(1));
    // What the kernel buffers on both sides is all that travels.
    CHECK(server.bytes_sent() < 64u << 20);
  }
}

TEST_CASE("endless headers are a failure that says so") {
  RawServer many([](Connection& connection) {
    connection.ReadRequest();
    connection.Send("HTTP/1.1 200 OK\r\n");
    while (connection.Send("X-Filler: yes\r\n")) {
    }
  });
  RawServer big([](Connection& connection) {
    connection.ReadRequest();
    connection.Send("HTTP/1.1 200 OK\r\n");
    while (connection.Send("X-Filler: " + std::string(8000, 'x') + "\r\n")) {
    }
  });
  RawServer line([](Connection& connection) {
    connection.ReadRequest();
    connection.Send("HTTP/1.1 200 OK\r\nX-Filler: ");
    const std::string block(1 << 16, 'x');
    while (connection.Send(block)) {
    }
  });
  RawServer informational([](Connection& connection) {
    connection.ReadRequest();
    while (connection.Send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")) {
    }
  });
  ProbeRun run;
  for (RawServer* server : {&many, &big, &informational}) {
    const ProbeResult result = run.Run(CheckOf(server->Url()));
    CHECK(result.error == "the answer has more than 64 headers or 32 KiB of them");
    CHECK(result.duration < seconds(1));
  }
  CHECK(run.Run(CheckOf(line.Url())).error == "a header line is longer than 100 KB");
}

TEST_CASE("an endless chunk extension ends soon and burns no core until the timeout") {
  RawServer server([](Connection& connection) {
    connection.ReadRequest();
    connection.Send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;ext=");
    const std::string block(1 << 16, 'x');
    while (connection.Send(block)) {
    }
  });
  ProbeRun run;
  const double before = CpuSeconds();
  const ProbeResult result = run.Run(CheckOf(server.Url()));
  CHECK_FALSE(result.success);
  CHECK(result.error.find("the answer comes to no end") == 0);
  CHECK(CpuSeconds() - before < 2);
}

TEST_CASE("method, headers, Host and credentials arrive as configured, and nothing else") {
  std::string seen;
  std::mutex mutex;
  RawServer server([&](Connection& connection) {
    for (std::string head; !(head = connection.ReadRequest()).empty();) {
      std::lock_guard lock(mutex);
      seen = head;
      connection.Send(head.starts_with("HEAD") ? "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n"
                                               : OkAnswer());
    }
  });
  const std::string authority = "127.0.0.1:" + std::to_string(server.port());
  ProbeRun run;
  CheckConfig check = CheckOf("http://user:secret@" + authority + "/a/../b?c");
  check.headers = {{"X-Probe", "yes"}};
  for (const std::string method : {"GET", "HEAD", "POST", "PUT", "OPTIONS"}) {
    check.method = method;
    INFO(method);
    REQUIRE(run.Run(check).success);
    std::lock_guard lock(mutex);
    CHECK(seen.find(method + " /a/../b?c HTTP/1.1\r\n") == 0);
    CHECK(seen.find("\r\nHost: " + authority + "\r\n") != std::string::npos);
    CHECK(seen.find("\r\nX-Probe: yes\r\n") != std::string::npos);
    CHECK(seen.find("\r\nAuthorization: Basic dXNlcjpzZWNyZXQ=\r\n") != std::string::npos);
    CHECK(seen.find("\r\nUser-Agent: rosterd/") != std::string::npos);
    CHECK(seen.find("Content-Type") == std::string::npos);
    CHECK((seen.find("\r\nContent-Length: 0\r\n") != std::string::npos) ==
          (method == "POST" || method == "PUT"));
  }
  // Handles are used again for other checks: nothing of this one may stay.
  CheckConfig plain = CheckOf(server.Url());
  REQUIRE(run.Run(plain).success);
  std::lock_guard lock(mutex);
  CHECK(seen.find("GET / HTTP/1.1\r\n") == 0);
  CHECK(seen.find("X-Probe") == std::string::npos);
  CHECK(seen.find("Authorization") == std::string::npos);
}

TEST_CASE("expect_status takes what it lists, 404 included") {
  RawServer server(Always("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"));
  ProbeRun run;
  CheckConfig check = CheckOf(server.Url());
  check.expect_status = {{200, 204}, {404, 404}};
  CHECK(run.Run(check).success);
}

TEST_CASE("proxy variables of the environment are not used") {
  const RefusingPort proxy;
  setenv("http_proxy", proxy.Url().c_str(), 1);
  setenv("ALL_PROXY", proxy.Url().c_str(), 1);
  RawServer server(Always(OkAnswer()));
  ProbeRun run;
  const ProbeResult result = run.Run(CheckOf(server.Url()));
  unsetenv("http_proxy");
  unsetenv("ALL_PROXY");
  CHECK(result.success);
}

TEST_CASE("only http and https are spoken, and an error never shows the password") {
  ProbeRun run;
  for (const char* url : {"file:///etc/passwd", "ftp://user:secret@127.0.0.1/", "gopher://h/"}) {
    const ProbeResult result = run.Run(CheckOf(url));
    CHECK_FALSE(result.success);
    CHECK(result.error.find("is not an http or https URL") != std::string::npos);
    CHECK(result.error.find("secret") == std::string::npos);
  }
}

}  // namespace
}  // namespace rosterd::testing
