// SPDX-License-Identifier: Apache-2.0
// Endpoint: one "http://HOST:PORT" or "https://HOST:PORT" of etcd.endpoints, taken apart. Pure;
// looks nothing up.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "base/net_address.h"

namespace rosterd::etcd {

struct Endpoint {
  std::string url;  // as configured, for people
  HostPort address;
  bool https = false;

  // What gRPC dials: ipv4: and ipv6: go straight to the address, dns: asks the resolver.
  std::string GrpcTarget() const;
};

// The port defaults to etcd's 2379. Error: what is wrong with `url` and what would be right.
absl::StatusOr<Endpoint> ParseEndpoint(std::string_view url);

}  // namespace rosterd::etcd
