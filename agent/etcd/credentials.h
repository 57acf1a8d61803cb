// SPDX-License-Identifier: Apache-2.0
// Credentials: what the session asks of whoever knows this agent's password and certificate:
// whether they changed, and the password itself. Implemented by CredentialFiles.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace rosterd::etcd {

// Owned by the session thread.
class Credentials {
 public:
  struct Changes {
    bool tls = false;       // a new connection would use other certificates than the last one
    bool password = false;  // Password() may give another one than before
    std::string warning;    // for the log; said once, not at every look
  };

  virtual ~Credentials() = default;

  // "": this agent has no user and no password. Constant.
  virtual const std::string& username() const = 0;
  // Error: why there is none, for a person.
  virtual absl::StatusOr<std::string> Password() = 0;
  // What changed since the last look. Short.
  virtual Changes Look() = 0;
};

}  // namespace rosterd::etcd
