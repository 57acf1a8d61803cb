// SPDX-License-Identifier: Apache-2.0
#include "support/certificate_folder.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <vector>

#include "base/child_process.h"

namespace rosterd::testing {
namespace {

namespace fs = std::filesystem;

void OpenSsl(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "openssl");
  auto child = ChildProcess::Start(arguments);
  if (!child.ok()) throw std::runtime_error(std::string(child.status().message()));
  if (child->Wait(seconds(20)) != 0)
    throw std::runtime_error("openssl " + arguments[1] + " failed");
}

}  // namespace

CertificateFolder::CertificateFolder() {
  path_ = (fs::temp_directory_path() / "rosterd-certificates-XXXXXX").string();
  if (mkdtemp(path_.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
}

CertificateFolder::~CertificateFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

void CertificateFolder::MakeAuthority(const std::string& name) {
  OpenSsl({"req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
           "-days", "2", "-subj", "/CN=" + name, "-keyout", Path(name + ".key"), "-out",
           Path(name + ".pem")});
}

void CertificateFolder::MakeCertificate(const std::string& name, const std::string& authority,
                                        const std::string& names) {
  OpenSsl({"req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
           "/CN=" + name, "-keyout", Path(name + ".key"), "-out", Path(name + ".csr")});
  Write(name + ".ext", "subjectAltName=" + names + "\n");
  OpenSsl({"x509", "-req", "-in", Path(name + ".csr"), "-CA", Path(authority + ".pem"), "-CAkey",
           Path(authority + ".key"), "-CAcreateserial", "-days", "2", "-extfile",
           Path(name + ".ext"), "-out", Path(name + ".pem")});
}

void CertificateFolder::Replace(const std::string& to, const std::string& from) const {
  fs::copy_file(Path(from), Path(to + ".new"), fs::copy_options::overwrite_existing);
  fs::rename(Path(to + ".new"), Path(to));
}

void CertificateFolder::Write(const std::string& file, const std::string& text) const {
  std::ofstream(Path(file), std::ios::binary) << text;
}

}  // namespace rosterd::testing
