// SPDX-License-Identifier: Apache-2.0
// CancellableClient: a Client of one endpoint that its owner can give up while calls are in flight.
#pragma once

#include "etcd/client.h"

namespace rosterd::etcd {

// Thread-safe.
class CancellableClient : public Client {
 public:
  // Ends every call in flight with kCancelled and makes every later one fail so at once. Does not
  // wait for them. There is no way back.
  virtual void CancelAll() = 0;
};

}  // namespace rosterd::etcd
