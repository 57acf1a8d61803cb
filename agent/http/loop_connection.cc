// SPDX-License-Identifier: Apache-2.0
// What the loop does with one connection: read, frame, answer, close. One answer at a time: while
// it is on its way, nothing more is read from that client.
#include <sys/epoll.h>

#include <utility>

#include "http/loop.h"

namespace rosterd::http {
namespace {

constexpr uint32_t kReading = EPOLLIN | EPOLLRDHUP;
constexpr uint32_t kSending = EPOLLOUT | EPOLLRDHUP;
// A client that pipelines is served this many requests a turn, then the others have theirs.
constexpr int kRequestsPerTurn = 16;
constexpr int kDiscardsPerTurn = 16;

}  // namespace

void Loop::Read(Connection& connection) {
  std::string_view received;
  switch (connection.Receive(scratch_, received)) {
    case Connection::Io::kDone:
      return Process(connection, received);
    case Connection::Io::kAgain:
      return;
    case Connection::Io::kEnded:
      return Close(connection);
  }
}

void Loop::Process(Connection& connection, std::string_view bytes) {
  for (int answered = 0; answered < kRequestsPerTurn && !bytes.empty(); ++answered) {
    switch (connection.framer.Feed(bytes)) {
      case Framer::State::kNeedMore:
        return Settle(connection, bytes);
      case Framer::State::kRefused: {
        const FramingError error = connection.framer.error();
        return RefuseAndClose(connection, error.status, error.text);
      }
      case Framer::State::kComplete:
        Respond(connection, !bytes.empty());
        break;
    }
    if (connection.phase != Phase::kIdle) break;
  }
  if (connection.phase == Phase::kLingering || connection.phase == Phase::kClosed) return;
  Settle(connection, bytes);
}

// After the bytes at hand are used up, or may not be used yet.
void Loop::Settle(Connection& connection, std::string_view rest) {
  connection.unread.assign(rest);
  CountBuffered(connection);
  if (connection.phase == Phase::kWriting) return;
  if (buffered_ > limits_.buffered) {
    return RefuseAndClose(connection, 503, "too many requests are arriving at once; try again");
  }
  if (!rest.empty()) {
    connection.queued = true;
    queued_.push_back(&connection);
  } else if (connection.framer.idle()) {
    return;
  }
  if (connection.phase == Phase::kIdle) Enter(connection, Phase::kReceiving);
  if (connection.framer.continue_due()) AnswerContinue(connection);
}

void Loop::Respond(Connection& connection, bool more_follows) {
  const TimePoint begin = clock_.Now();
  FramedRequest request = connection.framer.Take();
  CountBuffered(connection);
  if (stopping_) request.keep_alive = false;
  connection.close_after = !request.keep_alive;
  connection.linger = more_follows;
  if (const auto refused = RefusedHost(connection, request)) {
    metrics_.Refused(403);
    connection.Begin(adapter_.Refuse(request, request.keep_alive, 403, *refused));
    return Send(connection);
  }
  WireAnswer answer = adapter_.Serve(std::move(request), connection.over_unix_socket);
  connection.close_after |= answer.must_close;
  metrics_.Answered(answer.route, answer.status, clock_.Now() - begin);
  connection.Begin(std::move(answer));
  Send(connection);
}

void Loop::AnswerContinue(Connection& connection) {
  if (const auto refused = RefusedHost(connection, connection.framer.request())) {
    return RefuseAndClose(connection, 403, *refused);
  }
  connection.framer.ContinueSent();
  if (!connection.SendContinue()) Close(connection);
}

std::optional<std::string> Loop::RefusedHost(const Connection& connection,
                                             const FramedRequest& request) const {
  if (connection.over_unix_socket || host_check_ == nullptr) return std::nullopt;
  return host_check_->Refuse(request);
}

void Loop::RefuseAndClose(Connection& connection, int status, const std::string& text) {
  metrics_.Refused(status);
  connection.close_after = true;
  connection.linger = true;
  connection.Begin(adapter_.Refuse(connection.framer.request(), false, status, text));
  connection.framer = Framer(limits_);
  connection.unread = {};
  CountBuffered(connection);
  Send(connection);
}

void Loop::Send(Connection& connection) {
  const bool continued = connection.phase == Phase::kWriting;
  bool progress = false;
  switch (connection.Send(progress)) {
    case Connection::Io::kEnded:
      return Close(connection);
    case Connection::Io::kAgain:
      if (!continued || progress) {
        Enter(connection, Phase::kWriting);
        connection.moved = now_;
        connection.TookSomething();  // counts from here
      }
      return SetInterest(connection, kSending);
    case Connection::Io::kDone:
      break;
  }
  if (connection.close_after && !connection.linger) return Close(connection);
  SetInterest(connection, kReading);
  if (connection.close_after) {
    // Closing with unread input resets the connection, and the client might lose the answer.
    connection.ShutDownWriting();
    return Enter(connection, Phase::kLingering);
  }
  Enter(connection, Phase::kIdle);
  if (continued && !connection.unread.empty()) {
    Enter(connection, Phase::kReceiving);
    connection.queued = true;
    queued_.push_back(&connection);
  }
}

void Loop::Discard(Connection& connection) {
  std::string_view ignored;
  for (int i = 0; i < kDiscardsPerTurn; ++i) {
    switch (connection.Receive(scratch_, ignored)) {
      case Connection::Io::kDone:
        break;
      case Connection::Io::kAgain:
        return;
      case Connection::Io::kEnded:
        return Close(connection);
    }
  }
}

void Loop::CountBuffered(Connection& connection) {
  const size_t bytes = connection.framer.buffered() + connection.unread.size();
  buffered_ += bytes;
  buffered_ -= connection.counted;
  connection.counted = bytes;
}

void Loop::Close(Connection& connection) {
  if (connection.phase == Phase::kClosed) return;
  connection.CloseSocket();  // takes it out of epoll
  buffered_ -= std::exchange(connection.counted, 0);
  --open_;
  Enter(connection, Phase::kClosed);
}

void Loop::Enter(Connection& connection, Phase phase) {
  Connections& to = ListOf(phase);
  to.splice(to.end(), ListOf(connection.phase), connection.self);
  connection.phase = phase;
  connection.since = now_;
}

void Loop::SetInterest(Connection& connection, uint32_t interest) {
  if (connection.interest == interest) return;
  connection.interest = interest;
  epoll_event event{};
  event.events = interest;
  event.data.ptr = static_cast<Watched*>(&connection);
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, connection.fd(), &event) != 0) Close(connection);
}

}  // namespace rosterd::http
