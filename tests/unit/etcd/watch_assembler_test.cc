// SPDX-License-Identifier: Apache-2.0
#include "etcd/watch_assembler.h"

#include <catch2/catch.hpp>

namespace rosterd::etcd {
namespace {

WatchMessage Created(int64_t revision) {
  WatchMessage message;
  message.created = true;
  message.header.revision = revision;
  return message;
}

WatchMessage Events(int64_t revision, std::vector<std::string> keys, bool fragment = false) {
  WatchMessage message;
  message.header.revision = revision;
  message.fragment = fragment;
  for (std::string& key : keys) {
    WatchEvent event;
    event.kv.key = std::move(key);
    event.kv.mod_revision = revision;
    message.events.push_back(std::move(event));
  }
  return message;
}

bool IsIncomplete(const WatchAssembler::Outcome& outcome) { return outcome.index() == 0; }

TEST_CASE("a watch begins with its confirmation and goes on with whole answers") {
  WatchAssembler assembler;
  CHECK_FALSE(assembler.created());
  const auto created = std::get<WatchBatch>(assembler.Add(Created(7)));
  CHECK(created.created);
  CHECK(created.header.revision == 7);
  CHECK(assembler.created());
  const auto batch = std::get<WatchBatch>(assembler.Add(Events(8, {"a", "b"})));
  CHECK_FALSE(batch.created);
  CHECK(batch.events.size() == 2);
}

TEST_CASE("fragments are joined and a cut one is never handed over") {
  WatchAssembler assembler;
  assembler.Add(Created(7));
  CHECK(IsIncomplete(assembler.Add(Events(8, {"a", "b"}, true))));
  CHECK(IsIncomplete(assembler.Add(Events(8, {"c"}, true))));
  const auto batch = std::get<WatchBatch>(assembler.Add(Events(8, {"d"})));
  REQUIRE(batch.events.size() == 4);
  CHECK(batch.events[0].kv.key == "a");
  CHECK(batch.events[3].kv.key == "d");
  CHECK(std::get<WatchBatch>(assembler.Add(Events(9, {"e"}))).events.size() == 1);
}

TEST_CASE("progress is a batch without events") {
  WatchAssembler assembler;
  assembler.Add(Created(7));
  const auto batch = std::get<WatchBatch>(assembler.Add(Events(12, {})));
  CHECK(batch.events.empty());
  CHECK(batch.header.revision == 12);
  CHECK_FALSE(batch.created);
}

TEST_CASE("progress of the whole stream is not taken for our watch's") {
  WatchAssembler assembler;
  assembler.Add(Created(7));
  WatchMessage progress = Events(12, {});
  progress.watch_id = -1;
  CHECK(IsIncomplete(assembler.Add(progress)));
}

TEST_CASE("created and cancelled in one message is an error, though the stream stays open") {
  WatchAssembler assembler;
  WatchMessage message = Created(7);
  message.canceled = true;
  message.watch_id = -1;
  message.cancel_reason = "rpc error: code = Unauthenticated desc = etcdserver: invalid auth token";
  const auto error = std::get<Error>(assembler.Add(message));
  CHECK(error.error_class == ErrorClass::kUnauthenticated);
}

TEST_CASE("a compacted watch tells where history begins") {
  WatchAssembler assembler;
  assembler.Add(Created(900));
  WatchMessage message;
  message.canceled = true;
  message.compact_revision = 705;
  const auto error = std::get<Error>(assembler.Add(message));
  CHECK(error.error_class == ErrorClass::kCompacted);
  CHECK(error.compact_revision == 705);
}

TEST_CASE("a cancellation without a reason means another endpoint") {
  WatchAssembler assembler;
  assembler.Add(Created(7));
  WatchMessage message;
  message.canceled = true;
  const auto error = std::get<Error>(assembler.Add(message));
  CHECK(error.connection_is_bad());
  CHECK_FALSE(error.text.empty());
}

TEST_CASE("events before the confirmation are refused") {
  WatchAssembler assembler;
  CHECK(std::get<Error>(assembler.Add(Events(8, {"a"}))).error_class == ErrorClass::kInvalid);
}

}  // namespace
}  // namespace rosterd::etcd
