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
#include "etcd/credential_files.h"
#include "etcd/endpoint.h"
#include "etcd/pem_check.h"
#include "model/config.h"

namespace rosterd::etcd {

class CallDeadlines;

// Thread-safe.
class GrpcClient final : public CancellableClient {
 public:
  // What is the same for all endpoints.
  struct Options {
    // What Ping reads. With access control: a key that the user may read.
    std::string ping_key = "/services/";
    int64_t keys_per_page = 2000;
    // A watch that was silent for this long (up to half more, at random) is asked for its progress,
    // and broken when it does not answer within the second time.
    milliseconds watch_silence{10'000};
    milliseconds watch_answer{5'000};
    // Ends what gRPC does not end in time; null: nobody does.
    std::shared_ptr<CallDeadlines> deadlines{};
    TlsPem tls{};  // for https endpoints; no `ca`: the system's
    // Its tls.server_name is used; the rest is only named in errors.
    EtcdConfig settings{};
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
  Result<std::optional<KeyValue>> ReadAt(const std::string& key, int64_t revision,
                                         milliseconds timeout) override;
  Result<Header> Ping(milliseconds timeout) override;
  Error Watch(const std::string& prefix, int64_t start_revision, milliseconds open_timeout,
              std::stop_token stop,
              const std::function<bool(const WatchBatch&)>& on_batch) override;
  void CancelAll() override;
  Result<std::string> Authenticate(const std::string& username, const std::string& password,
                                   milliseconds timeout) override;
  void SetToken(std::string token) override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Makes the client of an endpoint that was in the list given to MakeGrpcClientFactory.
using ClientFactory =
    std::function<std::shared_ptr<CancellableClient>(const std::string& endpoint)>;
// Each client gets the certificates that `credentials` has when it is made; without credentials:
// those in `options`. Error: the first endpoint that is not one.
absl::StatusOr<ClientFactory> MakeGrpcClientFactory(
    const std::vector<std::string>& endpoints, GrpcClient::Options options,
    std::shared_ptr<CredentialFiles> credentials = nullptr);

}  // namespace rosterd::etcd
