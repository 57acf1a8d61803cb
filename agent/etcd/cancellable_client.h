// SPDX-License-Identifier: Apache-2.0
// CancellableClient: a Client of one endpoint that its owner can give up while calls are in flight,
// and that carries the token which etcd gave for a user and password.
#pragma once

#include <string>

#include "etcd/client.h"

namespace rosterd::etcd {

// Thread-safe.
class CancellableClient : public Client {
 public:
  // Ends every call in flight with kCancelled and makes every later one fail so at once. Does not
  // wait for them. There is no way back.
  virtual void CancelAll() = 0;

  // A token for the user; kDenied when etcd does not know them so.
  virtual Result<std::string> Authenticate(const std::string& username, const std::string& password,
                                           milliseconds timeout) = 0;
  // Every call and stream begun from now on carries it; "": none.
  virtual void SetToken(std::string token) = 0;
};

}  // namespace rosterd::etcd
