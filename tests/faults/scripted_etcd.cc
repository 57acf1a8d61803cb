// SPDX-License-Identifier: Apache-2.0
#include "scripted_etcd.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "scripted_wire.h"

namespace rosterd::testing {

using etcd::GuardedWrite;
using Outcome = ScriptedStore::Outcome;

Deed MemberState::Begin(ScriptedEtcd::Record record) {
  std::lock_guard lock(mutex);
  record.at = clock.Now();
  calls.push_back(record);
  auto& queue = next[record.call];
  if (!queue.empty()) {
    Deed deed = std::move(queue.front());
    queue.pop_front();
    return deed;
  }
  return script ? script(record.call) : Deed();
}

bool MemberState::Sleep(milliseconds time) {
  std::unique_lock lock(mutex);
  ++delayed;
  stopped.wait_for(lock, time, [this] { return stopping.load(); });
  --delayed;
  return !stopping;
}

void MemberState::FillHeader(const etcd::Header& from, const Deed& deed,
                             etcdserverpb::ResponseHeader* header) const {
  header->set_cluster_id(from.cluster_id);
  header->set_member_id(member_id);
  header->set_revision(deed.revision_zero ? 0 : from.revision);
  header->set_raft_term(from.raft_term);
}

grpc::Status ToStatus(const ScriptedStatus& status) {
  return {static_cast<grpc::StatusCode>(status.code), status.text};
}

void FillKeyValue(const etcd::KeyValue& from, mvccpb::KeyValue* kv) {
  kv->set_key(from.key);
  kv->set_value(from.value);
  kv->set_create_revision(from.create_revision);
  kv->set_mod_revision(from.mod_revision);
  kv->set_version(from.version);
  kv->set_lease(from.lease);
}

namespace {

const ScriptedStatus kNoLease{5, "etcdserver: requested lease not found"};

// One unary call as the deed says: `carry_out` returns how it ends by itself.
template <typename F>
grpc::Status AsScripted(MemberState& member, const Deed& deed, F&& carry_out) {
  const grpc::Status stopped(grpc::StatusCode::UNAVAILABLE, "etcdserver: server stopped");
  if (deed.before.count() > 0 && !member.Sleep(deed.before)) return stopped;
  if (deed.refuse) return ToStatus(*deed.refuse);
  const grpc::Status status = carry_out();
  if (deed.after.count() > 0 && !member.Sleep(deed.after)) return stopped;
  return deed.lose ? ToStatus(*deed.lose) : status;
}

class ScriptedKv final : public etcdserverpb::KV::Service {
 public:
  explicit ScriptedKv(MemberState& member) : member_(member) {}

  grpc::Status Range(grpc::ServerContext*, const etcdserverpb::RangeRequest* request,
                     etcdserverpb::RangeResponse* response) override {
    ScriptedEtcd::Record record;
    record.call = request->count_only()          ? ScriptedCall::kPing
                  : request->range_end().empty() ? ScriptedCall::kRead
                                                 : ScriptedCall::kRange;
    record.limit = static_cast<size_t>(request->limit());
    const Deed deed = member_.Begin(record);
    return AsScripted(member_, deed, [&] {
      const auto page = member_.store->Range(request->key(), request->range_end(), record.limit,
                                             request->revision());
      if (page.compacted) {
        return ToStatus({11, "etcdserver: mvcc: required revision has been compacted"});
      }
      if (page.future) {
        return ToStatus({11, "etcdserver: mvcc: required revision is a future revision"});
      }
      member_.FillHeader(page.header, deed, response->mutable_header());
      response->set_count(static_cast<int64_t>(page.kvs.size()));
      response->set_more(page.more);
      if (request->count_only()) return grpc::Status::OK;
      for (const etcd::KeyValue& kv : page.kvs) FillKeyValue(kv, response->add_kvs());
      return grpc::Status::OK;
    });
  }

  grpc::Status Txn(grpc::ServerContext*, const etcdserverpb::TxnRequest* request,
                   etcdserverpb::TxnResponse* response) override {
    const Deed deed = member_.Begin({.call = ScriptedCall::kTxn});
    std::vector<GuardedWrite> writes;
    for (const etcdserverpb::RequestOp& operation : request->success()) {
      if (operation.request_txn().compare(0).key().empty()) {
        return ToStatus({3, "etcdserver: key is not provided"});
      }
      writes.push_back(ToWrite(operation.request_txn()));
    }
    return AsScripted(member_, deed, [&] {
      etcd::WriteBatchAnswer answer;
      if (member_.store->Write(writes, &answer) == Outcome::kNoLease) return ToStatus(kNoLease);
      member_.FillHeader(answer.header, deed, response->mutable_header());
      response->set_succeeded(true);
      for (size_t i = 0; i < writes.size(); ++i) {
        etcdserverpb::TxnResponse* one = response->add_responses()->mutable_response_txn();
        one->set_succeeded(answer.answers[i].done);
        etcdserverpb::ResponseOp* result = one->add_responses();
        if (!answer.answers[i].done) {
          etcdserverpb::RangeResponse* range = result->mutable_response_range();
          if (answer.answers[i].current) {
            FillKeyValue(*answer.answers[i].current, range->add_kvs());
          }
        } else if (writes[i].kind == GuardedWrite::Kind::kPut) {
          result->mutable_response_put();
        } else {
          result->mutable_response_delete_range()->set_deleted(1);
        }
      }
      return grpc::Status::OK;
    });
  }

