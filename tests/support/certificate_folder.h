// SPDX-License-Identifier: Apache-2.0
// CertificateFolder: authorities and certificates of one test's own, made by the openssl program in
// a temporary folder that goes with it. Make them on the main thread.
#pragma once

#include <string>

namespace rosterd::testing {

// Owned by one test. Throws std::runtime_error when openssl fails.
class CertificateFolder {
 public:
  CertificateFolder();
  ~CertificateFolder();
  CertificateFolder(const CertificateFolder&) = delete;
  CertificateFolder& operator=(const CertificateFolder&) = delete;

  // NAME.pem and NAME.key.
  void MakeAuthority(const std::string& name);
  // The same, signed by `authority`; `names` is like "IP:127.0.0.1,DNS:localhost".
  void MakeCertificate(const std::string& name, const std::string& authority,
                       const std::string& names);
  // `to` gets the content of `from` at one moment, as tools replace files.
  void Replace(const std::string& to, const std::string& from) const;
  void Write(const std::string& file, const std::string& text) const;

  std::string Path(const std::string& file) const { return path_ + "/" + file; }

 private:
  std::string path_;
};

}  // namespace rosterd::testing
