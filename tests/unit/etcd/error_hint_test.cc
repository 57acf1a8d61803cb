// SPDX-License-Identifier: Apache-2.0
// Texts as gRPC 1.51 and etcd 3.4 give them, and what a person is told.
#include "etcd/error_hint.h"

#include <catch2/catch.hpp>

namespace rosterd::etcd {
namespace {

const std::string kConnecting = "failed to connect to all addresses; last error: UNAVAILABLE: ";
const std::string kHandshake = "failed to connect to all addresses; last error: UNKNOWN: ";

bool Has(const std::string& text, const std::string& part) {
  INFO(text);
  CHECK(text.find(part) != std::string::npos);
  return text.find(part) != std::string::npos;
}

TEST_CASE("a certificate for another name") {
  EtcdConfig settings;
  const std::string text =
      kHandshake + "ipv4:127.0.0.1:1: Peer name 127.0.0.1 is not in peer certificate";
  const std::string hint = HintFor(ErrorClass::kUnavailable, text, {settings, true});
  CHECK(Has(hint, "'127.0.0.1' is not in the certificate"));
  CHECK(Has(hint, "set etcd.tls.server_name to"));
  settings.tls.server_name = "x";
  CHECK(Has(HintFor(ErrorClass::kUnavailable, text, {settings, true}),
            "correct etcd.tls.server_name"));
}

TEST_CASE("an unknown authority") {
  EtcdConfig settings;
  const std::string text = kHandshake +
                           "ipv4:127.0.0.1:1: Ssl handshake failed: SSL_ERROR_SSL: "
                           "error:0A000086:SSL routines::certificate verify failed";
  CHECK(Has(HintFor(ErrorClass::kUnavailable, text, {settings, true}), "set etcd.tls.ca to"));
  settings.tls.ca = "/etc/ca.pem";
  CHECK(Has(HintFor(ErrorClass::kUnavailable, text, {settings, true}),
            "etcd.tls.ca ('/etc/ca.pem')"));
}

TEST_CASE("a connection that is closed at once") {
  EtcdConfig settings;
  const auto hint = [&](bool https, const std::string& text, bool answered_before = false) {
    return HintFor(ErrorClass::kUnavailable, text, {settings, https, answered_before});
  };
  const std::string closed = kConnecting + "ipv4:127.0.0.1:1: Socket closed";
  const std::string read_failed = kConnecting + "ipv4:127.0.0.1:1: Endpoint read failed";
  const std::string reset = kConnecting + "ipv4:127.0.0.1:1: Connection reset by peer";
  for (const std::string& text : {closed, read_failed, reset}) {
    CHECK(Has(hint(true, text), "set etcd.tls.cert and etcd.tls.key"));
    CHECK(Has(hint(true, text), "write http://"));
    CHECK(hint(true, text, true).empty());
  }
  CHECK(Has(hint(false, closed), "write https:// in etcd.endpoints"));
  CHECK(hint(false, closed, true).empty());
  settings.tls.cert = "/etc/cert.pem";
  CHECK(Has(hint(true, reset), "does not accept the client certificate"));
  CHECK(Has(hint(true, reset), "/etc/cert.pem"));
}

TEST_CASE("what no setting is to blame for has no hint") {
  const EtcdConfig settings;
  for (const bool https : {true, false}) {
    for (const char* text :
         {"failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: Failed to "
          "connect to remote host: Connection refused",
          "etcdserver: no leader", ""}) {
      CHECK(HintFor(ErrorClass::kUnavailable, text, {settings, https}).empty());
    }
    CHECK(HintFor(ErrorClass::kTimeout, "Deadline Exceeded", {settings, https}).empty());
  }
  CHECK(HintFor(ErrorClass::kUnavailable, kConnecting + "Connection reset by peer", {settings})
            .empty());
}

TEST_CASE("users, passwords and permissions") {
  EtcdConfig settings;
  const std::string empty_name = "etcdserver: user name is empty";
  CHECK(Has(HintFor(ErrorClass::kUnauthenticated, empty_name, {settings}),
            "none is configured; set etcd.username"));
  const std::string permission = "etcdserver: permission denied";
  CHECK(Has(HintFor(ErrorClass::kDenied, permission, {settings}), "the client certificate names"));
  settings.username = "app";
  settings.password_file = "/etc/password";
  CHECK(HintFor(ErrorClass::kUnauthenticated, empty_name, {settings}).empty());
  CHECK(Has(HintFor(ErrorClass::kDenied, permission, {settings}),
            "etcd's user 'app' may not read under /services/"));
  CHECK(Has(HintFor(ErrorClass::kDenied, permission, {settings, false, true, true}),
            "etcd's user 'app' may not write under /services/"));
  const std::string hint =
      HintFor(ErrorClass::kDenied, "etcdserver: authentication failed, invalid user ID or password",
              {settings});
  CHECK(Has(hint, "wrong user or password; correct etcd.username ('app')"));
  CHECK(Has(hint, "'/etc/password'"));
}

TEST_CASE("the raw words follow the hint") {
  const Error error{ErrorClass::kDenied, 7, "etcdserver: permission denied",
                    "http://a:1",        0, "give it a role"};
  CHECK(error.Words() == "give it a role (permission denied)");
  CHECK(error.Describe() == "http://a:1: give it a role (permission denied)");
}

}  // namespace
}  // namespace rosterd::etcd
