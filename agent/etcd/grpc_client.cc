// SPDX-License-Identifier: Apache-2.0
#include "etcd/grpc_client.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/status.h"
#include "etcd/grpc_calls.h"
#include "etcd/key_range.h"

namespace rosterd::etcd {
namespace {

// A list is read again when its revision was compacted while it was read.
constexpr int kListAttempts = 3;

// One unary call: `Method` is a member of one of the generated stubs.
template <typename Stub, typename Request, typename Response>
grpc::Status Unary(Stub& stub,
                   grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                   CallsInFlight& calls, milliseconds timeout, const Request& request,
                   Response* response) {
  Call call(calls);
  call.SetDeadline(timeout);
  return (stub.*method)(call.context(), request, response);
}

// The answer did not fit into our limit: large values, which only somebody else writes. Smaller
// pages get around them.
bool TooBig(const Error& error) {
  return error.grpc_code == grpc::StatusCode::RESOURCE_EXHAUSTED &&
         error.error_class == ErrorClass::kInvalid;
}

}  // namespace

GrpcClient::GrpcClient(Endpoint endpoint, Options options)
    : impl_(std::make_unique<Impl>(std::move(endpoint), std::move(options))) {}

GrpcClient::~GrpcClient() = default;

void GrpcClient::CancelAll() { impl_->calls.CancelAll(); }

Result<GrantAnswer> GrpcClient::Grant(int64_t lease, seconds ttl, milliseconds timeout) {
  etcdserverpb::LeaseGrantRequest request;
  request.set_id(lease);
  request.set_ttl(ttl.count());
  etcdserverpb::LeaseGrantResponse response;
  const grpc::Status status = Unary(*impl_->lease, &etcdserverpb::Lease::Stub::LeaseGrant,
                                    impl_->calls, timeout, request, &response);
  if (!status.ok()) return impl_->Failure(status);
  return GrantAnswer{ToHeader(response.header()), response.id(), seconds(response.ttl())};
}

Result<KeepAliveAnswer> GrpcClient::KeepAlive(int64_t lease, milliseconds timeout) {
  Call call(impl_->calls);
  call.SetDeadline(timeout);
  call.RequireLeader();
  etcdserverpb::LeaseKeepAliveRequest request;
  request.set_id(lease);
  const auto stream = impl_->lease->LeaseKeepAlive(call.context());
  stream->WriteLast(request, grpc::WriteOptions());
  etcdserverpb::LeaseKeepAliveResponse response;
  const bool answered = stream->Read(&response);
  if (answered) {
    // Read to the end: etcd counts a stream that is cut off as a failure.
    etcdserverpb::LeaseKeepAliveResponse more;
    while (stream->Read(&more)) {
    }
  }
  const grpc::Status status = stream->Finish();
  if (answered) return KeepAliveAnswer{ToHeader(response.header()), seconds(response.ttl())};
  if (!status.ok()) return impl_->Failure(status);
  return Error{ErrorClass::kUnavailable, 0, "the server closed the keepalive without an answer",
               impl_->endpoint.url, 0};
}

Result<Header> GrpcClient::Revoke(int64_t lease, milliseconds timeout) {
  etcdserverpb::LeaseRevokeRequest request;
  request.set_id(lease);
  etcdserverpb::LeaseRevokeResponse response;
  const grpc::Status status = Unary(*impl_->lease, &etcdserverpb::Lease::Stub::LeaseRevoke,
                                    impl_->calls, timeout, request, &response);
  if (!status.ok()) return impl_->Failure(status);
  return ToHeader(response.header());
}

Result<Header> GrpcClient::Ping(milliseconds timeout) {
  etcdserverpb::RangeRequest request;
  request.set_key(impl_->options.ping_key);
  request.set_count_only(true);
  etcdserverpb::RangeResponse response;
  const grpc::Status status =
      Unary(*impl_->kv, &etcdserverpb::KV::Stub::Range, impl_->calls, timeout, request, &response);
  if (!status.ok()) return impl_->Failure(status);
  return ToHeader(response.header());
}

Result<ListAnswer> GrpcClient::List(const std::string& prefix, milliseconds timeout) {
  const KeyRange range = RangeOfPrefix(prefix);
  for (int attempt = 1;; ++attempt) {
    ListAnswer answer;
    etcdserverpb::RangeRequest request;
    request.set_key(range.begin);
    request.set_range_end(range.end);
    request.set_limit(impl_->options.keys_per_page);
    for (;;) {
      etcdserverpb::RangeResponse response;
      const grpc::Status status = Unary(*impl_->kv, &etcdserverpb::KV::Stub::Range, impl_->calls,
                                        timeout, request, &response);
      if (!status.ok()) {
        const Error error = impl_->Failure(status);
        if (error.error_class == ErrorClass::kCompacted && attempt < kListAttempts) break;
        if (TooBig(error) && request.limit() > 1) {
          request.set_limit(std::max<int64_t>(1, request.limit() / 8));
          continue;
        }
        return error;
      }
      if (request.revision() == 0) {
        answer.header = ToHeader(response.header());
        request.set_revision(answer.header.revision);
      }
      for (mvccpb::KeyValue& kv : *response.mutable_kvs()) answer.kvs.push_back(ToKeyValue(kv));
      if (!response.more()) return answer;
      if (response.kvs_size() == 0) {
        return Error{ErrorClass::kInvalid, 0, "the server promised more keys and sent none",
                     impl_->endpoint.url, 0};
      }
      request.set_key(NextKey(answer.kvs.back().key));
    }
  }
}

absl::StatusOr<ClientFactory> MakeGrpcClientFactory(const std::vector<std::string>& endpoints,
                                                    GrpcClient::Options options) {
  std::map<std::string, Endpoint> parsed;
  for (const std::string& url : endpoints) {
    ASSIGN_OR_RETURN(Endpoint endpoint, ParseEndpoint(url));
    parsed.emplace(url, std::move(endpoint));
  }
  return [parsed, options](const std::string& url) -> std::shared_ptr<CancellableClient> {
    return std::make_shared<GrpcClient>(parsed.at(url), options);
  };
}

}  // namespace rosterd::etcd
