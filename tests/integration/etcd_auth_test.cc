// SPDX-License-Identifier: Apache-2.0
// User and password against real etcd processes: tokens that expire, passwords that are wrong and
// mended, access control switched on and off while the session runs.
#include <catch2/catch.hpp>

#include "etcd_running_session.h"
#include "support/certificate_folder.h"
#include "support/etcd_process.h"
#include "support/watch_run.h"

namespace rosterd::testing {
namespace {

using etcd::ErrorClass;

constexpr milliseconds kTimeout{1500};

etcd::DevServer::Options Quick(std::vector<std::string> flags = {}) {
  etcd::DevServer::Options options;
  options.flags = std::move(flags);
  options.flags.emplace_back("--bcrypt-cost=4");
  return options;
}

// The settings of the user "app", whose password file is a file of `files`.
EtcdConfig AsApp(const EtcdProcess& etcd, const CertificateFolder& files,
                 const std::string& password) {
  files.Write("password", password + "\n");
  EtcdConfig settings;
  settings.endpoints = {etcd.endpoint()};
  settings.username = "app";
  settings.password_file = files.Path("password");
  return settings;
}

bool Put(etcd::Client& client, const std::string& key, int64_t lease = 0) {
  const auto answer =
      client.Write({{etcd::GuardedWrite::Kind::kPut, key, "x", lease, 0}}, kTimeout);
  return answer.ok() && answer->answers[0].done;
}

TEST_CASE("a user with a password reads, writes and watches") {
  CertificateFolder files;
  EtcdProcess etcd(Quick());
  etcd.EnableAuth("app", "secret", "/services/");
  RunningSession session(AsApp(etcd, files, "secret"));
  REQUIRE(session.WaitConnected());
  WatchRun watch(*session, "/services/", 1);
  REQUIRE(watch.WaitForCreated());
  REQUIRE(session->Grant(7, seconds(60), kTimeout).ok());
  CHECK(Put(*session, "/services/a", 7));
  CHECK(watch.WaitForEvents(1));
  CHECK(session->List("/services/", kTimeout)->kvs.size() == 1);
  CHECK(session->KeepAlive(7, kTimeout).ok());
  CHECK(session.Requests("authenticate", "ok") == 1);
  CHECK(session.LinesWith("refuses") == 0);
  CHECK(session.Lines().find("secret") == std::string::npos);
}

TEST_CASE("tokens that expire every three seconds lose nothing and cost few passwords") {
  CertificateFolder files;
  EtcdProcess etcd(Quick({"--auth-token=simple", "--auth-token-ttl=3"}));
  etcd.EnableAuth("app", "secret", "/services/");
  RunningSession session(AsApp(etcd, files, "secret"));
  REQUIRE(session.WaitConnected());
  REQUIRE(session->Grant(7, seconds(30), kTimeout).ok());
  bool always_connected = true;
  session->state().Subscribe(
      [&] { always_connected = always_connected && session.State() == EtcdState::kConnected; });
  WatchRun watch(*session, "/services/", 1);
  REQUIRE(watch.WaitForCreated());
  // Nothing uses the token for longer than it lives: keepalives take the place of the heartbeat.
  for (int i = 0; i < 10; ++i) {
    std::this_thread::sleep_for(milliseconds(500));
    REQUIRE(session->KeepAlive(7, kTimeout).ok());
  }
  CHECK(session->List("/services/", kTimeout).error().error_class == ErrorClass::kUnauthenticated);
  const auto listed = [&] { return session->List("/services/", kTimeout).ok(); };
  CHECK(Eventually(listed, seconds(2)));
  CHECK(Put(*session, "/services/a", 7));
  CHECK(watch.WaitForEvents(1));
  CHECK(session->state().Get()->generation == 1);
  CHECK(session->state().Get()->authenticated == 2);
  CHECK(always_connected);
  CHECK(session.LinesWith("refuses") == 0);
}

TEST_CASE("a wrong password is told, keeps the leases and is mended in the file") {
  CertificateFolder files;
  EtcdProcess etcd(Quick());
  RunningSession session(AsApp(etcd, files, "wrong"));
  REQUIRE(session.WaitConnected());
  REQUIRE(session->Grant(7, seconds(30), kTimeout).ok());
  WatchRun watch(*session, "/services/", 1);
  REQUIRE(watch.WaitForCreated());
  CHECK(session.Requests("authenticate", "ok") == 0);

  etcd.EnableAuth("app", "secret", "/services/");
  REQUIRE(session.WaitError("wrong user or password; correct etcd.username ('app')"));
  CHECK(session.State() == EtcdState::kDenied);
  CHECK(session.Error().find("invalid user ID or password") != std::string::npos);
  for (int i = 0; i < 8; ++i) {
    std::this_thread::sleep_for(milliseconds(500));
    REQUIRE(session->KeepAlive(7, kTimeout)->ttl > seconds(0));
    CHECK_FALSE(session->List("/services/", kTimeout).ok());
  }
  CHECK(session.Requests("authenticate", "denied") <= 2);
  CHECK(session->state().Get()->generation == 1);
  CHECK(session.LinesWith("refuses") == 1);

  files.Write("password", "secret");
  const TimePoint mended = BootClock::now();
  REQUIRE(session.WaitConnected());
  CHECK(BootClock::now() - mended < seconds(4));
  CHECK(session->KeepAlive(7, kTimeout)->ttl > seconds(0));
  CHECK(Put(*session, "/services/a", 7));
  CHECK(watch.WaitForEvents(1));
}

TEST_CASE("access control switched on and off while a user is connected") {
  CertificateFolder files;
  EtcdProcess etcd(Quick());
  RunningSession session(AsApp(etcd, files, "secret"));
  REQUIRE(session.WaitConnected());
  REQUIRE(session->Grant(7, seconds(30), kTimeout).ok());
  for (int round = 1; round <= 2; ++round) {
    etcd.EnableAuth("app", "secret", "/services/");
    REQUIRE(Eventually([&] { return session->List("/services/", kTimeout).ok(); }));
    CHECK(session->state().Get()->authenticated >= 1);
    etcd.DisableAuth();
    REQUIRE(Eventually([&] { return session->List("/services/", kTimeout).ok(); }));
  }
  CHECK(session->KeepAlive(7, kTimeout)->ttl > seconds(0));
  CHECK(session->state().Get()->generation == 1);
  CHECK(session.LinesWith("refuses") == 0);
}

TEST_CASE("access control switched on under an agent without a user") {
  EtcdProcess etcd(Quick());
  RunningSession session(std::vector<std::string>{etcd.endpoint()});
  REQUIRE(session.WaitConnected());
  REQUIRE(session->Grant(7, seconds(30), kTimeout).ok());
  etcd.EnableAuth("app", "secret", "/services/");
  REQUIRE(session.WaitError("etcd asks for a user and none is configured; set etcd.username"));
  CHECK(session.State() == EtcdState::kDenied);
  CHECK(session->KeepAlive(7, kTimeout)->ttl > seconds(0));
  CHECK(session->state().Get()->generation == 1);
  etcd.DisableAuth();
  CHECK(Eventually([&] { return session.State() == EtcdState::kConnected; }, seconds(17)));
}

TEST_CASE("a missing permission is told with the user and the prefix") {
  CertificateFolder files;
  EtcdProcess etcd(Quick());
  etcd.EnableAuth("app", "secret", "");
  RunningSession session(AsApp(etcd, files, "secret"));
  REQUIRE(session.WaitError("etcd's user 'app' may not read under /services/"));
  CHECK(session.State() == EtcdState::kDenied);
  etcd.Ctl({"role", "grant-permission", "app", "--prefix=true", "readwrite", "/services/"});
  CHECK(Eventually([&] { return session.State() == EtcdState::kConnected; }, seconds(17)));
  CHECK(Put(*session, "/services/a"));
}

TEST_CASE("with a client certificate and a user, the user counts") {
  CertificateFolder files;
  files.MakeAuthority("ca");
  files.MakeCertificate("server", "ca", "IP:127.0.0.1");
  files.MakeCertificate("client", "ca", "DNS:client");
  etcd::DevServer::Options options =
      Quick({"--cert-file=" + files.Path("server.pem"), "--key-file=" + files.Path("server.key"),
             "--client-cert-auth", "--trusted-ca-file=" + files.Path("ca.pem")});
  options.tls = true;
  EtcdProcess etcd(options,
                   {"--cacert=" + files.Path("ca.pem"), "--cert=" + files.Path("client.pem"),
                    "--key=" + files.Path("client.key")});
  etcd.EnableAuth("app", "secret", "/services/");
  EtcdConfig settings = AsApp(etcd, files, "secret");
  settings.tls = {files.Path("ca.pem"), files.Path("client.pem"), files.Path("client.key"), ""};
  RunningSession session(settings);
  REQUIRE(session.WaitConnected());
  CHECK(Put(*session, "/services/a"));
  CHECK(session.LinesWith("refuses") == 0);

  settings.username.clear();
  settings.password_file.clear();
  RunningSession certificate_only(settings);
  CHECK(certificate_only.WaitError("the user that the client certificate names may not read"));
  etcd.Ctl({"user", "add", "client:unused"});
  etcd.Ctl({"user", "grant-role", "client", "app"});
  CHECK(Eventually([&] { return certificate_only.State() == EtcdState::kConnected; }, seconds(17)));
}

}  // namespace
}  // namespace rosterd::testing
