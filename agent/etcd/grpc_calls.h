// SPDX-License-Identifier: Apache-2.0
// What every call of GrpcClient needs: the list of calls in flight, deadlines, errors and the
// translation between generated messages and our values. Private to the files named grpc_*, the
// only ones that see gRPC and the generated code.
#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "etcd/call_deadlines.h"
#include "etcd/client.h"
#include "etcd/grpc_client.h"
#include "proto/rpc.grpc.pb.h"

namespace rosterd::etcd {

// Calls in flight on one channel. Thread-safe.
class CallsInFlight {
 public:
  // Null: gRPC alone ends what is over its time.
  explicit CallsInFlight(std::shared_ptr<CallDeadlines> deadlines)
      : deadlines_(std::move(deadlines)) {}
  // Cancels all of them and every later one.
  void CancelAll();
  bool cancelled() const;

 private:
  friend class Call;
  void Add(grpc::ClientContext* context);
  void Remove(grpc::ClientContext* context);

  const std::shared_ptr<CallDeadlines> deadlines_;
  mutable std::mutex mutex_;
  // Guarded by mutex_.
  bool cancelled_ = false;
  std::set<grpc::ClientContext*> contexts_;
};

// One call's context, cancelled with all others. Owned by the thread that makes the call; Cancel()
// is thread-safe.
class Call {
 public:
  // `token` as etcd gave it; "": none.
  Call(CallsInFlight& calls, const std::string& token) : calls_(calls) {
    if (!token.empty()) context_.AddMetadata("token", token);
    calls_.Add(&context_);
  }
  ~Call() {
    EndDeadline();
    calls_.Remove(&context_);
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  grpc::ClientContext* context() { return &context_; }
  void Cancel() { context_.TryCancel(); }
  void SetDeadline(milliseconds timeout);
  // For a stream, which ends by itself: only until EndDeadline().
  void WatchDeadline(milliseconds timeout);
  void EndDeadline();
  // The call's end as it is to be understood: one that we ended for its time is a time-out.
  grpc::Status Ended(const grpc::Status& status);
  // The member ends the stream when it has lost the leader, instead of leaving it silent.
  void RequireLeader() { context_.AddMetadata("hasleader", "true"); }

 private:
  CallsInFlight& calls_;
  grpc::ClientContext context_;
  bool overdue_ = false;
};

// A point on the monotonic clock: deadlines must not jump with the wall clock.
gpr_timespec DeadlineAfter(milliseconds timeout);

Header ToHeader(const etcdserverpb::ResponseHeader& header);
KeyValue ToKeyValue(mvccpb::KeyValue& kv);  // moves the strings out

// Everything behind GrpcClient's pointer. Thread-safe.
struct GrpcClient::Impl {
  Impl(Endpoint endpoint_in, Options options_in);

  // A call failed with `status`; kCancelled if we ended it.
  Error Failure(const grpc::Status& status, bool writing = false) const;
  Error Cancelled() const;
  // Puts into `error` what a person can do about it.
  void AddHint(Error& error, bool writing) const;
  std::string Token() const;
  void Answered() { answered_before = true; }

  const Endpoint endpoint;
  const Options options;
  const milliseconds watch_silence;  // the option's, with the random part
  const std::shared_ptr<grpc::Channel> channel;
  const std::unique_ptr<etcdserverpb::KV::Stub> kv;
  const std::unique_ptr<etcdserverpb::Lease::Stub> lease;
  const std::unique_ptr<etcdserverpb::Watch::Stub> watch;
  const std::unique_ptr<etcdserverpb::Auth::Stub> auth;
  CallsInFlight calls;
  std::atomic<bool> answered_before = false;
  mutable std::mutex token_mutex;
  std::string token;  // guarded by token_mutex
};

}  // namespace rosterd::etcd
