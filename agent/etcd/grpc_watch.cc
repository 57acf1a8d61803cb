// SPDX-License-Identifier: Apache-2.0
// GrpcClient::Watch: one stream, read on the caller's thread through a completion queue of its own,
// because only that bounds the wait for the first answer. May be cancelled from any thread.
#include <optional>
#include <utility>

#include "etcd/grpc_calls.h"
#include "etcd/key_range.h"
#include "etcd/watch_assembler.h"

namespace rosterd::etcd {
namespace {

constexpr milliseconds kStatusGrace{200};

WatchMessage ToMessage(etcdserverpb::WatchResponse& response) {
  WatchMessage message;
  message.header = ToHeader(response.header());
  message.watch_id = response.watch_id();
  message.created = response.created();
  message.canceled = response.canceled();
  message.fragment = response.fragment();
  message.compact_revision = response.compact_revision();
  message.cancel_reason = std::move(*response.mutable_cancel_reason());
  message.events.reserve(static_cast<size_t>(response.events_size()));
  for (mvccpb::Event& event : *response.mutable_events()) {
    const bool deleted = event.type() == mvccpb::Event::DELETE;
    message.events.push_back({deleted ? WatchEvent::Kind::kDelete : WatchEvent::Kind::kPut,
                              ToKeyValue(*event.mutable_kv())});
  }
  return message;
}

etcdserverpb::WatchRequest CreateRequest(const std::string& prefix, int64_t start_revision) {
  const KeyRange range = RangeOfPrefix(prefix);
  etcdserverpb::WatchRequest request;
  etcdserverpb::WatchCreateRequest* create = request.mutable_create_request();
  create->set_key(range.begin);
  create->set_range_end(range.end);
  create->set_start_revision(start_revision);
  create->set_progress_notify(true);
  create->set_fragment(true);
  return request;
}

// The stream and its queue: at most one read and one other operation under way. Owned by the
// calling thread; only call.Cancel() may come from elsewhere.
class Stream {
 public:
  enum class Wait { kDone, kFailed, kTooLate };

  Stream(etcdserverpb::Watch::Stub& stub, CallsInFlight& calls, const std::string& token)
      : call(calls, token) {
    call.RequireLeader();
    stream_ = stub.PrepareAsyncWatch(call.context(), &queue_);
  }
  ~Stream() {
    queue_.Shutdown();
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) {
    }
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  Wait Start(gpr_timespec deadline) {
    stream_->StartCall(Begin(other_));
    return Await(other_, deadline);
  }
  Wait Write(const etcdserverpb::WatchRequest& request, gpr_timespec deadline) {
    stream_->Write(request, Begin(other_));
    return Await(other_, deadline);
  }
  // Not awaited; one that is still under way will do.
  void AskForProgress() {
    if (other_.outstanding) return;
    etcdserverpb::WatchRequest request;
    request.mutable_progress_request();
    stream_->Write(request, Begin(other_));
  }
  // After kTooLate the next call goes on with the same read.
  Wait Read(etcdserverpb::WatchResponse* response, gpr_timespec deadline) {
    if (!read_.outstanding) stream_->Read(response, Begin(read_));
    return Await(read_, deadline);
  }
  // The stream's end. A broken stream has its status already or soon: cancelling it at once could
  // hide that.
  grpc::Status Finish(bool broken) {
    if (!broken) call.Cancel();
    const gpr_timespec for_ever = gpr_inf_future(GPR_CLOCK_MONOTONIC);
    Await(read_, for_ever);
    Await(other_, for_ever);
    grpc::Status status;
    stream_->Finish(&status, Begin(other_));
    if (Await(other_, DeadlineAfter(kStatusGrace)) == Wait::kTooLate) {
      call.Cancel();
      Await(other_, for_ever);
    }
    return status;
  }

  Call call;

 private:
  // gRPC's tag of what is under way.
  struct Operation {
    bool outstanding = false;
    bool ok = false;
  };

