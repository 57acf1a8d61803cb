// SPDX-License-Identifier: Apache-2.0
// The Watch service of the scripted member: one stream at a time, told out of the store's history
// on the gRPC thread that the stream came in on.
#include <algorithm>
#include <iterator>
#include <thread>
#include <utility>

#include "scripted_wire.h"

namespace rosterd::testing {
namespace {

using etcd::WatchEvent;
using Stream = grpc::ServerReaderWriter<etcdserverpb::WatchResponse, etcdserverpb::WatchRequest>;
using Kind = Deed::Watch;

constexpr milliseconds kPoll{5};
constexpr milliseconds kProgressEvery{500};
constexpr milliseconds kAliveEvery{300};
constexpr size_t kRepeated = 5;

// One stream, from its creation to its end. Owned by its handler.
class Telling {
 public:
  Telling(MemberState& member, grpc::ServerContext& context, Stream& stream,
          const etcdserverpb::WatchCreateRequest& create, Deed deed)
      : member_(member),
        context_(context),
        stream_(stream),
        create_(create),
        deed_(std::move(deed)),
        began_(member.clock.Now()),
        next_(create.start_revision()),
        drops_(member.drops),
        era_(member.store->era()) {}

  grpc::Status Run() {
    if (deed_.refuse) return ToStatus(*deed_.refuse);
    if (deed_.watch == Kind::kMute) return Idle();
    if (deed_.watch == Kind::kCreatedAndCancelled) {
      auto response = Message(0);
      response.set_created(true);
      Cancel(response);
      return Idle();
    }
    auto created = Message(member_.store->revision());
    if (deed_.watch == Kind::kBehind) {
      created.mutable_header()->set_revision(std::max<int64_t>(0, next_ - 2));
    }
    created.set_created(true);
    if (!stream_.Write(created)) return grpc::Status::OK;
    ++member_.open_watches;
    const grpc::Status status = Tell();
    --member_.open_watches;
    return status;
  }

 private:
  grpc::Status Tell() {
    while (!Ended()) {
      if (deed_.watch == Kind::kSilent) return Idle();
      ScriptedStore::Told told = member_.store->Since(next_, create_.key(), create_.range_end());
      if (deed_.header_ahead) TellOneRevision(told);
      // A restored etcd is another process: its streams end with the old one.
      if (told.era != era_) return Drop();
      if (next_ < told.compacted) {
        auto response = Message(0);
        response.set_compact_revision(told.compacted);
        Cancel(response);
        return Idle();
      }
      if (!told.events.empty()) {
        if (!SendEvents(told)) return Drop();
        if (deed_.watch == Kind::kDropped || deed_.watch == Kind::kDroppedInside) return Drop();
        if (deed_.watch == Kind::kCancelledLater) break;
      }
      next_ = std::max(next_, told.header.revision + 1);
      if (deed_.progress && (!told.events.empty() || member_.clock.Now() >= progress_due_)) {
        progress_due_ = member_.clock.Now() + kProgressEvery;
        if (!stream_.Write(Message(told.header.revision))) return grpc::Status::OK;
      }
      if (member_.clock.Now() >= alive_due_) {
        // As the answer to a request for progress, which this member does not wait for. Its
        // revision must not be taken for the watch's.
        alive_due_ = member_.clock.Now() + kAliveEvery;
        auto alive = Message(told.header.revision);
        alive.set_watch_id(-1);
        if (!stream_.Write(alive)) return grpc::Status::OK;
      }
      if (deed_.after.count() > 0 && member_.clock.Now() - began_ >= deed_.after) {
        if (deed_.watch == Kind::kDropped || deed_.watch == Kind::kDroppedInside) return Drop();
        if (deed_.watch == Kind::kCancelledLater) break;
      }
      member_.store->AwaitChange(told.header.revision, told.era, kPoll);
    }
    if (deed_.watch != Kind::kCancelledLater || Ended()) return Drop();
    auto response = Message(0);
    Cancel(response);
    return Idle();
  }

