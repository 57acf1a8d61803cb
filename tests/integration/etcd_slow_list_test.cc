// SPDX-License-Identifier: Apache-2.0
// A list whose pages are too slow for their deadline, from a server that is slow on purpose.
#include <grpcpp/grpcpp.h>

#include <catch2/catch.hpp>
#include <thread>
#include <vector>

#include "etcd/grpc_client.h"
#include "proto/rpc.grpc.pb.h"

namespace rosterd::testing {
namespace {

// Answers a Range of at most `quick_limit` keys at once, others late. Has `keys` keys.
class SlowServer final : public etcdserverpb::KV::Service {
 public:
  SlowServer(int64_t keys, int64_t quick_limit) : keys_(keys), quick_limit_(quick_limit) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~SlowServer() override { server_->Shutdown(std::chrono::system_clock::now()); }

  grpc::Status Range(grpc::ServerContext*, const etcdserverpb::RangeRequest* request,
                     etcdserverpb::RangeResponse* response) override {
    {
      std::lock_guard lock(mutex_);
      limits_.push_back(request->limit());
    }
    if (request->limit() > quick_limit_)
      std::this_thread::sleep_for(std::chrono::milliseconds(600));
    const std::string& key = request->key();
    int64_t next = key == "/p/" ? 0 : std::stoll(key.substr(3)) - 1000 + 1;
    for (; next < keys_ && response->kvs_size() < request->limit(); ++next) {
      response->add_kvs()->set_key("/p/" + std::to_string(1000 + next));
    }
    response->set_more(next < keys_);
    response->mutable_header()->set_revision(5);
    return grpc::Status::OK;
  }

  std::string endpoint() const { return "http://127.0.0.1:" + std::to_string(port_); }
  std::vector<int64_t> limits() {
    std::lock_guard lock(mutex_);
    return limits_;
  }

 private:
  const int64_t keys_;
  const int64_t quick_limit_;
  int port_ = 0;
  std::mutex mutex_;
  std::vector<int64_t> limits_;  // guarded by mutex_
  std::unique_ptr<grpc::Server> server_;
};

TEST_CASE("a page that is too late is asked for once more in a quarter of its size") {
  SlowServer server(60, 25);
  etcd::GrpcClient client(*etcd::ParseEndpoint(server.endpoint()), {.keys_per_page = 100});
  const auto answer = client.List("/p/", milliseconds(300));
  if (!answer.ok()) FAIL(answer.error().Describe());
  CHECK(answer->kvs.size() == 60);
  CHECK(server.limits() == std::vector<int64_t>{100, 25, 25, 25});
}

TEST_CASE("a page that is too late twice is an error") {
  SlowServer server(60, 5);
  etcd::GrpcClient client(*etcd::ParseEndpoint(server.endpoint()), {.keys_per_page = 100});
  const auto answer = client.List("/p/", milliseconds(200));
  REQUIRE_FALSE(answer.ok());
  CHECK(answer.error().error_class == etcd::ErrorClass::kTimeout);
  CHECK(server.limits() == std::vector<int64_t>{100, 25});
}

}  // namespace
}  // namespace rosterd::testing
