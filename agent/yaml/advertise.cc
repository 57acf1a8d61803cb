// SPDX-License-Identifier: Apache-2.0
#include "yaml/advertise.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string_view>

#include "base/net_address.h"
#include "yaml/problem.h"

namespace rosterd::yaml {
namespace {

constexpr const char* kRule = "write auto, an IP address, iface:NAME or cidr:10.0.0.0/8";

// Four or sixteen bytes; `size` is 0 for what is no IP.
struct Bytes {
  std::array<unsigned char, 16> data{};
  size_t size = 0;
};

Bytes ToBytes(const std::string& ip) {
  Bytes bytes;
  if (inet_pton(AF_INET, ip.c_str(), bytes.data.data()) == 1) {
    bytes.size = 4;
  } else if (inet_pton(AF_INET6, ip.c_str(), bytes.data.data()) == 1) {
    bytes.size = 16;
  }
  return bytes;
}

bool HasPrefix(const Bytes& address, const Bytes& network, unsigned bits) {
  if (address.size != network.size) return false;
  for (unsigned i = 0; i < bits; ++i) {
    const unsigned mask = 0x80U >> (i % 8);
    if (((address.data[i / 8] ^ network.data[i / 8]) & mask) != 0) return false;
  }
  return true;
}

bool IsLinkLocal(const std::string& ip) {
  const Bytes bytes = ToBytes(ip);
  return HasPrefix(bytes, ToBytes("169.254.0.0"), 16) || HasPrefix(bytes, ToBytes("fe80::"), 10);
}

std::vector<InterfaceAddress> Addresses(const Environment& environment) {
  return environment.interface_addresses ? environment.interface_addresses()
                                         : std::vector<InterfaceAddress>();
}

std::string ListAddresses(const std::vector<InterfaceAddress>& addresses) {
  std::string list;
  for (const InterfaceAddress& address : addresses) {
    list += (list.empty() ? "" : ", ") + address.interface + " " + address.address;
  }
  return list.empty() ? "none" : list;
}

std::optional<std::string> SourceTowardsEtcd(const std::vector<std::string>& endpoints,
                                             const Environment& environment) {
  if (endpoints.empty() || !environment.source_address_towards) return std::nullopt;
  const std::string& first = endpoints.front();
  const size_t scheme_end = first.find("://");
  const auto target =
      ParseHostPort(scheme_end == std::string::npos ? first : first.substr(scheme_end + 3));
  if (!target.ok()) return std::nullopt;
  return environment.source_address_towards(target->host);
}

Advertised Automatic(const std::vector<std::string>& etcd_endpoints,
                     const Environment& environment) {
  std::optional<std::string> source;
  if (environment.default_source_address) source = environment.default_source_address();
  if (!source) source = SourceTowardsEtcd(etcd_endpoints, environment);
  return {source.value_or("127.0.0.1"), "", ""};
}

Advertised OfInterface(const std::string& name, const Environment& environment) {
  const std::vector<InterfaceAddress> all = Addresses(environment);
  const auto find = [&](bool v4, bool link_local) -> std::optional<std::string> {
    for (const InterfaceAddress& candidate : all) {
      if (candidate.interface == name && IsIpv4(candidate.address) == v4 &&
          IsLinkLocal(candidate.address) == link_local) {
        return candidate.address;
      }
    }
    return std::nullopt;
  };
  if (auto address = find(true, false)) return {*address, "", ""};
  if (auto address = find(false, false)) return {*address, "", ""};
  if (auto address = find(true, true)) return {*address, "", ""};
  return {"",
          "no interface " + Quoted(name) +
              " is up with an address that others can use; name one of: " + ListAddresses(all),
          ""};
}

Advertised OfNetwork(const std::string& text, const Environment& environment) {
  const size_t slash = text.find('/');
  const Bytes network = ToBytes(text.substr(0, slash));
  unsigned bits = 0;
  const std::string digits = slash == std::string::npos ? "" : text.substr(slash + 1);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
  if (network.size == 0 || digits.empty() || error != std::errc() ||
      end != digits.data() + digits.size() || bits > network.size * 8) {
    return {"", Quoted("cidr:" + text) + " is no network; write, for example, cidr:10.0.0.0/8", ""};
  }
  const std::vector<InterfaceAddress> all = Addresses(environment);
  for (const InterfaceAddress& candidate : all) {
    if (HasPrefix(ToBytes(candidate.address), network, bits)) return {candidate.address, "", ""};
  }
  return {"",
          "no address of this host lies in " + text +
              "; write a network of one of: " + ListAddresses(all),
          ""};
}

Advertised Explicit(const std::string& ip) {
  if (ip.find('%') != std::string::npos || !IsIpLiteral(ip)) {
    return {"", Quoted(ip) + " is not an address to advertise; " + kRule, ""};
  }
  if (ip == "0.0.0.0" || ip == "::") {
    return {"", "nobody can connect to " + ip + "; " + kRule, ""};
  }
  return {ip, "", ""};
}

}  // namespace

Advertised ResolveAdvertise(const std::string& wanted,
                            const std::vector<std::string>& etcd_endpoints,
                            const Environment& environment) {
  constexpr std::string_view kInterface = "iface:";
  constexpr std::string_view kNetwork = "cidr:";
  Advertised result;
  if (wanted == "auto" || wanted.empty()) {
    result = Automatic(etcd_endpoints, environment);
  } else if (wanted.starts_with(kInterface)) {
    result = OfInterface(wanted.substr(kInterface.size()), environment);
  } else if (wanted.starts_with(kNetwork)) {
    result = OfNetwork(wanted.substr(kNetwork.size()), environment);
  } else {
    result = Explicit(wanted);
  }
  if (result.error.empty() && IsLoopback(result.address)) {
    result.warning = "services are advertised at " + result.address +
                     ", which only this host can reach; set node.advertise to an address of this "
                     "host that others can reach";
  }
  return result;
}

}  // namespace rosterd::yaml
