// SPDX-License-Identifier: Apache-2.0
// TLS and client certificates against real etcd processes: what works, what a person is told when
// it does not, and certificates that are replaced on disk.
#include <catch2/catch.hpp>

#include "etcd_running_session.h"
#include "support/certificate_folder.h"
#include "support/etcd_process.h"
#include "support/watch_run.h"

namespace rosterd::testing {
namespace {

constexpr milliseconds kTimeout{1500};

etcd::DevServer::Options Serve(const CertificateFolder& files, bool ask_for_certificate = false) {
  etcd::DevServer::Options options;
  options.tls = true;
  options.flags = {"--cert-file=" + files.Path("server.pem"),
                   "--key-file=" + files.Path("server.key")};
  if (ask_for_certificate) {
    options.flags.emplace_back("--client-cert-auth");
    options.flags.push_back("--trusted-ca-file=" + files.Path("ca.pem"));
  }
  return options;
}

EtcdConfig Trusting(const EtcdProcess& etcd, const CertificateFolder& files) {
  EtcdConfig settings;
  settings.endpoints = {etcd.endpoint()};
  settings.tls.ca = files.Path("ca.pem");
  return settings;
}

// An authority "ca" and a certificate "server" for `names`.
void MakeServer(CertificateFolder& files, const std::string& names) {
  files.MakeAuthority("ca");
  files.MakeCertificate("server", "ca", names);
}

TEST_CASE("etcd over TLS is used when its authority is known, and named when it is not") {
  CertificateFolder files;
  MakeServer(files, "IP:127.0.0.1");
  files.MakeAuthority("other");
  EtcdProcess etcd(Serve(files));
  EtcdConfig settings = Trusting(etcd, files);
  {
    RunningSession session(settings);
    REQUIRE(session.WaitConnected());
    CHECK(session->state().Get()->endpoint.starts_with("https://"));
    REQUIRE(session->Grant(7, seconds(60), kTimeout).ok());
    CHECK(session->KeepAlive(7, kTimeout).ok());
    WatchRun watch(*session, "/", 1);
    CHECK(watch.WaitForCreated());
  }
  settings.tls.ca = files.Path("other.pem");
  RunningSession wrong(settings);
  CHECK(wrong.WaitError("no authority in etcd.tls.ca ('" + settings.tls.ca + "')"));
  CHECK(wrong.WaitError("certificate verify failed"));
  CHECK(Eventually([&] { return wrong.LinesWith("etcd.tls.ca") == 1; }));
  settings.tls.ca.clear();
  RunningSession system(settings);
  CHECK(system.WaitError("set etcd.tls.ca to"));
}

TEST_CASE("a certificate for another name is told with the name, and server_name mends it") {
  CertificateFolder files;
  MakeServer(files, "DNS:etcd-1.example");
  EtcdProcess etcd(Serve(files));
  EtcdConfig settings = Trusting(etcd, files);
  RunningSession wrong(settings);
  CHECK(wrong.WaitError("'127.0.0.1' is not in the certificate"));
  CHECK(wrong.WaitError("set etcd.tls.server_name to"));
  settings.tls.server_name = "etcd-1.example";
  RunningSession right(settings);
  CHECK(right.WaitConnected());
  settings.tls.server_name = "etcd-2.example";
  RunningSession other(settings);
  CHECK(other.WaitError("correct etcd.tls.server_name"));
}

TEST_CASE("each of several endpoints is held to its own host") {
  CertificateFolder files;
  MakeServer(files, "DNS:localhost");
  EtcdProcess etcd(Serve(files));
  EtcdConfig settings = Trusting(etcd, files);
  std::string by_name = etcd.endpoint();
  by_name.replace(by_name.find("127.0.0.1"), 9, "localhost");
  settings.endpoints.push_back(by_name);
  RunningSession session(settings);
  REQUIRE(session.WaitConnected());
  CHECK(session->state().Get()->endpoint == by_name);
}

TEST_CASE("a client certificate is asked for, missed in words, and accepted") {
  CertificateFolder files;
  MakeServer(files, "IP:127.0.0.1");
  files.MakeCertificate("client", "ca", "DNS:client");
  files.MakeAuthority("foreign");
  EtcdProcess etcd(Serve(files, true));
  EtcdConfig settings = Trusting(etcd, files);
  RunningSession without(settings);
  CHECK(without.WaitError("etcd probably asks for a client certificate: set etcd.tls.cert"));
  settings.tls.cert = files.Path("foreign.pem");
  settings.tls.key = files.Path("foreign.key");
  RunningSession foreign(settings);
  CHECK(foreign.WaitError("does not accept the client certificate in etcd.tls.cert"));
  settings.tls.cert = files.Path("client.pem");
  settings.tls.key = files.Path("client.key");
  RunningSession with(settings);
  REQUIRE(with.WaitConnected());
  CHECK(with->Grant(7, seconds(60), kTimeout).ok());
}

TEST_CASE("http to a TLS port and https to a plain one are told apart from an outage") {
  CertificateFolder files;
  MakeServer(files, "IP:127.0.0.1");
  EtcdProcess secure(Serve(files));
  EtcdProcess plain;
  std::string wrong = secure.endpoint();
  wrong.replace(0, 5, "http");
  RunningSession http(std::vector<std::string>{wrong});
  CHECK(http.WaitError("write https:// in etcd.endpoints"));
  EtcdConfig settings = Trusting(plain, files);
  settings.endpoints[0].replace(0, 4, "https");
  RunningSession https(settings);
  CHECK(https.WaitError("write http:// in etcd.endpoints"));
}

TEST_CASE("a client certificate replaced on disk is used by a new connection; half of one is not") {
  CertificateFolder files;
  MakeServer(files, "IP:127.0.0.1");
  files.MakeCertificate("client", "ca", "DNS:client");
  files.MakeCertificate("next", "ca", "DNS:client");
  EtcdProcess etcd(Serve(files, true));
  EtcdConfig settings = Trusting(etcd, files);
  settings.tls.cert = files.Path("client.pem");
  settings.tls.key = files.Path("client.key");
  RunningSession session(settings);
  REQUIRE(session.WaitConnected());
  REQUIRE(session->Grant(7, seconds(60), kTimeout).ok());
  WatchRun watch(*session, "/", 1);
  REQUIRE(watch.WaitForCreated());

  files.Replace("client.pem", "next.pem");
  REQUIRE(Eventually([&] { return session.LinesWith("is not the key of the certificate") == 1; }));
  CHECK(session->state().Get()->generation == 1);
  CHECK(session->KeepAlive(7, kTimeout).ok());

  const TimePoint replaced = BootClock::now();
  files.Replace("client.key", "next.key");
  REQUIRE(Eventually([&] { return session->state().Get()->generation == 2; }));
  CHECK(BootClock::now() - replaced < seconds(6));
  CHECK(session.State() == EtcdState::kConnected);
  CHECK(watch.End().error_class == etcd::ErrorClass::kUnavailable);
  WatchRun again(*session, "/", 1);
  CHECK(again.WaitForCreated());
  CHECK(session->KeepAlive(7, kTimeout)->ttl > seconds(0));
  CHECK(session.LinesWith("lost etcd") == 0);
}

TEST_CASE("a new authority on both sides costs no lease") {
  CertificateFolder files;
  MakeServer(files, "IP:127.0.0.1");
  files.MakeAuthority("next-ca");
  files.MakeCertificate("next-server", "next-ca", "IP:127.0.0.1");
  EtcdProcess etcd(Serve(files));
  RunningSession session(Trusting(etcd, files));
  REQUIRE(session.WaitConnected());
  REQUIRE(session->Grant(7, seconds(60), kTimeout).ok());

  files.Replace("server.pem", "next-server.pem");
  files.Replace("server.key", "next-server.key");
  etcd.Restart();
  CHECK(session.WaitError("set etcd.tls.ca to the file of the one that did"));
  CHECK(Eventually([&] { return session.LinesWith("an etcd endpoint cannot be used") == 1; }));

  files.Replace("ca.pem", "next-ca.pem");
  const TimePoint replaced = BootClock::now();
  REQUIRE(session.WaitConnected());
  CHECK(BootClock::now() - replaced < seconds(6));
  CHECK(session->KeepAlive(7, kTimeout)->ttl > seconds(0));
}

}  // namespace
}  // namespace rosterd::testing
