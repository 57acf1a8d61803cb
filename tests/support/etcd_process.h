// SPDX-License-Identifier: Apache-2.0
// EtcdProcess: a real etcd of one test's own, on free loopback ports, that can be killed, restarted
// and frozen, with TLS and users where a test wants them. Make it on the main thread. Its data goes
// with it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "etcd/dev_server.h"
#include "etcd/grpc_client.h"

namespace rosterd::testing {

// Owned by the test's main thread.
class EtcdProcess {
 public:
  // Throws std::runtime_error with etcd's last words when it does not start. `ctl_flags`: what
  // etcdctl needs to reach it.
  explicit EtcdProcess(etcd::DevServer::Options options, std::vector<std::string> ctl_flags = {});
  EtcdProcess() : EtcdProcess(etcd::DevServer::Options{}) {}
  // A frozen server is ended too.
  ~EtcdProcess();

  std::string endpoint() const { return server_->endpoint(); }
  std::shared_ptr<etcd::GrpcClient> NewClient(etcd::GrpcClient::Options options) const;
  std::shared_ptr<etcd::GrpcClient> NewClient() const { return NewClient({}); }

  void Kill();     // SIGKILL; returns when it has ended
  void Restart();  // same port, same data; returns when it answers
  void Pause();    // SIGSTOP; returns when it stands still
  void Resume();

  // Runs etcdctl; throws with its words when it fails.
  void Ctl(const std::vector<std::string>& arguments);
  // Makes root (password "root") and `user`, who may read and write under `prefix`; from then on
  // Ctl() is root's.
  void EnableAuth(const std::string& user, const std::string& password, const std::string& prefix);
  void DisableAuth();

  // As somebody else, without TLS and token; each returns the revision after it and throws when
  // etcd refuses.
  int64_t Put(const std::string& key, const std::string& value, int64_t lease = 0);
  int64_t Delete(const std::string& key);
  void Compact(int64_t revision);

 private:
  std::unique_ptr<etcd::DevServer> server_;
  const std::vector<std::string> ctl_flags_;
  bool users_made_ = false;
  bool auth_ = false;
};

}  // namespace rosterd::testing
