// SPDX-License-Identifier: Apache-2.0
// The configuration as the agent uses it: parsed, validated, every default filled in, names and
// addresses resolved; std types only. The rooms above never see YAML. docs/configuration.md tells
// what each field means to a person.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/log.h"

namespace rosterd {

struct StatusRange {
  int first = 200;
  int last = 299;
  bool operator==(const StatusRange&) const = default;
};

struct CheckConfig {
  std::string url;  // whole: a path in YAML has become http://127.0.0.1:PORT/path
  std::string method = "GET";
  std::vector<std::pair<std::string, std::string>> headers;
  std::vector<StatusRange> expect_status = std::vector<StatusRange>(1);  // 200-299
  std::string expect_body;                                               // empty: any
  struct Tls {
    std::string ca;           // file; empty: the system's
    std::string server_name;  // empty: the URL's host
    bool insecure = false;
    bool operator==(const Tls&) const = default;
  } tls;
  Duration interval = seconds(2);
  Duration fast_interval = milliseconds(500);
  Duration timeout = seconds(1);
  int rise = 2;
  int fall = 3;
  bool operator==(const CheckConfig&) const = default;
};

struct ServiceConfig {
  std::string name;
  std::string id;
  std::string address;
  uint16_t port = 0;
  std::string protocol = "http";
  std::vector<std::string> tags;
  std::map<std::string, std::string> meta;
  uint16_t weight = 100;
  std::vector<CheckConfig> checks;  // empty: `check: none`, passing at once
  bool operator==(const ServiceConfig&) const = default;
};

struct NodeConfig {
  std::string name;
  std::string advertise;  // an IP: auto, iface: and cidr: are resolved
  std::string zone;
  bool operator==(const NodeConfig&) const = default;
};

struct EtcdConfig {
  std::vector<std::string> endpoints{"http://127.0.0.1:2379"};
  std::string prefix = "/services/";  // ends with a slash
  seconds lease_ttl{15};
  std::string username;       // empty: none; with password_file
  std::string password_file;  // read again when it changes
  struct Tls {
    std::string ca;           // file; empty: the system's
    std::string cert;         // file; with `key`
    std::string key;          // file
    std::string server_name;  // empty: the endpoint's host
    bool operator==(const Tls&) const = default;
  } tls;
  bool operator==(const EtcdConfig&) const = default;
};

// See "guard" in docs/configuration.md.
struct GuardConfig {
  int max_drop_percent = 50;  // 100: off
  Duration hold = seconds(30);
  bool operator==(const GuardConfig&) const = default;
};

struct HttpConfig {
  std::vector<std::string> listen{"127.0.0.1:8500"};  // HOST:PORT or unix:PATH
  std::vector<std::string> allowed_hosts;
  bool operator==(const HttpConfig&) const = default;
};

struct LogConfig {
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kText;
  bool operator==(const LogConfig&) const = default;
};

enum class OnStop { kDeregister, kKeep };

// Immutable once it is shared between threads.
struct Config {
  NodeConfig node;
  EtcdConfig etcd;
  HttpConfig http;
  std::string data_dir;  // empty: keep nothing
  OnStop on_stop = OnStop::kDeregister;
  GuardConfig guard;
  LogConfig log;
  std::vector<std::shared_ptr<const ServiceConfig>> services;  // sorted by id, ids are unique
};

}  // namespace rosterd
