// SPDX-License-Identifier: Apache-2.0
// The private etcd of --dev: it answers when Start() returns, and leaves nothing behind.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>

#include "etcd/dev_server.h"
#include "etcd/grpc_client.h"

namespace rosterd::etcd {
namespace {

class ScopedVariable {
 public:
  ScopedVariable(const char* name, const std::string& value) : name_(name) {
    const char* old = getenv(name);
    if (old != nullptr) old_ = old;
    setenv(name, value.c_str(), 1);
  }
  ~ScopedVariable() { old_ ? setenv(name_, old_->c_str(), 1) : unsetenv(name_); }

 private:
  const char* name_;
  std::optional<std::string> old_;
};

class TempDirectory {
 public:
  TempDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "dev-test-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~TempDirectory() { std::filesystem::remove_all(path_); }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

TEST_CASE("a dev server answers at once and takes its data with it") {
  TempDirectory temp;
  const ScopedVariable variable("TMPDIR", temp.path().string());
  {
    auto server = DevServer::Start();
    REQUIRE(server.ok());
    CHECK(std::filesystem::exists(temp.path()));
    CHECK_FALSE(std::filesystem::is_empty(temp.path()));
    const auto endpoint = ParseEndpoint((*server)->endpoint());
    REQUIRE(endpoint.ok());
    CHECK(endpoint->address.host == "127.0.0.1");
    CHECK(endpoint->address.port < 32768);
    CHECK(GrpcClient(*endpoint).Ping(milliseconds(5000)).ok());
  }
  CHECK(std::filesystem::is_empty(temp.path()));
}

TEST_CASE("two dev servers do not meet") {
  auto one = DevServer::Start();
  auto two = DevServer::Start();
  REQUIRE(one.ok());
  REQUIRE(two.ok());
  CHECK((*one)->endpoint() != (*two)->endpoint());
}

TEST_CASE("without etcd installed the error says what to install") {
  const ScopedVariable path("PATH", "/nonexistent");
  const auto server = DevServer::Start();
  REQUIRE_FALSE(server.ok());
  CHECK(std::string(server.status().message()).find("etcd-server") != std::string::npos);
}

TEST_CASE("an etcd that refuses to start is quoted") {
  DevServer::Options options;
  options.flags = {"--no-such-flag"};
  const auto server = DevServer::Start(options);
  REQUIRE_FALSE(server.ok());
  CHECK(std::string(server.status().message()).find("no-such-flag") != std::string::npos);
}

}  // namespace
}  // namespace rosterd::etcd
