// SPDX-License-Identifier: Apache-2.0
// GrpcClient on a real etcd keeps the contract that the fake keeps, and does what only a real
// server can show: pages of one revision, fragments, limits.
#include "support/etcd_contract.h"

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

#include "support/certificate_folder.h"
#include "support/etcd_process.h"
#include "support/watch_run.h"

namespace rosterd::testing {
namespace {

using etcd::ErrorClass;
using etcd::GrpcClient;
using etcd::GuardedWrite;

constexpr milliseconds kTimeout{5000};

TEST_CASE("a real etcd keeps the contract") {
  for (const ContractCase& one : EtcdContract()) {
    DYNAMIC_SECTION(one.name) {
      EtcdProcess etcd;
      const auto client = etcd.NewClient();
      one.run({.client = *client,
               .prefix = "/contract/",
               .pass_time = [](Duration d) { std::this_thread::sleep_for(d); },
               .compact = [&](int64_t revision) { etcd.Compact(revision); },
               .first_lease = 100});
    }
  }
}

TEST_CASE("an etcd with TLS, client certificates and passwords keeps the contract too") {
  CertificateFolder files;
  files.MakeAuthority("ca");
  files.MakeCertificate("server", "ca", "IP:127.0.0.1");
  files.MakeCertificate("client", "ca", "DNS:client");
  etcd::DevServer::Options server;
  server.tls = true;
  server.flags = {"--cert-file=" + files.Path("server.pem"),
                  "--key-file=" + files.Path("server.key"), "--client-cert-auth",
                  "--trusted-ca-file=" + files.Path("ca.pem"), "--bcrypt-cost=4"};
  EtcdProcess etcd(server,
                   {"--cacert=" + files.Path("ca.pem"), "--cert=" + files.Path("client.pem"),
                    "--key=" + files.Path("client.key")});
  etcd.EnableAuth("app", "secret", "/");
  EtcdConfig settings;
  settings.tls = {files.Path("ca.pem"), files.Path("client.pem"), files.Path("client.key"), ""};
  const auto credentials = etcd::CredentialFiles::Open(settings);
  REQUIRE(credentials.ok());
  const auto client = etcd.NewClient({.tls = *(*credentials)->tls()});
  const auto token = client->Authenticate("app", "secret", kTimeout);
  if (!token.ok()) FAIL(token.error().Describe());
  client->SetToken(*token);
  int64_t first_lease = 100;
  for (const ContractCase& one : EtcdContract()) {
    INFO(one.name);
    first_lease += 100;
    one.run({.client = *client,
             .prefix = "/contract/" + std::to_string(first_lease) + "/",
             .pass_time = [](Duration d) { std::this_thread::sleep_for(d); },
             .compact =
                 [&](int64_t revision) {
                   etcd.Ctl({"compact", std::to_string(revision)});
                 },
             .first_lease = first_lease});
  }
}

TEST_CASE("all pages of a list are of one revision while others write") {
  EtcdProcess etcd;
  const auto client = etcd.NewClient({.keys_per_page = 7});
  const auto writer_client = etcd.NewClient();
  std::atomic<bool> done = false;
  std::atomic<int> rounds = 0;
  std::jthread writer([&] {
    int64_t last = 0;
    while (!done) {
      std::vector<GuardedWrite> writes;
      for (int i = 0; i < 100; ++i) {
        writes.push_back({GuardedWrite::Kind::kPut, "/p/" + std::to_string(100 + i),
                          std::to_string(rounds), 0, last});
      }
      const auto answer = writer_client->Write(writes, kTimeout);
      if (!answer.ok() || !answer->answers[0].done) return;
      last = answer->header.revision;
      ++rounds;
    }
  });
  while (rounds == 0) std::this_thread::yield();
  for (int i = 0; i < 30; ++i) {
    const auto list = client->List("/p/", kTimeout);
    REQUIRE(list.ok());
    REQUIRE(list->kvs.size() == 100);
    const bool same = std::all_of(list->kvs.begin(), list->kvs.end(), [&](const auto& kv) {
      return kv.value == list->kvs[0].value && kv.mod_revision == list->kvs[0].mod_revision;
    });
    REQUIRE(same);
  }
  done = true;
  writer.join();
  CHECK(rounds > 10);
}

TEST_CASE("answers too big for one message come as whole revisions all the same") {
  EtcdProcess etcd;
  const auto client = etcd.NewClient();
  constexpr int kRounds = 8;
  const std::string big(12'000, 'x');
  std::vector<int64_t> last(100, 0);
  for (int round = 0; round < kRounds; ++round) {
    std::vector<GuardedWrite> writes;
    for (size_t i = 0; i < 100; ++i) {
      writes.push_back({GuardedWrite::Kind::kPut, "/big/" + std::to_string(i), big, 0, last[i]});
    }
    const auto answer = client->Write(writes, kTimeout);
    REQUIRE(answer.ok());
    for (size_t i = 0; i < 100; ++i) {
      REQUIRE(answer->answers[i].done);
      last[i] = answer->header.revision;
    }
  }
  WatchRun watch(*client, "/big/", 1);
  REQUIRE(watch.WaitForEvents(100 * kRounds));
  watch.Stop();
  int64_t before = 0;
  for (const auto& batch : watch.Batches()) {
    if (batch.events.empty()) continue;
    CHECK(batch.events.size() % 100 == 0);
    CHECK(batch.events.front().kv.mod_revision > before);
    before = batch.events.back().kv.mod_revision;
  }
}

TEST_CASE("a request that etcd finds too large is our mistake, not a bad connection") {
  EtcdProcess etcd;
  const auto client = etcd.NewClient();
  const auto answer = client->Write(
      {{GuardedWrite::Kind::kPut, "/k", std::string(2'000'000, 'x'), 0, 0}}, kTimeout);
  REQUIRE_FALSE(answer.ok());
  CHECK(answer.error().error_class == ErrorClass::kInvalid);
  CHECK(client->Ping(kTimeout).ok());
}

TEST_CASE("values that fill the receive limit are read in smaller pages") {
  EtcdProcess etcd;
  const std::string huge(1'400'000, 'x');
  for (int i = 0; i < 60; ++i) etcd.Put("/huge/" + std::to_string(100 + i), huge);
  const auto list = etcd.NewClient()->List("/huge/", kTimeout);
  if (!list.ok()) FAIL(list.error().Describe());
  CHECK(list->kvs.size() == 60);
}

TEST_CASE("IPv6 and names reach the server too") {
  const auto answers = [](const std::string& url) {
    GrpcClient client(*etcd::ParseEndpoint(url));
    const auto answer = client.Ping(kTimeout);
    return answer.ok() ? std::string("ok") : answer.error().Describe();
  };
  EtcdProcess etcd;
  std::string by_name = etcd.endpoint();
  by_name.replace(by_name.find("127.0.0.1"), 9, "localhost");
  CHECK(answers(by_name) == "ok");
}

}  // namespace
}  // namespace rosterd::testing
