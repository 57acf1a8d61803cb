// SPDX-License-Identifier: Apache-2.0
#include "registry/identity.h"

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <random>

namespace rosterd {

std::string NewAgentUuid() {
  std::random_device device;
  const auto word = [&device] { return (uint64_t{device()} << 32) | device(); };
  const uint64_t high = (word() & ~uint64_t{0xf000}) | 0x4000;
  const uint64_t low = (word() & ~(uint64_t{3} << 62)) | (uint64_t{2} << 62);
  char text[37];
  std::snprintf(text, sizeof text, "%08x-%04x-%04x-%04x-%012llx", static_cast<unsigned>(high >> 32),
                static_cast<unsigned>(high >> 16) & 0xffff, static_cast<unsigned>(high) & 0xffff,
                static_cast<unsigned>(low >> 48),
                static_cast<unsigned long long>(low & 0xffff'ffff'ffff));
  return text;
}

std::string ReadBootId() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(file, id);
  return id;
}

}  // namespace rosterd
