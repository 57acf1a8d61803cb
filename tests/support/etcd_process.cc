// SPDX-License-Identifier: Apache-2.0
#include "support/etcd_process.h"

#include <grpcpp/grpcpp.h>
#include <signal.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <thread>

#include "base/child_process.h"
#include "base/unique_fd.h"
#include "proto/rpc.grpc.pb.h"

namespace rosterd::testing {
namespace {

constexpr std::chrono::seconds kPatience{10};

std::unique_ptr<etcdserverpb::KV::Stub> KvStub(const std::string& endpoint) {
  const std::string target = "ipv4:" + endpoint.substr(std::string("http://").size());
  grpc::ChannelArguments args;
  args.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return etcdserverpb::KV::NewStub(
      grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), args));
}

void Check(const grpc::Status& status, const char* what) {
  if (!status.ok()) throw std::runtime_error(std::string(what) + ": " + status.error_message());
}

void SetDeadline(grpc::ClientContext& context) {
  context.set_deadline(std::chrono::system_clock::now() + kPatience);
}

bool AllThreadsStopped(pid_t pid) {
  const std::filesystem::path tasks = "/proc/" + std::to_string(pid) + "/task";
  for (const auto& task : std::filesystem::directory_iterator(tasks)) {
    std::ifstream stat(task.path() / "stat");
    std::string line;
    std::getline(stat, line);
    // "PID (NAME) STATE ...", and the name may hold anything.
    const size_t name_end = line.rfind(") ");
    if (name_end == std::string::npos || line[name_end + 2] != 'T') return false;
  }
  return true;
}

}  // namespace

EtcdProcess::EtcdProcess(etcd::DevServer::Options options, std::vector<std::string> ctl_flags)
    : ctl_flags_(std::move(ctl_flags)) {
  auto started = etcd::DevServer::Start(std::move(options));
  if (!started.ok()) throw std::runtime_error(std::string(started.status().message()));
  server_ = std::move(*started);
}

EtcdProcess::~EtcdProcess() { Kill(); }

std::shared_ptr<etcd::GrpcClient> EtcdProcess::NewClient(etcd::GrpcClient::Options options) const {
  return std::make_shared<etcd::GrpcClient>(*etcd::ParseEndpoint(endpoint()), std::move(options));
}

void EtcdProcess::Kill() { server_->process().Stop(Duration::zero()); }

void EtcdProcess::Restart() {
  Kill();
  const absl::Status status = server_->Restart();
  if (!status.ok()) throw std::runtime_error(std::string(status.message()));
}

void EtcdProcess::Pause() {
  server_->process().Signal(SIGSTOP);
  // The signal takes effect thread by thread; one that still runs may answer a call.
  while (!AllThreadsStopped(server_->process().pid())) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

void EtcdProcess::Resume() { server_->process().Signal(SIGCONT); }

void EtcdProcess::Ctl(const std::vector<std::string>& arguments) {
  char output[] = "/tmp/rosterd-etcdctl-XXXXXX";
  const UniqueFd file(mkstemp(output));
  std::vector<std::string> argv{"etcdctl", "--endpoints=" + endpoint(), "--command-timeout=10s"};
  argv.insert(argv.end(), ctl_flags_.begin(), ctl_flags_.end());
  if (auth_) argv.emplace_back("--user=root:root");
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  ChildProcess::Options options;
  options.output_file = output;
  options.environment = {"ETCDCTL_API=3"};
  auto child = ChildProcess::Start(argv, std::move(options));
  if (!child.ok()) throw std::runtime_error(std::string(child.status().message()));
  const int status = child->Wait(std::chrono::seconds(20));
  std::ifstream in(output);
  const std::string said{std::istreambuf_iterator<char>(in), {}};
  std::filesystem::remove(output);
  if (status != 0) throw std::runtime_error("etcdctl " + arguments.front() + ": " + said);
}

void EtcdProcess::EnableAuth(const std::string& user, const std::string& password,
                             const std::string& prefix) {
  if (!users_made_) {
    Ctl({"user", "add", "root:root"});
    Ctl({"user", "grant-role", "root", "root"});
    Ctl({"user", "add", user + ":" + password});
    Ctl({"role", "add", user});
    Ctl({"user", "grant-role", user, user});
    if (!prefix.empty()) {
      Ctl({"role", "grant-permission", user, "--prefix=true", "readwrite", prefix});
    }
    users_made_ = true;
  }
  Ctl({"auth", "enable"});
  auth_ = true;
}

void EtcdProcess::DisableAuth() {
  Ctl({"auth", "disable"});
  auth_ = false;
}

int64_t EtcdProcess::Put(const std::string& key, const std::string& value, int64_t lease) {
  grpc::ClientContext context;
  SetDeadline(context);
  etcdserverpb::PutRequest request;
  request.set_key(key);
  request.set_value(value);
  request.set_lease(lease);
  etcdserverpb::PutResponse response;
  Check(KvStub(endpoint())->Put(&context, request, &response), "put");
  return response.header().revision();
}

int64_t EtcdProcess::Delete(const std::string& key) {
  grpc::ClientContext context;
  SetDeadline(context);
  etcdserverpb::DeleteRangeRequest request;
  request.set_key(key);
  etcdserverpb::DeleteRangeResponse response;
  Check(KvStub(endpoint())->DeleteRange(&context, request, &response), "delete");
  return response.header().revision();
}

void EtcdProcess::Compact(int64_t revision) {
  grpc::ClientContext context;
  SetDeadline(context);
  etcdserverpb::CompactionRequest request;
  request.set_revision(revision);
  request.set_physical(true);
  etcdserverpb::CompactionResponse response;
  Check(KvStub(endpoint())->Compact(&context, request, &response), "compact");
}

}  // namespace rosterd::testing
