// SPDX-License-Identifier: Apache-2.0
#include "http/server.h"

#include <iterator>
#include <utility>

#include "base/status.h"
#include "http/listener.h"
#include "http/loop.h"

namespace rosterd::http {

absl::StatusOr<std::unique_ptr<Server>> Server::Create(Options options, Handler handler,
                                                       const Clock& clock, Log& log,
                                                       Metrics& metrics) {
  std::vector<Listener> listeners;
  std::vector<std::string> addresses;
  for (const std::string& where : options.listen) {
    ASSIGN_OR_RETURN(std::vector<Listener> opened, Listener::Open(where));
    for (Listener& listener : opened) {
      addresses.push_back(listener.address());
      listeners.push_back(std::move(listener));
    }
  }
  const Limits limits = options.limits;
  const std::vector<std::string> allowed_hosts = options.allowed_hosts;
  std::unique_ptr<Server> server(new Server(std::move(options), std::move(addresses)));
  server->SetAllowedHosts(allowed_hosts);
  server->loop_ = std::make_unique<Loop>(limits, std::move(listeners), std::move(handler),
                                         server->host_check_, clock, log, metrics);
  RETURN_IF_ERROR(server->loop_->Init());
  return server;
}

Server::Server(Options options, std::vector<std::string> addresses)
    : node_name_(std::move(options.node_name)), addresses_(std::move(addresses)) {}

Server::~Server() { Stop(); }

void Server::Start() {
  thread_ = std::jthread([this](const std::stop_token& stop) { loop_->Run(stop); });
}

void Server::Stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  loop_->Wake();
  thread_.join();
}

void Server::SetAllowedHosts(const std::vector<std::string>& allowed_hosts) {
  host_check_.Publish(std::make_shared<const HostCheck>(node_name_, allowed_hosts));
}

void Server::Wake() const { loop_->Wake(); }
TimePoint Server::last_turn() const { return loop_->last_turn(); }

}  // namespace rosterd::http