  static Operation* Begin(Operation& operation) {
    operation.outstanding = true;
    return &operation;
  }
  Wait Await(const Operation& operation, gpr_timespec deadline) {
    while (operation.outstanding) {
      void* tag = nullptr;
      bool ok = false;
      if (queue_.AsyncNext(&tag, &ok, deadline) == grpc::CompletionQueue::TIMEOUT) {
        return Wait::kTooLate;
      }
      *static_cast<Operation*>(tag) = {false, ok};
    }
    return operation.ok ? Wait::kDone : Wait::kFailed;
  }

  grpc::CompletionQueue queue_;
  std::unique_ptr<
      grpc::ClientAsyncReaderWriter<etcdserverpb::WatchRequest, etcdserverpb::WatchResponse>>
      stream_;
  Operation read_;
  Operation other_;
};

}  // namespace

Error GrpcClient::Watch(const std::string& prefix, int64_t start_revision,
                        milliseconds open_timeout, std::stop_token stop,
                        const std::function<bool(const WatchBatch&)>& on_batch) {
  Stream stream(*impl_->watch, impl_->calls, impl_->Token());
  const std::stop_callback cancel(stop, [&] { stream.call.Cancel(); });
  const gpr_timespec open_deadline = DeadlineAfter(open_timeout);
  const milliseconds silence = impl_->watch_silence;

  // What must stay alive until its operation has ended: declared before anything can return.
  const etcdserverpb::WatchRequest request = CreateRequest(prefix, start_revision);
  etcdserverpb::WatchResponse response;
  WatchAssembler assembler;
  std::optional<Error> end;
  stream.call.WatchDeadline(open_timeout);
  Stream::Wait wait = stream.Start(open_deadline);
  if (wait == Stream::Wait::kDone) wait = stream.Write(request, open_deadline);
  while (wait == Stream::Wait::kDone && !end) {
    // The bounds below come late when the wall clock is set back; this one does not. It must not
    // run while the batch is handled, which may take its time.
    if (assembler.created()) stream.call.WatchDeadline(silence + impl_->options.watch_answer);
    wait = stream.Read(&response, assembler.created() ? DeadlineAfter(silence) : open_deadline);
    if (wait == Stream::Wait::kTooLate && assembler.created()) {
      // Nothing happened, or the watch is dead on a connection that lives.
      stream.AskForProgress();
      wait = stream.Read(&response, DeadlineAfter(impl_->options.watch_answer));
    }
    if (wait != Stream::Wait::kDone) break;
    stream.call.EndDeadline();
    const WatchAssembler::Outcome outcome = assembler.Add(ToMessage(response));
    if (const auto* error = std::get_if<Error>(&outcome)) {
      end = *error;
      end->endpoint = impl_->endpoint.url;
      impl_->AddHint(*end, false);
    } else if (const auto* batch = std::get_if<WatchBatch>(&outcome)) {
      if (stop.stop_requested() || !on_batch(*batch)) end = impl_->Cancelled();
    }
  }
  if (wait == Stream::Wait::kTooLate) {
    const milliseconds limit = assembler.created() ? impl_->options.watch_answer : open_timeout;
    end = Error{ErrorClass::kTimeout, grpc::StatusCode::DEADLINE_EXCEEDED,
                "no answer to the watch within " + std::to_string(limit.count()) + " ms",
                impl_->endpoint.url, 0};
  }
  stream.call.EndDeadline();
  const grpc::Status status = stream.call.Ended(stream.Finish(wait == Stream::Wait::kFailed));
  if (stop.stop_requested()) return impl_->Cancelled();
  if (end) return *end;
  if (!status.ok()) return impl_->Failure(status);
  return Error{ErrorClass::kUnavailable, 0, "the server ended the watch", impl_->endpoint.url, 0};
}

}  // namespace rosterd::etcd
