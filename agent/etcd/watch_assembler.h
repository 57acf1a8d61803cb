// SPDX-License-Identifier: Apache-2.0
// WatchAssembler: makes whole batches of what a watch stream says, and notices what the stream does
// not show by ending: a cancelled watch leaves it open (etcd 3.4 and 3.5). Pure.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "etcd/client.h"

namespace rosterd::etcd {

// One message of the stream.
struct WatchMessage {
  Header header;
  int64_t watch_id = 0;
  bool created = false;
  bool canceled = false;
  bool fragment = false;  // more of the same answer follows
  int64_t compact_revision = 0;
  std::string cancel_reason;
  std::vector<WatchEvent> events;
};

// Not thread-safe: owned by one watch.
class WatchAssembler {
 public:
  // The watch goes on, and there is nothing to hand over yet.
  struct Incomplete {};
  using Outcome = std::variant<Incomplete, WatchBatch, Error>;

  // After an Error the watch is over.
  Outcome Add(WatchMessage message);
  bool created() const { return created_; }

 private:
  bool created_ = false;
  int64_t watch_id_ = 0;
  // Events of an answer whose last fragment has not come: they may be a part of one revision only.
  std::vector<WatchEvent> pending_;
};

}  // namespace rosterd::etcd
