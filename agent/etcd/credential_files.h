// SPDX-License-Identifier: Apache-2.0
// CredentialFiles: the password and the certificates as they stand on disk. Certificates that are
// unreadable or do not fit together (half written) never replace those in use. Runs on the session
// thread; the only I/O is stat() and reading a few small files.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "etcd/credentials.h"
#include "etcd/pem_check.h"
#include "model/config.h"

namespace rosterd::etcd {

// Owned by the session thread.
class CredentialFiles final : public Credentials {
 public:
  static constexpr size_t kMaxPasswordFile = 4096;
  static constexpr size_t kMaxPemFile = size_t{1} << 20;

  // Error: certificates that cannot be used. The password is read when it is needed.
  static absl::StatusOr<std::shared_ptr<CredentialFiles>> Open(const EtcdConfig& settings);

  const std::string& username() const override { return settings_.username; }
  // Without the line break at its end.
  absl::StatusOr<std::string> Password() override;
  Changes Look() override;

  // The certificates that new connections are to use.
  const std::shared_ptr<const TlsPem>& tls() const { return tls_; }

 private:
  // What tells one content of a file from the next.
  struct Stamp {
    bool exists = false;
    dev_t device = 0;
    ino_t inode = 0;
    off_t size = 0;
    int64_t changed_ns = 0;  // of content, name or rights (ctime)
    bool operator==(const Stamp&) const = default;
  };

  explicit CredentialFiles(const EtcdConfig& settings) : settings_(settings) {}
  static Stamp StampOf(const std::string& path);
  std::vector<Stamp> TlsStamps() const;
  absl::StatusOr<TlsPem> ReadTls() const;

  const EtcdConfig settings_;
  std::shared_ptr<const TlsPem> tls_;
  std::vector<Stamp> tls_stamps_;
  std::optional<Stamp> password_stamp_;
  bool tls_broken_ = false;  // tried again at every look
};

}  // namespace rosterd::etcd
