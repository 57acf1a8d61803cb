// SPDX-License-Identifier: Apache-2.0
// Passwords and certificates on disk: what is read, what is refused and in which words.
#include "etcd/credential_files.h"

#include <stdlib.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <string>

#include "pem_samples.h"

namespace rosterd::etcd {
namespace {

using testing::kCertificateOne;
using testing::kCertificateTwo;
using testing::kKeyOne;
using testing::kKeyTwo;

// A folder with the files of one agent.
class Files {
 public:
  Files() {
    char path[] = "/tmp/rosterd-credentials-XXXXXX";
    REQUIRE(mkdtemp(path) != nullptr);
    dir_ = path;
    settings.username = "app";
    settings.password_file = dir_ + "/password";
    settings.tls = {dir_ + "/ca", dir_ + "/cert", dir_ + "/key", ""};
    Write("ca", kCertificateOne);
    Write("cert", kCertificateOne);
    Write("key", kKeyOne);
    Write("password", "secret\n");
  }
  ~Files() {
    std::error_code ignored;
    std::filesystem::remove_all(dir_, ignored);
  }
  // As tools do it: a new file takes the old one's name.
  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(Path(name) + ".new", std::ios::binary) << text;
    std::filesystem::rename(Path(name) + ".new", Path(name));
  }
  void Remove(const std::string& name) const { std::filesystem::remove(Path(name)); }
  std::string Path(const std::string& name) const { return dir_ + "/" + name; }
  std::shared_ptr<CredentialFiles> Open() const {
    auto files = CredentialFiles::Open(settings);
    if (!files.ok()) FAIL(files.status().message());
    return *files;
  }
  std::string WhyNot() const {
    auto files = CredentialFiles::Open(settings);
    return files.ok() ? "" : std::string(files.status().message());
  }

  EtcdConfig settings;

 private:
  std::string dir_;
};

bool Has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("a password is the file without the line break at its end") {
  Files files;
  const auto credentials = files.Open();
  for (const auto& [text, password] : std::vector<std::pair<std::string, std::string>>{
           {"secret\n", "secret"},
           {"secret", "secret"},
           {"secret\r\n", "secret"},
           {" two words \n\n", " two words \n"},
           {std::string(4096, 'x'), std::string(4096, 'x')}}) {
    files.Write("password", text);
    REQUIRE(credentials->Password().ok());
    CHECK(*credentials->Password() == password);
  }
}

TEST_CASE("a password that cannot be used is said with its file, never with its text") {
  Files files;
  const auto credentials = files.Open();
  const auto why = [&] { return std::string(credentials->Password().status().message()); };
  files.Write("password", "\n");
  CHECK(Has(why(), files.Path("password") + "' is empty"));
  files.Write("password", std::string(4097, 'x'));
  CHECK(Has(why(), "longer than the 4096 bytes"));
  CHECK_FALSE(Has(why(), "xxxx"));
  files.Remove("password");
  CHECK(Has(why(), "etcd.password_file: '" + files.Path("password") + "' cannot be read: no such"));
}

TEST_CASE("a changed password file is noticed once, after the password was read") {
  Files files;
  const auto credentials = files.Open();
  CHECK_FALSE(credentials->Look().password);
  REQUIRE(credentials->Password().ok());
  CHECK_FALSE(credentials->Look().password);
  files.Write("password", "other1\n");
  CHECK(credentials->Look().password);
  CHECK_FALSE(credentials->Look().password);
  CHECK(*credentials->Password() == "other1");
  files.Remove("password");
  CHECK(credentials->Look().password);
  CHECK_FALSE(credentials->Password().ok());
  files.Write("password", "secret");
  CHECK(credentials->Look().password);
}

TEST_CASE("certificates that changed are handed out") {
  Files files;
  const auto credentials = files.Open();
  const auto before = credentials->tls();
  CHECK(before->cert == kCertificateOne);
  CHECK_FALSE(credentials->Look().tls);
  files.Write("ca", std::string(kCertificateOne) + kCertificateTwo);
  CHECK(credentials->Look().tls);
  CHECK(credentials->tls()->ca == std::string(kCertificateOne) + kCertificateTwo);
  CHECK(before->ca == kCertificateOne);
  CHECK_FALSE(credentials->Look().tls);
}

TEST_CASE("the same certificates written again are no change") {
  Files files;
  const auto credentials = files.Open();
  files.Write("cert", kCertificateOne);
  CHECK_FALSE(credentials->Look().tls);
}

TEST_CASE("half a change keeps the old certificates, is said once and ends with the other half") {
  Files files;
  const auto credentials = files.Open();
  files.Write("cert", kCertificateTwo);
  auto changes = credentials->Look();
  CHECK_FALSE(changes.tls);
  CHECK(Has(changes.warning, "keeping the old ones"));
  CHECK(Has(changes.warning, "'" + files.Path("key") + "' is not the key of the certificate in '" +
                                 files.Path("cert") + "'"));
  changes = credentials->Look();
  CHECK(changes.warning.empty());
  files.Remove("key");
  CHECK(credentials->Look().warning.empty());
  CHECK(credentials->tls()->cert == kCertificateOne);
  files.Write("key", kKeyTwo);
  changes = credentials->Look();
  CHECK(changes.tls);
  CHECK(changes.warning.empty());
  CHECK(credentials->tls()->cert == kCertificateTwo);
  CHECK(credentials->tls()->key == kKeyTwo);
}

TEST_CASE("files that are no certificates stop the start, in words") {
  Files files;
  const std::string half(kCertificateOne, 300);
  files.Write("ca", "hello");
  CHECK(Has(files.WhyNot(), "etcd.tls.ca: '" + files.Path("ca") + "' does not hold"));
  files.Write("ca", kCertificateOne + half);
  CHECK(Has(files.WhyNot(), "etcd.tls.ca"));
  files.Write("ca", kCertificateOne);
  files.Write("cert", half);
  CHECK(Has(files.WhyNot(), "etcd.tls.cert: '" + files.Path("cert") + "' does not hold a whole"));
  files.Write("cert", kCertificateOne);
  files.Write("key", std::string(kKeyOne, 60));
  CHECK(Has(files.WhyNot(), "etcd.tls.key: '" + files.Path("key") + "' does not hold a whole"));
  files.Write("key", kKeyTwo);
  CHECK(Has(files.WhyNot(), "is not the key of"));
  files.Remove("key");
  CHECK(Has(files.WhyNot(), "cannot be read: no such file"));
  files.Write("key", kKeyOne);
  CHECK(files.WhyNot().empty());
}

TEST_CASE("without settings there is nothing to read") {
  const auto credentials = CredentialFiles::Open({});
  REQUIRE(credentials.ok());
  CHECK((*credentials)->username().empty());
  CHECK(*(*credentials)->tls() == TlsPem{});
  const auto changes = (*credentials)->Look();
  CHECK_FALSE(changes.tls);
  CHECK_FALSE(changes.password);
}

}  // namespace
}  // namespace rosterd::etcd
