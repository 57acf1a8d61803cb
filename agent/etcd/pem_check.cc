// SPDX-License-Identifier: Apache-2.0
// The only file that sees OpenSSL.
#include "etcd/pem_check.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <memory>

namespace rosterd::etcd {
namespace {

template <auto Free>
struct Deleter {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Bio = std::unique_ptr<BIO, Deleter<BIO_free>>;
using Certificate = std::unique_ptr<X509, Deleter<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;

// A key with a passphrase is refused, not asked about at the terminal.
int NoPassphrase(char*, int, int, void*) { return -1; }

Bio Open(const std::string& pem) {
  return Bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

// The first certificate; null when there is none, or when any of them is not whole.
Certificate ReadCertificates(const std::string& pem) {
  ERR_clear_error();
  const Bio bio = Open(pem);
  Certificate first;
  for (;;) {
    Certificate next(PEM_read_bio_X509(bio.get(), nullptr, NoPassphrase, nullptr));
    if (!next) break;
    if (!first) first = std::move(next);
  }
  const unsigned long error = ERR_peek_last_error();  // NOLINT: OpenSSL's type
  const bool at_end =
      ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  return at_end ? std::move(first) : nullptr;
}

}  // namespace

absl::Status CheckCa(const std::string& pem, const std::string& file) {
  if (ReadCertificates(pem)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "etcd.tls.ca: '" + file +
      "' does not hold whole certificates (PEM); name the file of the authority that signed "
      "etcd's certificates");
}

absl::Status CheckCertAndKey(const std::string& cert, const std::string& cert_file,
                             const std::string& key, const std::string& key_file) {
  const Certificate certificate = ReadCertificates(cert);
  if (!certificate) {
    return absl::InvalidArgumentError("etcd.tls.cert: '" + cert_file +
                                      "' does not hold a whole certificate (PEM)");
  }
  const Bio bio = Open(key);
  const Key private_key(PEM_read_bio_PrivateKey(bio.get(), nullptr, NoPassphrase, nullptr));
  const bool fits =
      private_key != nullptr && X509_check_private_key(certificate.get(), private_key.get()) == 1;
  ERR_clear_error();
  if (!private_key) {
    return absl::InvalidArgumentError("etcd.tls.key: '" + key_file +
                                      "' does not hold a whole private key (PEM, without "
                                      "passphrase)");
  }
  if (!fits) {
    return absl::InvalidArgumentError("etcd.tls.key: '" + key_file +
                                      "' is not the key of the certificate in '" + cert_file + "'");
  }
  return absl::OkStatus();
}

}  // namespace rosterd::etcd
