// SPDX-License-Identifier: Apache-2.0
// GrpcClient: etcd's calls on one channel to one endpoint, with synchronous stubs, on whichever
// thread calls. It neither retries nor reconnects elsewhere: that is the session's. Its destructor
// closes the channel, so it must not run inside one of gRPC's own callbacks.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "etcd/cancellable_client.h"
#include "etcd/endpoint.h"

namespace rosterd::etcd {

// Thread-safe.
class GrpcClient final : public CancellableClient {
 public:
  // What is the same for all endpoints; credentials belong here.
  struct Options {
    // What Ping reads. With access control: a key that the user may read.
    std::string ping_key = "/services/";
    int64_t keys_per_page = 2000;
  };

  // Does not connect: the first call does.
  GrpcClient(Endpoint endpoint, Options options);
  explicit GrpcClient(Endpoint endpoint) : GrpcClient(std::move(endpoint), Options()) {}
  // The calls in flight must have ended.
  ~GrpcClient() override;

  Result<GrantAnswer> Grant(int64_t lease, seconds ttl, milliseconds timeout) override;
  Result<KeepAliveAnswer> KeepAlive(int64_t lease, milliseconds timeout) override;
  Result<Header> Revoke(int64_t lease, milliseconds timeout) override;
  Result<WriteBatchAnswer> Write(const std::vector<GuardedWrite>& writes,
                                 milliseconds timeout) override;
  Result<ListAnswer> List(const std::string& prefix, milliseconds timeout) override;
  Result<Header> Ping(milliseconds timeout) override;
  Error Watch(const std::string& prefix, int64_t start_revision, milliseconds open_timeout,
              std::stop_token stop,
              const std::function<bool(const WatchBatch&)>& on_batch) override;
  void CancelAll() override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Makes the client of an endpoint that was in the list given to MakeGrpcClientFactory.
using ClientFactory =
    std::function<std::shared_ptr<CancellableClient>(const std::string& endpoint)>;
// Error: the first endpoint that is not one.
absl::StatusOr<ClientFactory> MakeGrpcClientFactory(const std::vector<std::string>& endpoints,
                                                    GrpcClient::Options options);

}  // namespace rosterd::etcd
