// SPDX-License-Identifier: Apache-2.0
// The scripted member's view of a call and of its messages: private to scripted_etcd.cc and
// scripted_watch.cc, the only files here that see gRPC and the generated code.
#pragma once

#include <grpcpp/grpcpp.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "proto/rpc.grpc.pb.h"
#include "scripted_etcd.h"

namespace rosterd::testing {

// What the services of one member share. Thread-safe.
struct MemberState {
  MemberState(std::shared_ptr<ScriptedStore> store_in, uint64_t id)
      : store(std::move(store_in)), member_id(id) {}

  Deed Begin(ScriptedEtcd::Record record);
  // False when the server stops.
  bool Sleep(milliseconds time);
  void FillHeader(const etcd::Header& from, const Deed& deed,
                  etcdserverpb::ResponseHeader* header) const;

  const std::shared_ptr<ScriptedStore> store;
  const uint64_t member_id;
  const SystemClock clock;
  std::atomic<bool> stopping{false};
  std::atomic<uint64_t> drops{0};
  std::atomic<size_t> open_watches{0};
  std::atomic<size_t> delayed{0};

  std::mutex mutex;
  std::condition_variable stopped;
  // Guarded by mutex.
  std::map<ScriptedCall, std::deque<Deed>> next;
  ScriptedEtcd::Script script;
  std::vector<ScriptedEtcd::Record> calls;
};

grpc::Status ToStatus(const ScriptedStatus& status);
void FillKeyValue(const etcd::KeyValue& from, mvccpb::KeyValue* kv);

class ScriptedWatch final : public etcdserverpb::Watch::Service {
 public:
  explicit ScriptedWatch(MemberState& member) : member_(member) {}
  grpc::Status Watch(grpc::ServerContext* context,
                     grpc::ServerReaderWriter<etcdserverpb::WatchResponse,
                                              etcdserverpb::WatchRequest>* stream) override;

 private:
  MemberState& member_;
};

}  // namespace rosterd::testing
