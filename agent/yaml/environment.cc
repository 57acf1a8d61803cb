// SPDX-License-Identifier: Apache-2.0
#include "yaml/environment.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <memory>

#include "base/unique_fd.h"

namespace rosterd {
namespace {

std::optional<std::string> FormatAddress(const sockaddr* address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const void* bytes = nullptr;
  if (address->sa_family == AF_INET) {
    bytes = &reinterpret_cast<const sockaddr_in*>(address)->sin_addr;
  } else if (address->sa_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(address);
    bytes = &v6->sin6_addr;
  } else {
    return std::nullopt;
  }
  if (inet_ntop(address->sa_family, bytes, text.data(), text.size()) == nullptr) {
    return std::nullopt;
  }
  return text.data();
}

bool IsLinkLocalV6(const sockaddr* address) {
  return address->sa_family == AF_INET6 &&
         IN6_IS_ADDR_LINKLOCAL(&reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr);
}

// Connecting a UDP socket makes the kernel choose a route and a source; no packet leaves.
std::optional<std::string> SourceTowards(const sockaddr* target, socklen_t length) {
  const UniqueFd fd(socket(target->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd.valid() || connect(fd.get(), target, length) != 0) return std::nullopt;
  sockaddr_storage source{};
  socklen_t size = sizeof(source);
  auto* const address = reinterpret_cast<sockaddr*>(&source);
  if (getsockname(fd.get(), address, &size) != 0 || IsLinkLocalV6(address)) return std::nullopt;
  return FormatAddress(address);
}

std::optional<std::string> SourceTowardsHost(const std::string& host, int flags) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_DGRAM;
  hints.ai_flags = flags;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), "9", &hints, &found) != 0) return std::nullopt;
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, &freeaddrinfo);
  for (const addrinfo* info = found; info != nullptr; info = info->ai_next) {
    if (auto source = SourceTowards(info->ai_addr, info->ai_addrlen)) return source;
  }
  return std::nullopt;
}

std::optional<std::string> DefaultSource() {
  // Set aside for documentation (RFC 5737, RFC 3849): on no network, so only a default route fits.
  for (const char* nowhere : {"192.0.2.1", "2001:db8::1"}) {
    if (auto source = SourceTowardsHost(nowhere, AI_NUMERICHOST)) return source;
  }
  return std::nullopt;
}

std::vector<InterfaceAddress> Interfaces() {
  std::vector<InterfaceAddress> addresses;
  ifaddrs* found = nullptr;
  if (getifaddrs(&found) != 0) return addresses;
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner(found, &freeifaddrs);
  for (const ifaddrs* entry = found; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr || (entry->ifa_flags & IFF_UP) == 0) continue;
    if (auto address = FormatAddress(entry->ifa_addr)) {
      addresses.push_back({entry->ifa_name, std::move(*address)});
    }
  }
  return addresses;
}

}  // namespace

Environment SystemEnvironment() {
  Environment environment;
  environment.variable = [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) return std::nullopt;
    return value;
  };
  environment.host_name = [] {
    std::array<char, 256> name{};
    return std::string(gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "");
  };
  environment.interface_addresses = Interfaces;
  environment.default_source_address = DefaultSource;
  environment.source_address_towards = [](const std::string& host) {
    return SourceTowardsHost(host, 0);
  };
  return environment;
}

}  // namespace rosterd
