// SPDX-License-Identifier: Apache-2.0
// Environment: everything that a configuration takes from the outside world besides files. Tests
// hand in their own; SystemEnvironment() asks this host.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace rosterd {

struct InterfaceAddress {
  std::string interface;  // "eth0"
  std::string address;    // an IP, bare and without a zone
};

// A function that is not set answers "nothing". Immutable.
struct Environment {
  // Of the process; empty: not set.
  std::function<std::optional<std::string>(const std::string& name)> variable;
  // As the kernel says it.
  std::function<std::string()> host_name;
  // Of the interfaces that are up, in the kernel's order.
  std::function<std::vector<InterfaceAddress>()> interface_addresses;
  // The address that packets over the default route would carry, IPv4 before IPv6; empty: there is
  // no such route.
  std::function<std::optional<std::string>()> default_source_address;
  // The same towards `host`, an IP or a name (looking one up may take seconds).
  std::function<std::optional<std::string>(const std::string& host)> source_address_towards;
};

// Sends nothing, but for looking up a name in DNS. Thread-safe as long as nobody calls setenv().
Environment SystemEnvironment();

}  // namespace rosterd
