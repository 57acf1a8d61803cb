// SPDX-License-Identifier: Apache-2.0
#include "etcd/error.h"

#include <initializer_list>

namespace rosterd::etcd {
namespace {

// gRPC's numbers; its headers stay in grpc_*.cc.
enum Code {
  kCancelledCode = 1,
  kUnknownCode = 2,
  kInvalidArgumentCode = 3,
  kDeadlineExceededCode = 4,
  kNotFoundCode = 5,
  kPermissionDeniedCode = 7,
  kResourceExhaustedCode = 8,
  kFailedPreconditionCode = 9,
  kAbortedCode = 10,
  kOutOfRangeCode = 11,
  kInternalCode = 13,
  kUnavailableCode = 14,
  kDataLossCode = 15,
  kUnauthenticatedCode = 16,
};

struct Rule {
  std::string_view text;  // a part of the message
  ErrorClass error_class;
};

// Texts that mean one thing whatever code stands next to them: 3.4 reports an old token as
// UNKNOWN, proxies rewrite codes, and a watch carries the server's words in its cancel_reason.
constexpr Rule kTextRules[] = {
    {"requested lease not found", ErrorClass::kLeaseNotFound},
    {"lease not found", ErrorClass::kLeaseNotFound},
    {"lease already exists", ErrorClass::kLeaseExists},
    {"too large lease TTL", ErrorClass::kInvalid},
    {"required revision has been compacted", ErrorClass::kCompacted},
    {"required revision is a future revision", ErrorClass::kFutureRevision},
    {"database space exceeded", ErrorClass::kNoSpace},
    {"too many requests", ErrorClass::kOverloaded},
    {"corrupt cluster", ErrorClass::kCorrupt},
    {"invalid auth token", ErrorClass::kUnauthenticated},
    {"revision of auth store is old", ErrorClass::kUnauthenticated},
    {"user name is empty", ErrorClass::kUnauthenticated},
    {"authentication failed", ErrorClass::kDenied},
    {"permission denied", ErrorClass::kDenied},
    {"no leader", ErrorClass::kUnavailable},
    {"leader changed", ErrorClass::kUnavailable},
    {"request timed out", ErrorClass::kUnavailable},
    {"server stopped", ErrorClass::kUnavailable},
    {"not capable", ErrorClass::kUnavailable},
    {"not supported for learner", ErrorClass::kUnavailable},
};

bool SaidByEtcd(std::string_view text) {
  return text.find("etcdserver: ") != std::string_view::npos || text.starts_with("auth: ");
}

}  // namespace

std::string_view ToString(ErrorClass c) {
  switch (c) {
    case ErrorClass::kUnavailable:
      return "unavailable";
    case ErrorClass::kTimeout:
      return "timeout";
    case ErrorClass::kCancelled:
      return "cancelled";
    case ErrorClass::kLeaseNotFound:
      return "lease_not_found";
    case ErrorClass::kLeaseExists:
      return "lease_exists";
    case ErrorClass::kCompacted:
      return "compacted";
    case ErrorClass::kFutureRevision:
      return "future_revision";
    case ErrorClass::kNoSpace:
      return "no_space";
    case ErrorClass::kOverloaded:
      return "overloaded";
    case ErrorClass::kUnauthenticated:
      return "unauthenticated";
    case ErrorClass::kDenied:
      return "denied";
    case ErrorClass::kCorrupt:
      return "corrupt";
    case ErrorClass::kInvalid:
      return "invalid";
  }
  return "invalid";
}

ErrorClass Classify(int code, std::string_view text) {
  for (const Rule& rule : kTextRules) {
    if (text.find(rule.text) != std::string_view::npos) return rule.error_class;
  }
  switch (code) {
    case kDeadlineExceededCode:
      return ErrorClass::kTimeout;
    case kNotFoundCode:
    case kInvalidArgumentCode:
    case kFailedPreconditionCode:
    case kResourceExhaustedCode:  // "Received message larger than max": our own limit
    case kOutOfRangeCode:
      return ErrorClass::kInvalid;
    // gRPC's numbers for HTTP's 403 and 401: without etcd's words they are a proxy's, or a web
    // server's, and another endpoint may be etcd.
    case kPermissionDeniedCode:
      return SaidByEtcd(text) ? ErrorClass::kDenied : ErrorClass::kUnavailable;
    case kUnauthenticatedCode:
      return SaidByEtcd(text) ? ErrorClass::kUnauthenticated : ErrorClass::kUnavailable;
    case kDataLossCode:
      return ErrorClass::kCorrupt;
    case kCancelledCode:  // by the server or a proxy; our own cancellations never come here
    case kUnknownCode:
    case kAbortedCode:
    case kInternalCode:
    case kUnavailableCode:
      return ErrorClass::kUnavailable;
    default:
      return ErrorClass::kInvalid;
  }
}

std::string Error::Words() const {
  std::string_view words = text;
  for (const std::string_view noise : {"etcdserver: ", "mvcc: ", "etcdserver/api/v3rpc: "}) {
    if (words.starts_with(noise)) words.remove_prefix(noise.size());
  }
  if (words.empty()) words = ToString(error_class);
  if (hint.empty()) return std::string(words);
  return hint + " (" + std::string(words) + ")";
}

std::string Error::Describe() const {
  return endpoint.empty() ? Words() : endpoint + ": " + Words();
}

}  // namespace rosterd::etcd
