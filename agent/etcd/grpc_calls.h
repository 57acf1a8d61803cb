// SPDX-License-Identifier: Apache-2.0
// What every call of GrpcClient needs: the list of calls in flight, deadlines, errors and the
// translation between generated messages and our values. Private to the files named grpc_*, the
// only ones that see gRPC and the generated code.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "etcd/client.h"
#include "etcd/grpc_client.h"
#include "proto/rpc.grpc.pb.h"

namespace rosterd::etcd {

// Calls in flight on one channel. Thread-safe.
class CallsInFlight {
 public:
  // Cancels all of them and every later one.
  void CancelAll();
  bool cancelled() const;

 private:
  friend class Call;
  void Add(grpc::ClientContext* context);
  void Remove(grpc::ClientContext* context);

  mutable std::mutex mutex_;
  // Guarded by mutex_.
  bool cancelled_ = false;
  std::set<grpc::ClientContext*> contexts_;
};

// One call's context, cancelled with all others. Owned by the thread that makes the call; Cancel()
// is thread-safe.
class Call {
 public:
  explicit Call(CallsInFlight& calls) : calls_(calls) { calls_.Add(&context_); }
  ~Call() { calls_.Remove(&context_); }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  grpc::ClientContext* context() { return &context_; }
  void Cancel() { context_.TryCancel(); }
  void SetDeadline(milliseconds timeout);
  // The member ends the stream when it has lost the leader, instead of leaving it silent.
  void RequireLeader() { context_.AddMetadata("hasleader", "true"); }

 private:
  CallsInFlight& calls_;
  grpc::ClientContext context_;
};

// A point on the monotonic clock: deadlines must not jump with the wall clock.
gpr_timespec DeadlineAfter(milliseconds timeout);

Header ToHeader(const etcdserverpb::ResponseHeader& header);
KeyValue ToKeyValue(mvccpb::KeyValue& kv);  // moves the strings out

// Everything behind GrpcClient's pointer. Thread-safe.
struct GrpcClient::Impl {
  Impl(Endpoint endpoint_in, Options options_in);

  // `call` failed with `status`; kCancelled if we ended it.
  Error Failure(const grpc::Status& status) const;
  Error Cancelled() const;

  const Endpoint endpoint;
  const Options options;
  const std::shared_ptr<grpc::Channel> channel;
  const std::unique_ptr<etcdserverpb::KV::Stub> kv;
  const std::unique_ptr<etcdserverpb::Lease::Stub> lease;
  const std::unique_ptr<etcdserverpb::Watch::Stub> watch;
  CallsInFlight calls;
};

}  // namespace rosterd::etcd
