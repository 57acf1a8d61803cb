// SPDX-License-Identifier: Apache-2.0
#include "etcd/watch_assembler.h"

#include <iterator>
#include <utility>

namespace rosterd::etcd {
namespace {

constexpr int kUnavailableCode = 14;
constexpr int kOutOfRangeCode = 11;

// A reason can be empty, or "rpc error: code = Unauthenticated desc = ...".
Error CancelError(WatchMessage message) {
  Error error;
  if (message.compact_revision != 0) {
    error.error_class = ErrorClass::kCompacted;
    error.grpc_code = kOutOfRangeCode;
    error.text = "required revision has been compacted; the first one left is " +
                 std::to_string(message.compact_revision);
    error.compact_revision = message.compact_revision;
    return error;
  }
  error.grpc_code = kUnavailableCode;
  error.error_class = Classify(kUnavailableCode, message.cancel_reason);
  error.text = message.cancel_reason.empty() ? "the server cancelled the watch"
                                             : std::move(message.cancel_reason);
  return error;
}

}  // namespace

WatchAssembler::Outcome WatchAssembler::Add(WatchMessage message) {
  if (message.canceled) return CancelError(std::move(message));
  if (message.created) {
    created_ = true;
    watch_id_ = message.watch_id;
    return WatchBatch{message.header, true, {}};
  }
  if (!created_) {
    return Error{ErrorClass::kInvalid, 0, "the server sent events before it confirmed the watch",
                 "", 0};
  }
  // Not ours: an answer to the whole stream, whose revision promises nothing about our events.
  if (message.watch_id != watch_id_) return Incomplete{};
  std::move(message.events.begin(), message.events.end(), std::back_inserter(pending_));
  if (message.fragment) return Incomplete{};
  return WatchBatch{message.header, false, std::exchange(pending_, {})};
}

}  // namespace rosterd::etcd
