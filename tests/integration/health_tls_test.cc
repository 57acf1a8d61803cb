// SPDX-License-Identifier: Apache-2.0
// Checks over https against `openssl s_server` with certificates made on the spot.
#include <stdlib.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "base/child_process.h"
#include "health_probe_run.h"
#include "support/raw_server.h"

namespace rosterd::testing {
namespace {

class TlsServer {
 public:
  // Its own authority: the certificate signs itself and is for `name` only.
  explicit TlsServer(const std::string& name) {
    char path[] = "/tmp/rosterd-tls-XXXXXX";
    REQUIRE(mkdtemp(path) != nullptr);
    dir_ = path;
    Must({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
          "-nodes", "-days", "2", "-subj", "/CN=" + name, "-addext", "subjectAltName=DNS:" + name,
          "-keyout", dir_ + "/key.pem", "-out", ca()});
    auto child =
        ChildProcess::Start({"openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", ca(), "-key",
                             dir_ + "/key.pem", "-www"},
                            ChildProcess::Options{.output_file = dir_ + "/out", .environment = {}});
    REQUIRE(child.ok());
    server_ = std::move(*child);
    port_ = AwaitPort();
  }
  ~TlsServer() {
    server_.Stop(Duration::zero());
    std::error_code ignored;
    std::filesystem::remove_all(dir_, ignored);
  }

  std::string ca() const { return dir_ + "/cert.pem"; }
  std::string dir() const { return dir_; }
  std::string Url(const std::string& host = "127.0.0.1") const {
    return "https://" + host + ":" + port_ + "/";
  }

 private:
  static void Must(const std::vector<std::string>& argv) {
    auto child = ChildProcess::Start(argv);
    REQUIRE(child.ok());
    REQUIRE(child->Wait(seconds(20)) == 0);
  }
  std::string AwaitPort() const {
    const TimePoint limit = BootClock::now() + seconds(10);
    while (BootClock::now() < limit) {
      std::ifstream in(dir_ + "/out");
      const std::string text{std::istreambuf_iterator<char>(in), {}};
      const size_t at = text.find("ACCEPT 127.0.0.1:");
      const size_t end = text.find('\n', at);
      if (at != std::string::npos && end != std::string::npos) {
        return text.substr(at + 17, end - at - 17);
      }
      std::this_thread::sleep_for(milliseconds(10));
    }
    FAIL("openssl s_server did not start");
    return "";
  }

  std::string dir_;
  ChildProcess server_;
  std::string port_;
};

TEST_CASE("https checks trust what they are told to, and nothing else") {
  TlsServer server("localhost");
  TlsServer stranger("localhost");
  ProbeRun run;
  CheckConfig check = CheckOf(server.Url("localhost"));

  SECTION("the own CA is trusted") {
    check.tls.ca = server.ca();
    const ProbeResult result = run.Run(check);
    INFO(result.error);
    CHECK(result.success);
  }
  SECTION("the system does not know the certificate") {
    CHECK(run.Run(check).error == "TLS: certificate not trusted: self-signed certificate");
  }
  SECTION("another CA does not help") {
    check.tls.ca = stranger.ca();
    CHECK(run.Run(check).error.find("TLS: certificate not trusted: ") == 0);
  }
  SECTION("insecure asks nothing") {
    check.tls.insecure = true;
    CHECK(run.Run(check).success);
    CheckConfig secure = CheckOf(server.Url("localhost"));
    CHECK_FALSE(run.Run(secure).success);
  }
  SECTION("the certificate must be for the URL's host") {
    check.url = server.Url("127.0.0.1");
    check.tls.ca = server.ca();
    CHECK(run.Run(check).error == "TLS: the certificate is not for '127.0.0.1'");
  }
  SECTION("server_name is verified in place of the URL's host") {
    check.url = server.Url("127.0.0.1");
    check.tls.ca = server.ca();
    check.tls.server_name = "localhost";
    const ProbeResult result = run.Run(check);
    INFO(result.error);
    CHECK(result.success);
    check.tls.server_name = "elsewhere.example";
    CHECK(run.Run(check).error == "TLS: the certificate is not for 'elsewhere.example'");
  }
  SECTION("a CA file that is missing or holds no certificate is named") {
    check.tls.ca = server.dir() + "/none.pem";
    CHECK(run.Run(check).error ==
          "TLS: the CA file '" + check.tls.ca + "' cannot be read: no such file or directory");
    check.tls.ca = server.dir() + "/out";
    CHECK(run.Run(check).error == "TLS: '" + check.tls.ca + "' holds no usable CA certificate");
  }
  SECTION("a CA file that was replaced is read again") {
    check.tls.ca = server.dir() + "/ca.pem";
    std::filesystem::copy_file(stranger.ca(), check.tls.ca);
    const CheckId id = run.Add(check);
    CHECK_FALSE(run.Run(id).success);
    std::filesystem::copy_file(server.ca(), check.tls.ca,
                               std::filesystem::copy_options::overwrite_existing);
    CHECK(run.Run(id).success);
  }
}

TEST_CASE("a server without TLS behind an https URL says so") {
  RawServer server([](RawServer::Connection& connection) {
    connection.Send("HTTP/1.1 400 Bad Request\r\n\r\n");
    connection.Hang();
  });
  ProbeRun run;
  const ProbeResult result =
      run.Run(CheckOf("https://127.0.0.1:" + std::to_string(server.port()) + "/"));
  CHECK(result.error == "TLS handshake failed: the server does not seem to speak TLS");
}

TEST_CASE("a handshake that hangs times out as one") {
  RawServer server([](RawServer::Connection& connection) { connection.Hang(); });
  ProbeRun run;
  const ProbeResult result = run.Run(
      CheckOf("https://127.0.0.1:" + std::to_string(server.port()) + "/", milliseconds(200)));
  CHECK(result.error == "timed out after 200ms in the TLS handshake");
}

TEST_CASE("the system's CA bundle is parsed once, not for each connection") {
  TlsServer server("localhost");
  ProbeRun run;
  const CheckConfig check = CheckOf(server.Url("localhost"));
  run.Run(check);
  CheckConfig own = check;
  own.tls.ca = server.ca();
  // An own CA in between must not push the system's bundle out.
  CHECK(run.Run(own).success);
  Duration best = seconds(1);
  for (int i = 0; i < 5; ++i) best = std::min(best, run.Run(check).duration);
  // One parse takes 30 to 40 ms with the real bundle.
  CHECK(best < milliseconds(20));
}

}  // namespace
}  // namespace rosterd::testing
