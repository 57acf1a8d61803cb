// SPDX-License-Identifier: Apache-2.0
// Connection: one client's socket with what is arriving (a framer) and what is leaving (at most one
// answer). Moves bytes and remembers how far they are; what happens next is the loop's business. An
// idle connection holds no buffer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/unique_fd.h"
#include "http/adapter.h"
#include "http/framer.h"
#include "http/limits.h"

namespace rosterd::http {

// What epoll points to.
struct Watched {
  enum class Kind : uint8_t { kWakeUp, kListener, kConnection };
  explicit Watched(Kind k) : kind(k) {}
  const Kind kind;
};

// Where a connection stands; each phase has its own time limit, and its own list in the loop.
enum class Phase : uint8_t {
  kIdle,       // between requests, or not a byte yet: no time limit, first to go
  kReceiving,  // a request has begun to arrive
  kWriting,    // an answer waits for the client to read
  kLingering,  // the last answer is out; what the client still sends is thrown away
  kClosed,
};

// Owned by the http thread.
class Connection : public Watched {
 public:
  enum class Io : uint8_t { kDone, kAgain, kEnded };

  Connection(UniqueFd fd, bool over_unix, const Limits& limits)
      : Watched(Kind::kConnection),
        framer(limits),
        over_unix_socket(over_unix),
        fd_(std::move(fd)) {}

  int fd() const { return fd_.get(); }
  void CloseSocket() { fd_.Reset(); }

  // Reads once into `scratch`; `received` points into it. kEnded: end of stream or an error.
  Io Receive(std::span<char> scratch, std::string_view& received);

  // Sends `answer`, then goes on with it in each Send() until it returns kDone. `progress` tells
  // that the client has taken something.
  void Begin(WireAnswer answer) {
    out_ = std::move(answer);
    sent_ = 0;
  }
  Io Send(bool& progress);
  // The interim answer; false: the connection is of no more use.
  bool SendContinue();
  // Whether the client has taken bytes since the last call, of those too that the kernel holds: it
  // may take a slow reader long to free so much of a large send buffer that we can write again.
  bool TookSomething();
  // Tells the client that no more will come.
  void ShutDownWriting();

  Framer framer;
  std::string unread;  // received behind the request in progress, not framed yet
  TimePoint since{};   // entered the phase, or was looked at last (kWriting)
  TimePoint moved{};   // kWriting: the client took something
  std::list<Connection>::iterator self{};
  size_t counted = 0;     // bytes of the framer that are in the loop's sum
  uint32_t interest = 0;  // what epoll watches
  Phase phase = Phase::kIdle;
  const bool over_unix_socket;
  bool close_after = false;  // the answer
  bool linger = false;       // then, instead of closing at once
  bool queued = false;       // in the loop's list of connections with unread bytes

 private:
  UniqueFd fd_;
  WireAnswer out_;
  size_t sent_ = 0;
  int in_kernel_ = 0;
};
static_assert(sizeof(Connection) <= 768, "an idle connection must cost less than 1 KB");

}  // namespace rosterd::http
