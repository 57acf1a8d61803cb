// SPDX-License-Identifier: Apache-2.0
// Which address this host's services are registered under: node.advertise made an IP. Asks only
// the Environment it is given.
#pragma once

#include <string>
#include <vector>

#include "yaml/environment.h"

namespace rosterd::yaml {

struct Advertised {
  std::string address;  // an IP; "" when `error` is set
  std::string error;    // what is wrong, and what would be right
  std::string warning;
};

// `wanted`: "auto", an IP, "iface:NAME" or "cidr:NETWORK/BITS". `etcd_endpoints` as in EtcdConfig.
Advertised ResolveAdvertise(const std::string& wanted,
                            const std::vector<std::string>& etcd_endpoints,
                            const Environment& environment);

}  // namespace rosterd::yaml
