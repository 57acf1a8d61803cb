// SPDX-License-Identifier: Apache-2.0
// Whether certificates and keys (PEM) can be used at all and fit together: gRPC says neither, it
// only fails to connect. Pure.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace rosterd::etcd {

// Contents of files; "" where none is configured.
struct TlsPem {
  std::string ca;
  std::string cert;
  std::string key;
  bool operator==(const TlsPem&) const = default;
};

// `file` is what messages call it.
absl::Status CheckCa(const std::string& pem, const std::string& file);
absl::Status CheckCertAndKey(const std::string& cert, const std::string& cert_file,
                             const std::string& key, const std::string& key_file);

}  // namespace rosterd::etcd
