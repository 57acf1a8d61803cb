// SPDX-License-Identifier: Apache-2.0
#include "etcd/credential_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/error_text.h"
#include "base/status.h"
#include "base/unique_fd.h"

namespace rosterd::etcd {
namespace {

// `setting` is how messages call the file.
absl::StatusOr<std::string> ReadSmallFile(const std::string& setting, const std::string& path,
                                          size_t limit) {
  const auto wrong = [&](const std::string& why) {
    return absl::InvalidArgumentError(setting + ": '" + path + "' " + why);
  };
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (fd.get() < 0) return wrong("cannot be read: " + SystemErrorText(errno));
  std::string text(limit + 1, '\0');
  size_t size = 0;
  while (size < text.size()) {
    const ssize_t n = read(fd.get(), text.data() + size, text.size() - size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return wrong("cannot be read: " + SystemErrorText(errno));
    if (n == 0) break;
    size += static_cast<size_t>(n);
  }
  if (size > limit) {
    return wrong("is longer than the " + std::to_string(limit) + " bytes that it may have");
  }
  text.resize(size);
  return text;
}

}  // namespace

absl::StatusOr<std::shared_ptr<CredentialFiles>> CredentialFiles::Open(const EtcdConfig& settings) {
  std::shared_ptr<CredentialFiles> files(new CredentialFiles(settings));
  files->tls_stamps_ = files->TlsStamps();
  ASSIGN_OR_RETURN(TlsPem pem, files->ReadTls());
  files->tls_ = std::make_shared<const TlsPem>(std::move(pem));
  return files;
}

absl::StatusOr<std::string> CredentialFiles::Password() {
  const std::string& path = settings_.password_file;
  password_stamp_ = StampOf(path);
  ASSIGN_OR_RETURN(std::string password,
                   ReadSmallFile("etcd.password_file", path, kMaxPasswordFile));
  if (password.ends_with('\n')) password.pop_back();
  if (password.ends_with('\r')) password.pop_back();
  if (password.empty()) {
    return absl::InvalidArgumentError("etcd.password_file: '" + path +
                                      "' is empty; write the password of the user '" +
                                      settings_.username + "' into it");
  }
  return password;
}

Credentials::Changes CredentialFiles::Look() {
  Changes changes;
  if (password_stamp_ && StampOf(settings_.password_file) != *password_stamp_) {
    password_stamp_.reset();  // until it is read again
    changes.password = true;
  }
  std::vector<Stamp> stamps = TlsStamps();
  if (stamps == tls_stamps_ && !tls_broken_) return changes;
  tls_stamps_ = std::move(stamps);
  absl::StatusOr<TlsPem> pem = ReadTls();
  if (!pem.ok()) {
    if (!tls_broken_) {
      changes.warning =
          "the changed certificate files of etcd.tls cannot be used; keeping the old ones until "
          "they can: " +
          std::string(pem.status().message());
    }
    tls_broken_ = true;
    return changes;
  }
  tls_broken_ = false;
  if (*pem == *tls_) return changes;
  tls_ = std::make_shared<const TlsPem>(*std::move(pem));
  changes.tls = true;
  return changes;
}

CredentialFiles::Stamp CredentialFiles::StampOf(const std::string& path) {
  struct stat info {};
  if (path.empty() || stat(path.c_str(), &info) != 0) return {};
  return {true, info.st_dev, info.st_ino, info.st_size,
          int64_t{info.st_ctim.tv_sec} * 1'000'000'000 + info.st_ctim.tv_nsec};
}

std::vector<CredentialFiles::Stamp> CredentialFiles::TlsStamps() const {
  const EtcdConfig::Tls& tls = settings_.tls;
  return {StampOf(tls.ca), StampOf(tls.cert), StampOf(tls.key)};
}

absl::StatusOr<TlsPem> CredentialFiles::ReadTls() const {
  const EtcdConfig::Tls& tls = settings_.tls;
  TlsPem pem;
  if (!tls.ca.empty()) {
    ASSIGN_OR_RETURN(pem.ca, ReadSmallFile("etcd.tls.ca", tls.ca, kMaxPemFile));
    RETURN_IF_ERROR(CheckCa(pem.ca, tls.ca));
  }
  if (!tls.cert.empty()) {
    ASSIGN_OR_RETURN(pem.cert, ReadSmallFile("etcd.tls.cert", tls.cert, kMaxPemFile));
    ASSIGN_OR_RETURN(pem.key, ReadSmallFile("etcd.tls.key", tls.key, kMaxPemFile));
    RETURN_IF_ERROR(CheckCertAndKey(pem.cert, tls.cert, pem.key, tls.key));
  }
  return pem;
}

}  // namespace rosterd::etcd