  // The rest follows in an answer of its own.
  static void TellOneRevision(ScriptedStore::Told& told) {
    if (told.events.empty()) return;
    const int64_t first = told.events.front().kv.mod_revision;
    if (told.events.back().kv.mod_revision == first) return;
    std::erase_if(told.events, [&](const WatchEvent& e) { return e.kv.mod_revision > first; });
    told.header.revision = first;
  }

  // False when the stream is to be dropped.
  bool SendEvents(const ScriptedStore::Told& told) {
    std::vector<WatchEvent> events = told.events;
    if (deed_.repeats && sent_any_) {
      deed_.repeats = false;
      const auto old = member_.store->Since(1, create_.key(), create_.range_end()).events;
      auto end = std::find_if(old.begin(), old.end(),
                              [&](const WatchEvent& e) { return e.kv.mod_revision >= next_; });
      auto begin = end - std::min<std::ptrdiff_t>(end - old.begin(), kRepeated);
      events.insert(events.begin(), begin, end);
    }
    sent_any_ = true;
    const size_t step = deed_.fragment == 0 ? events.size() : deed_.fragment;
    for (size_t first = 0; first < events.size(); first += step) {
      auto response =
          Message(deed_.header_ahead ? member_.store->revision() : told.header.revision);
      const size_t end = std::min(first + step, events.size());
      for (size_t i = first; i < end; ++i) {
        mvccpb::Event* event = response.add_events();
        if (events[i].kind == WatchEvent::Kind::kDelete) {
          event->set_type(mvccpb::Event::DELETE);
          event->mutable_kv()->set_key(events[i].kv.key);
          event->mutable_kv()->set_mod_revision(events[i].kv.mod_revision);
        } else {
          FillKeyValue(events[i].kv, event->mutable_kv());
        }
      }
      response.set_fragment(end < events.size());
      if (!stream_.Write(response)) return false;
      if (deed_.watch == Kind::kDroppedInside && response.fragment()) return false;
    }
    return true;
  }

  etcdserverpb::WatchResponse Message(int64_t revision) {
    etcdserverpb::WatchResponse response;
    member_.FillHeader(member_.store->MakeHeader(), deed_, response.mutable_header());
    response.mutable_header()->set_revision(deed_.revision_zero ? 0 : revision);
    response.set_watch_id(0);
    return response;
  }

  void Cancel(etcdserverpb::WatchResponse& response) {
    response.set_canceled(true);
    response.set_cancel_reason(deed_.cancel_reason);
    if (response.created()) response.set_watch_id(-1);
    stream_.Write(response);
  }

  bool Ended() const {
    return member_.stopping || context_.IsCancelled() || member_.drops != drops_;
  }
  // Open, without a word.
  grpc::Status Idle() {
    while (!Ended()) std::this_thread::sleep_for(kPoll);
    return Drop();
  }
  // A reset: the client gets no status from us.
  grpc::Status Drop() {
    context_.TryCancel();
    return grpc::Status::CANCELLED;
  }

  MemberState& member_;
  grpc::ServerContext& context_;
  Stream& stream_;
  const etcdserverpb::WatchCreateRequest create_;
  Deed deed_;
  const TimePoint began_;
  int64_t next_;
  const uint64_t drops_;
  const size_t era_;
  TimePoint progress_due_{};
  TimePoint alive_due_ = began_ + kAliveEvery;
  bool sent_any_ = false;
};

}  // namespace

grpc::Status ScriptedWatch::Watch(grpc::ServerContext* context, Stream* stream) {
  etcdserverpb::WatchRequest request;
  if (!stream->Read(&request) || !request.has_create_request()) {
    return {grpc::StatusCode::INVALID_ARGUMENT, "a watch begins with its creation"};
  }
  ScriptedEtcd::Record record;
  record.call = ScriptedCall::kWatch;
  record.start_revision = request.create_request().start_revision();
  const Deed deed = member_.Begin(record);
  if (deed.before.count() > 0) member_.Sleep(deed.before);
  return Telling(member_, *context, *stream, request.create_request(), deed).Run();
}

}  // namespace rosterd::testing
