// SPDX-License-Identifier: Apache-2.0
// HostCheck: which names a client may use for us. A page in a browser whose own DNS name was
// rebound to a loopback address still sends that name in Host and Origin, and is refused here. Not
// applied on unix sockets, which no browser reaches. Pure.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "http/request_head.h"

namespace rosterd::http {

// Immutable.
class HostCheck {
 public:
  // localhost and every IP literal always pass.
  HostCheck(std::string_view node_name, const std::vector<std::string>& allowed_hosts);

  // Why the request is refused with 403; empty: it passes. HTTP/1.0 without a Host passes.
  std::optional<std::string> Refuse(const FramedRequest& request) const;

 private:
  bool Allows(std::string_view authority) const;

  std::set<std::string, std::less<>> names_;  // lower case, no port, no dot at the end
};

// The host of HOST[:PORT], in lower case, without brackets and the dot at the end; empty when it is
// malformed.
std::string HostOfAuthority(std::string_view authority);

}  // namespace rosterd::http
