// SPDX-License-Identifier: Apache-2.0
#include "etcd/error.h"

#include <catch2/catch.hpp>

namespace rosterd::etcd {
namespace {

struct Row {
  int code;
  const char* text;
  ErrorClass expected;
};

TEST_CASE("errors are classified by code and text") {
  const Row row = GENERATE(values<Row>({
      {14, "etcdserver: no leader", ErrorClass::kUnavailable},
      {14, "etcdserver: leader changed", ErrorClass::kUnavailable},
      {14, "etcdserver: request timed out, possibly due to previous leader failure",
       ErrorClass::kUnavailable},
      {14, "etcdserver: server stopped", ErrorClass::kUnavailable},
      {14, "etcdserver: not capable", ErrorClass::kUnavailable},
      {14, "etcdserver: rpc not supported for learner", ErrorClass::kUnavailable},
      {14, "failed to connect to all addresses", ErrorClass::kUnavailable},
      {13, "Received RST_STREAM with error code 2", ErrorClass::kUnavailable},
      {2, "Stream removed", ErrorClass::kUnavailable},
      {1, "context canceled", ErrorClass::kUnavailable},
      {4, "Deadline Exceeded", ErrorClass::kTimeout},
      {5, "etcdserver: requested lease not found", ErrorClass::kLeaseNotFound},
      {9, "etcdserver: lease already exists", ErrorClass::kLeaseExists},
      {11, "etcdserver: mvcc: required revision has been compacted", ErrorClass::kCompacted},
      {11, "etcdserver: mvcc: required revision is a future revision", ErrorClass::kFutureRevision},
      {11, "etcdserver: too large lease TTL", ErrorClass::kInvalid},
      {8, "etcdserver: mvcc: database space exceeded", ErrorClass::kNoSpace},
      {8, "etcdserver: too many requests", ErrorClass::kOverloaded},
      {8, "Received message larger than max (5000000 vs. 4194304)", ErrorClass::kInvalid},
      {16, "etcdserver: invalid auth token", ErrorClass::kUnauthenticated},
      {2, "auth: invalid auth token", ErrorClass::kUnauthenticated},
      {14, "rpc error: code = Unauthenticated desc = etcdserver: invalid auth token",
       ErrorClass::kUnauthenticated},
      {3, "etcdserver: revision of auth store is old", ErrorClass::kUnauthenticated},
      {3, "etcdserver: user name is empty", ErrorClass::kUnauthenticated},
      {3, "etcdserver: authentication failed, invalid user ID or password", ErrorClass::kDenied},
      {7, "etcdserver: permission denied", ErrorClass::kDenied},
      {7, "etcdserver: some refusal of a later version", ErrorClass::kDenied},
      {16, "auth: some refusal of a later version", ErrorClass::kUnauthenticated},
      // HTTP's 403 and 401, from something that is not etcd.
      {7, "", ErrorClass::kUnavailable},
      {7, "Received http2 header with status: 403", ErrorClass::kUnavailable},
      {16, "Received http2 header with status: 401", ErrorClass::kUnavailable},
      {15, "etcdserver: corrupt cluster", ErrorClass::kCorrupt},
      {3, "etcdserver: key is not provided", ErrorClass::kInvalid},
      {12, "unknown service etcdserverpb.KV", ErrorClass::kInvalid},
  }));
  INFO(row.code << " " << row.text);
  CHECK(ToString(Classify(row.code, row.text)) == ToString(row.expected));
}

TEST_CASE("only what another endpoint may do better makes a connection bad") {
  const auto bad = [](ErrorClass c) { return Error{c, 0, "", "", 0}.connection_is_bad(); };
  CHECK(bad(ErrorClass::kUnavailable));
  CHECK(bad(ErrorClass::kTimeout));
  CHECK(bad(ErrorClass::kFutureRevision));
  CHECK_FALSE(bad(ErrorClass::kNoSpace));
  CHECK_FALSE(bad(ErrorClass::kOverloaded));
  CHECK_FALSE(bad(ErrorClass::kLeaseNotFound));
  CHECK_FALSE(bad(ErrorClass::kCancelled));
}

TEST_CASE("an error reads endpoint, then etcd's words without its prefixes") {
  CHECK(Error{ErrorClass::kUnavailable, 14, "etcdserver: no leader", "http://10.0.0.1:2379", 0}
            .Describe() == "http://10.0.0.1:2379: no leader");
  CHECK(Error{ErrorClass::kNoSpace, 8, "etcdserver: mvcc: database space exceeded", "", 0}
            .Describe() == "database space exceeded");
  CHECK(Error{ErrorClass::kTimeout, 4, "", "http://a:1", 0}.Describe() == "http://a:1: timeout");
}

}  // namespace
}  // namespace rosterd::etcd
