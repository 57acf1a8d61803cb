// SPDX-License-Identifier: Apache-2.0
#include "etcd/grpc_calls.h"

#include <random>
#include <utility>

#include "etcd/error_hint.h"

namespace rosterd::etcd {
namespace {

constexpr int kMaxReceiveBytes = 64 * 1024 * 1024;

std::shared_ptr<grpc::ChannelCredentials> MakeCredentials(const Endpoint& endpoint,
                                                          const TlsPem& tls) {
  if (!endpoint.https) return grpc::InsecureChannelCredentials();
  return grpc::SslCredentials({tls.ca, tls.key, tls.cert});
}

std::shared_ptr<grpc::Channel> MakeChannel(const Endpoint& endpoint,
                                           const GrpcClient::Options& options) {
  grpc::ChannelArguments args;
  // etcd refuses pings more often than every 5 s, and on a channel without calls.
  args.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10'000);
  args.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5'000);
  args.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 0);
  // The default of 2 stops pinging on a watch that has nothing to say.
  args.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // The default of 4 MB breaks a watch for ever on one big answer.
  args.SetMaxReceiveMessageSize(kMaxReceiveBytes);
  // The minimum is also the time-out of a connection attempt.
  args.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 3'000);
  args.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 500);
  args.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 10'000);
  // A new channel to the same address must not inherit the backoff of the one that was given up.
  args.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  // Retries, proxies and service configurations are the session's business or nobody's.
  args.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  args.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  args.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
  // Else the certificate must name the endpoint's own host.
  const std::string& server_name = options.settings.tls.server_name;
  if (endpoint.https && !server_name.empty()) args.SetSslTargetNameOverride(server_name);
  return grpc::CreateCustomChannel(endpoint.GrpcTarget(), MakeCredentials(endpoint, options.tls),
                                   args);
}

// A fleet hears of the last change at one moment; it must not ask for progress at one moment.
milliseconds WithRandomHalf(milliseconds time) {
  std::random_device random;
  return time + milliseconds(std::uniform_int_distribution<int64_t>(0, time.count() / 2)(random));
}

}  // namespace

void CallsInFlight::CancelAll() {
  std::lock_guard lock(mutex_);
  cancelled_ = true;
  for (grpc::ClientContext* context : contexts_) context->TryCancel();
}

bool CallsInFlight::cancelled() const {
  std::lock_guard lock(mutex_);
  return cancelled_;
}

void CallsInFlight::Add(grpc::ClientContext* context) {
  std::lock_guard lock(mutex_);
  contexts_.insert(context);
  // Takes effect when the call starts.
  if (cancelled_) context->TryCancel();
}

void CallsInFlight::Remove(grpc::ClientContext* context) {
  std::lock_guard lock(mutex_);
  contexts_.erase(context);
}

void Call::SetDeadline(milliseconds timeout) {
  context_.set_deadline(DeadlineAfter(timeout));
  WatchDeadline(timeout);
}

void Call::WatchDeadline(milliseconds timeout) {
  if (calls_.deadlines_) calls_.deadlines_->Add(this, timeout, [this] { context_.TryCancel(); });
}

void Call::EndDeadline() {
  if (calls_.deadlines_ && calls_.deadlines_->Remove(this)) overdue_ = true;
}

grpc::Status Call::Ended(const grpc::Status& status) {
  EndDeadline();
  if (status.ok() || !overdue_ || calls_.cancelled()) return status;
  return {grpc::StatusCode::DEADLINE_EXCEEDED, "Deadline Exceeded"};
}

gpr_timespec DeadlineAfter(milliseconds timeout) {
  return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                      gpr_time_from_millis(timeout.count(), GPR_TIMESPAN));
}

Header ToHeader(const etcdserverpb::ResponseHeader& header) {
  return {header.cluster_id(), header.member_id(), header.revision(), header.raft_term()};
}

KeyValue ToKeyValue(mvccpb::KeyValue& kv) {
  return {std::move(*kv.mutable_key()),
          std::move(*kv.mutable_value()),
          kv.create_revision(),
          kv.mod_revision(),
          kv.version(),
          kv.lease()};
}

GrpcClient::Impl::Impl(Endpoint endpoint_in, Options options_in)
    : endpoint(std::move(endpoint_in)),
      options(std::move(options_in)),
      watch_silence(WithRandomHalf(options.watch_silence)),
      channel(MakeChannel(endpoint, options)),
      kv(etcdserverpb::KV::NewStub(channel)),
      lease(etcdserverpb::Lease::NewStub(channel)),
      watch(etcdserverpb::Watch::NewStub(channel)),
      auth(etcdserverpb::Auth::NewStub(channel)),
      calls(options.deadlines) {}

Error GrpcClient::Impl::Failure(const grpc::Status& status, bool writing) const {
  if (status.error_code() == grpc::StatusCode::CANCELLED && calls.cancelled()) return Cancelled();
  Error error{Classify(status.error_code(), status.error_message()), status.error_code(),
              status.error_message(), endpoint.url, 0};
  AddHint(error, writing);
  return error;
}

void GrpcClient::Impl::AddHint(Error& error, bool writing) const {
  error.hint = HintFor(error.error_class, error.text,
                       {options.settings, endpoint.https, answered_before, writing});
}

std::string GrpcClient::Impl::Token() const {
  std::lock_guard lock(token_mutex);
  return token;
}

Error GrpcClient::Impl::Cancelled() const {
  return {ErrorClass::kCancelled, grpc::StatusCode::CANCELLED, "the call was cancelled",
          endpoint.url, 0};
}

}  // namespace rosterd::etcd
