// SPDX-License-Identifier: Apache-2.0
// What this agent knows of its connection to etcd (published by the session) and of its own keys
// there (published by the registrar).
#pragma once

#include <cstdint>
#include <map>
#include <ranges>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace rosterd {

// As etcdctl prints a lease: 16 hexadecimal digits.
inline std::string LeaseText(int64_t lease) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text(16, '0');
  for (auto rest = static_cast<uint64_t>(lease); char& digit : std::ranges::reverse_view(text)) {
    digit = kDigits[rest % 16];
    rest /= 16;
  }
  return text;
}

enum class EtcdState { kConnecting, kConnected, kLost, kDenied };

constexpr std::string_view ToString(EtcdState state) {
  switch (state) {
    case EtcdState::kConnecting:
      return "connecting";
    case EtcdState::kConnected:
      return "connected";
    case EtcdState::kLost:
      return "lost";
    case EtcdState::kDenied:
      return "denied";
  }
  return "lost";
}

// Immutable. Published when a state changes, and at most about ten times a second for last_answer.
struct EtcdSnapshot {
  EtcdState state = EtcdState::kConnecting;
  std::string endpoint;  // the active one, or the one tried last
  // For a person; while connected: what etcd refuses all the same, "" for nothing.
  std::string error;
  TimePoint last_answer{};  // last watch message, keepalive or linearizable read; 0: never
  uint64_t generation = 0;  // counts connections; a call of an older one has been cancelled
  // Counts what etcd told us about our user: what it refused before may be tried again.
  uint64_t authenticated = 0;
};

enum class RegistrationState { kAbsent, kRegistered, kConflict };

struct Registration {
  RegistrationState state = RegistrationState::kAbsent;
  std::string reason;  // conflict: who holds the key; absent: why not yet; "" when registered
  WallTime since{};
};

// Immutable. By instance id; only instances that this host wants registered are in it.
struct RegistrationSnapshot {
  int64_t lease = 0;  // 0: none
  seconds lease_ttl{0};
  TimePoint last_keepalive{};  // when the last answered keepalive (or grant) was sent; 0: never
  std::string error;           // why registrations do not get through, "" when they do
  std::map<std::string, Registration, std::less<>> instances;
};

}  // namespace rosterd
