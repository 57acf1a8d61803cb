// SPDX-License-Identifier: Apache-2.0
#include "etcd/grpc_client.h"

#include <grpc/support/log.h>

#include <algorithm>
#include <cstdlib>
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
template <typename Impl, typename Stub, typename Request, typename Response>
grpc::Status Unary(Impl& impl, Stub& stub,
                   grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                   milliseconds timeout, const Request& request, Response* response) {
  Call call(impl.calls, impl.Token());
  call.SetDeadline(timeout);
  grpc::Status status = call.Ended((stub.*method)(call.context(), request, response));
  if (status.ok()) impl.Answered();
  return status;
}

// The answer did not fit into our limit: large values, which only somebody else writes. Smaller
// pages get around them.
bool TooBig(const Error& error) {
  return error.grpc_code == grpc::StatusCode::RESOURCE_EXHAUSTED &&
         error.error_class == ErrorClass::kInvalid;
}

// gRPC writes lines of its own to stderr for every handshake that fails. Whoever made the call gets
// the error; GRPC_VERBOSITY brings the lines back.
void SilenceGrpcLog() {
  if (std::getenv("GRPC_VERBOSITY") == nullptr) gpr_set_log_function([](gpr_log_func_args*) {});
}

}  // namespace

GrpcClient::GrpcClient(Endpoint endpoint, Options options)
    : impl_(std::make_unique<Impl>(std::move(endpoint), std::move(options))) {}

GrpcClient::~GrpcClient() = default;

void GrpcClient::CancelAll() { impl_->calls.CancelAll(); }

void GrpcClient::SetToken(std::string token) {
  std::lock_guard lock(impl_->token_mutex);
  impl_->token = std::move(token);
}

Result<std::string> GrpcClient::Authenticate(const std::string& username,
                                             const std::string& password, milliseconds timeout) {
  Call call(impl_->calls, "");
  call.SetDeadline(timeout);
  etcdserverpb::AuthenticateRequest request;
  request.set_name(username);
  request.set_password(password);
  etcdserverpb::AuthenticateResponse response;
  const grpc::Status status = impl_->auth->Authenticate(call.context(), request, &response);
  if (!status.ok()) return impl_->Failure(status);
  impl_->Answered();
  return std::move(*response.mutable_token());
}

Result<GrantAnswer> GrpcClient::Grant(int64_t lease, seconds ttl, milliseconds timeout) {
  etcdserverpb::LeaseGrantRequest request;
  request.set_id(lease);
  request.set_ttl(ttl.count());
  etcdserverpb::LeaseGrantResponse response;
  const grpc::Status status = Unary(*impl_, *impl_->lease, &etcdserverpb::Lease::Stub::LeaseGrant,
                                    timeout, request, &response);
  if (!status.ok()) return impl_->Failure(status, true);
  return GrantAnswer{ToHeader(response.header()), response.id(), seconds(response.ttl())};
}

Result<KeepAliveAnswer> GrpcClient::KeepAlive(int64_t lease, milliseconds timeout) {
  Call call(impl_->calls, impl_->Token());
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
  const grpc::Status status = call.Ended(stream->Finish());
  if (answered) return KeepAliveAnswer{ToHeader(response.header()), seconds(response.ttl())};
  if (!status.ok()) return impl_->Failure(status);
  return Error{ErrorClass::kUnavailable, 0, "the server closed the keepalive without an answer",
               impl_->endpoint.url, 0};
}

Result<Header> GrpcClient::Revoke(int64_t lease, milliseconds timeout) {
  etcdserverpb::LeaseRevokeRequest request;
  request.set_id(lease);
  etcdserverpb::LeaseRevokeResponse response;
  const grpc::Status status = Unary(*impl_, *impl_->lease, &etcdserverpb::Lease::Stub::LeaseRevoke,
                                    timeout, request, &response);
  if (!status.ok()) return impl_->Failure(status, true);
  return ToHeader(response.header());
}

Result<Header> GrpcClient::Ping(milliseconds timeout) {
  etcdserverpb::RangeRequest request;
  request.set_key(impl_->options.ping_key);
  request.set_count_only(true);
  etcdserverpb::RangeResponse response;
  const grpc::Status status =
      Unary(*impl_, *impl_->kv, &etcdserverpb::KV::Stub::Range, timeout, request, &response);
  if (!status.ok()) return impl_->Failure(status);
  return ToHeader(response.header());
}

Result<std::optional<KeyValue>> GrpcClient::ReadAt(const std::string& key, int64_t revision,
                                                   milliseconds timeout) {
  etcdserverpb::RangeRequest request;
  request.set_key(key);
  request.set_revision(revision);
  etcdserverpb::RangeResponse response;
  const grpc::Status status =
      Unary(*impl_, *impl_->kv, &etcdserverpb::KV::Stub::Range, timeout, request, &response);
  if (!status.ok()) {
    Error error = impl_->Failure(status);
    // The read is linearizable: the member does not lag, there is no such revision.
    if (error.error_class == ErrorClass::kFutureRevision) return std::optional<KeyValue>();
    return error;
  }
  std::optional<KeyValue> found;
  if (response.kvs_size() > 0) found = ToKeyValue(*response.mutable_kvs(0));
  return found;
}

Result<ListAnswer> GrpcClient::List(const std::string& prefix, milliseconds timeout) {
  const KeyRange range = RangeOfPrefix(prefix);
  for (int attempt = 1;; ++attempt) {
    ListAnswer answer;
    etcdserverpb::RangeRequest request;
    request.set_key(range.begin);
    request.set_range_end(range.end);
    request.set_limit(impl_->options.keys_per_page);
    const auto shrink = [&request](int64_t divisor) {
      request.set_limit(std::max<int64_t>(1, request.limit() / divisor));
    };
    bool timed_out = false;  // this page, once
    for (;;) {
      etcdserverpb::RangeResponse response;
      const grpc::Status status =
          Unary(*impl_, *impl_->kv, &etcdserverpb::KV::Stub::Range, timeout, request, &response);
      if (!status.ok()) {
        const Error error = impl_->Failure(status);
        if (error.error_class == ErrorClass::kCompacted && attempt < kListAttempts) break;
        if (TooBig(error) && request.limit() > 1) {
          shrink(8);
          continue;
        }
        // Large values on a slow link.
        if (error.error_class == ErrorClass::kTimeout && !timed_out) {
          timed_out = true;
          shrink(4);
          continue;
        }
        return error;
      }
      timed_out = false;
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
                                                    GrpcClient::Options options,
                                                    std::shared_ptr<CredentialFiles> credentials) {
  std::map<std::string, Endpoint> parsed;
  for (const std::string& url : endpoints) {
    ASSIGN_OR_RETURN(Endpoint endpoint, ParseEndpoint(url));
    parsed.emplace(url, std::move(endpoint));
  }
  SilenceGrpcLog();
  if (!options.deadlines) options.deadlines = std::make_shared<CallDeadlines>();
  return [parsed, options,
          credentials](const std::string& url) mutable -> std::shared_ptr<CancellableClient> {
    if (credentials) options.tls = *credentials->tls();
    return std::make_shared<GrpcClient>(parsed.at(url), options);
  };
}

}  // namespace rosterd::etcd
