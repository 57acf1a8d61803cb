// SPDX-License-Identifier: Apache-2.0
// GrpcClient::Write: one transaction of nested ones, so that a guard that fails costs only its own
// write. Runs on the caller's thread.
#include <set>
#include <string>

#include "etcd/grpc_calls.h"

namespace rosterd::etcd {
namespace {

void Fill(const GuardedWrite& write, etcdserverpb::TxnRequest* txn) {
  // A key that does not exist has modification revision 0 in a compare.
  etcdserverpb::Compare* guard = txn->add_compare();
  guard->set_result(etcdserverpb::Compare::EQUAL);
  guard->set_target(etcdserverpb::Compare::MOD);
  guard->set_key(write.key);
  guard->set_mod_revision(write.expected_mod_revision);
  etcdserverpb::RequestOp* operation = txn->add_success();
  if (write.kind == GuardedWrite::Kind::kDelete) {
    operation->mutable_request_delete_range()->set_key(write.key);
  } else {
    etcdserverpb::PutRequest* put = operation->mutable_request_put();
    put->set_key(write.key);
    put->set_value(write.value);
    put->set_lease(write.lease);
  }
  txn->add_failure()->mutable_request_range()->set_key(write.key);
}

WriteAnswer Read(etcdserverpb::TxnResponse& txn) {
  WriteAnswer answer;
  answer.done = txn.succeeded();
  if (answer.done || txn.responses_size() != 1) return answer;
  etcdserverpb::RangeResponse* found = txn.mutable_responses(0)->mutable_response_range();
  if (found->kvs_size() > 0) answer.current = ToKeyValue(*found->mutable_kvs(0));
  return answer;
}

}  // namespace

Result<WriteBatchAnswer> GrpcClient::Write(const std::vector<GuardedWrite>& writes,
                                           milliseconds timeout) {
  const auto refuse = [&](const std::string& why) {
    return Error{ErrorClass::kInvalid, grpc::StatusCode::INVALID_ARGUMENT, why, impl_->endpoint.url,
                 0};
  };
  if (writes.size() > kMaxTxnOps) {
    return refuse(std::to_string(writes.size()) + " writes in one transaction; at most " +
                  std::to_string(kMaxTxnOps) + " are allowed");
  }
  std::set<std::string_view> keys;
  etcdserverpb::TxnRequest request;
  for (const GuardedWrite& write : writes) {
    if (!keys.insert(write.key).second) {
      return refuse("two writes to the key '" + write.key + "' in one transaction");
    }
    Fill(write, request.add_success()->mutable_request_txn());
  }
  Call call(impl_->calls, impl_->Token());
  call.SetDeadline(timeout);
  etcdserverpb::TxnResponse response;
  const grpc::Status status = call.Ended(impl_->kv->Txn(call.context(), request, &response));
  if (!status.ok()) return impl_->Failure(status, true);
  impl_->Answered();

  WriteBatchAnswer answer;
  answer.header = ToHeader(response.header());
  for (etcdserverpb::ResponseOp& operation : *response.mutable_responses()) {
    answer.answers.push_back(Read(*operation.mutable_response_txn()));
  }
  if (answer.answers.size() != writes.size()) {
    return refuse("the server answered " + std::to_string(answer.answers.size()) + " of " +
                  std::to_string(writes.size()) + " writes");
  }
  return answer;
}

}  // namespace rosterd::etcd
