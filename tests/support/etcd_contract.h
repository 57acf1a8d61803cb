// SPDX-License-Identifier: Apache-2.0
// What an etcd::Client promises, as one suite of cases. It runs against the fake (unit tests) and
// against GrpcClient on a real etcd (integration tests), so that the fake cannot drift away.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "etcd/client.h"

namespace rosterd::testing {

struct ContractTarget {
  etcd::Client& client;
  std::string prefix;  // the case's own keys
  // Lets a little time pass: made-up for the fake, real for etcd.
  std::function<void(Duration)> pass_time;
  std::function<void(int64_t revision)> compact;
  // Of the case's own: three in a row are free.
  int64_t first_lease = 1;
};

struct ContractCase {
  std::string name;
  std::function<void(const ContractTarget&)> run;  // with Catch2's assertions
};

std::vector<ContractCase> EtcdContract();

}  // namespace rosterd::testing
