// SPDX-License-Identifier: Apache-2.0
// etcd's errors by what they mean to us. gRPC's code alone does not tell (its code 8 means three
// things), so code and text are matched; the table is in docs/etcd-errors.md. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace rosterd::etcd {

enum class ErrorClass {
  kUnavailable,      // member bad, no leader, transport: next endpoint
  kTimeout,          // our deadline; the outcome of a write is unknown: next endpoint
  kCancelled,        // we ended the call
  kLeaseNotFound,    // the lease is gone, whichever call says it: new lease, put everything
  kLeaseExists,      // our earlier Grant got through
  kCompacted,        // list again
  kFutureRevision,   // this member lags: another member
  kNoSpace,          // NOSPACE alarm: keep what is there, slow retry, no failover
  kOverloaded,       // too many requests: slow retry, no failover
  kUnauthenticated,  // token missing or expired
  kDenied,           // wrong password, no permission: slow retry, needs a person
  kCorrupt,          // CORRUPT alarm: stop writing, keep serving
  kInvalid,          // our mistake, or a proxy's: log, slow retry
};

std::string_view ToString(ErrorClass c);

struct Error {
  ErrorClass error_class = ErrorClass::kUnavailable;
  int grpc_code = 0;
  std::string text;              // etcd's or gRPC's own words
  std::string endpoint;          // who said it
  int64_t compact_revision = 0;  // kCompacted in a watch: the first revision still there
  std::string hint{};            // what a person can do about it; "" when nothing

  // True when another endpoint may do better, so the connection should be given up.
  bool connection_is_bad() const {
    return error_class == ErrorClass::kUnavailable || error_class == ErrorClass::kTimeout ||
           error_class == ErrorClass::kFutureRevision;
  }
  // "no leader", or "set etcd.tls.ca ... (certificate verify failed)".
  std::string Words() const;
  // "http://127.0.0.1:2379: no leader" for a log line or /agent.
  std::string Describe() const;
};

// `code` is gRPC's number.
ErrorClass Classify(int code, std::string_view text);

}  // namespace rosterd::etcd