 private:
  static GuardedWrite ToWrite(const etcdserverpb::TxnRequest& txn) {
    GuardedWrite write;
    write.key = txn.compare(0).key();
    write.expected_mod_revision = txn.compare(0).mod_revision();
    const etcdserverpb::RequestOp& operation = txn.success(0);
    if (operation.has_request_put()) {
      write.value = operation.request_put().value();
      write.lease = operation.request_put().lease();
    } else {
      write.kind = GuardedWrite::Kind::kDelete;
    }
    return write;
  }

  MemberState& member_;
};

class ScriptedLease final : public etcdserverpb::Lease::Service {
 public:
  explicit ScriptedLease(MemberState& member) : member_(member) {}

  grpc::Status LeaseGrant(grpc::ServerContext*, const etcdserverpb::LeaseGrantRequest* request,
                          etcdserverpb::LeaseGrantResponse* response) override {
    const Deed deed = member_.Begin({.call = ScriptedCall::kGrant});
    return AsScripted(member_, deed, [&] {
      const seconds ttl(std::max<int64_t>(2, request->ttl()));
      if (member_.store->Grant(request->id(), ttl) == Outcome::kLeaseExists) {
        return ToStatus({9, "etcdserver: lease already exists"});
      }
      member_.FillHeader(member_.store->MakeHeader(), deed, response->mutable_header());
      response->set_id(request->id());
      response->set_ttl(ttl.count());
      return grpc::Status::OK;
    });
  }

  grpc::Status LeaseRevoke(grpc::ServerContext*, const etcdserverpb::LeaseRevokeRequest* request,
                           etcdserverpb::LeaseRevokeResponse* response) override {
    const Deed deed = member_.Begin({.call = ScriptedCall::kRevoke});
    return AsScripted(member_, deed, [&] {
      if (member_.store->Revoke(request->id()) == Outcome::kNoLease) return ToStatus(kNoLease);
      member_.FillHeader(member_.store->MakeHeader(), deed, response->mutable_header());
      return grpc::Status::OK;
    });
  }

  grpc::Status LeaseKeepAlive(
      grpc::ServerContext*,
      grpc::ServerReaderWriter<etcdserverpb::LeaseKeepAliveResponse,
                               etcdserverpb::LeaseKeepAliveRequest>* stream) override {
    etcdserverpb::LeaseKeepAliveRequest request;
    while (stream->Read(&request)) {
      const Deed deed = member_.Begin({.call = ScriptedCall::kKeepAlive});
      etcdserverpb::LeaseKeepAliveResponse response;
      const grpc::Status status = AsScripted(member_, deed, [&] {
        seconds ttl{0};
        member_.store->Renew(request.id(), &ttl);
        member_.FillHeader(member_.store->MakeHeader(), deed, response.mutable_header());
        response.set_id(request.id());
        response.set_ttl(deed.ttl_zero ? 0 : ttl.count());
        return grpc::Status::OK;
      });
      if (!status.ok()) return status;
      if (!stream->Write(response)) break;
    }
    return grpc::Status::OK;
  }

 private:
  MemberState& member_;
};

}  // namespace

struct ScriptedEtcd::Impl {
  Impl(std::shared_ptr<ScriptedStore> store, uint64_t id)
      : member(std::move(store), id), kv(member), lease(member), watch(member) {}

  MemberState member;
  ScriptedKv kv;
  ScriptedLease lease;
  ScriptedWatch watch;
  std::unique_ptr<grpc::Server> server;
  int port = 0;
};

ScriptedEtcd::ScriptedEtcd(std::shared_ptr<ScriptedStore> store, uint64_t member_id)
    : store_(std::move(store)), impl_(std::make_unique<Impl>(store_, member_id)) {
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &impl_->port);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 1000);
  builder.RegisterService(&impl_->kv);
  builder.RegisterService(&impl_->lease);
  builder.RegisterService(&impl_->watch);
  impl_->server = builder.BuildAndStart();
  if (impl_->server == nullptr || impl_->port == 0) {
    throw std::runtime_error("the scripted etcd cannot listen on loopback");
  }
}

ScriptedEtcd::~ScriptedEtcd() {
  {
    std::lock_guard lock(impl_->member.mutex);
    impl_->member.stopping = true;
    impl_->member.stopped.notify_all();
  }
  impl_->server->Shutdown(gpr_now(GPR_CLOCK_MONOTONIC));
  impl_->server->Wait();
}

std::string ScriptedEtcd::endpoint() const {
  return "http://127.0.0.1:" + std::to_string(impl_->port);
}

void ScriptedEtcd::Next(ScriptedCall call, Deed deed) {
  std::lock_guard lock(impl_->member.mutex);
  impl_->member.next[call].push_back(std::move(deed));
}

void ScriptedEtcd::SetScript(Script script) {
  std::lock_guard lock(impl_->member.mutex);
  if (script == nullptr) impl_->member.next.clear();
  impl_->member.script = std::move(script);
}

void ScriptedEtcd::DropWatches() { ++impl_->member.drops; }

std::vector<ScriptedEtcd::Record> ScriptedEtcd::Calls() const {
  std::lock_guard lock(impl_->member.mutex);
  return impl_->member.calls;
}

size_t ScriptedEtcd::Count(ScriptedCall call) const {
  size_t count = 0;
  for (const Record& record : Calls()) count += record.call == call ? 1 : 0;
  return count;
}

size_t ScriptedEtcd::OpenWatches() const { return impl_->member.open_watches; }

size_t ScriptedEtcd::Delayed() const { return impl_->member.delayed; }

}  // namespace rosterd::testing
