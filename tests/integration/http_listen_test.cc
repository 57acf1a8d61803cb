// SPDX-License-Identifier: Apache-2.0
// Where the front listens: addresses, ports that are taken, unix sockets.
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "http_client.h"
#include "http_server.h"

namespace rosterd::testing {
namespace {

namespace fs = std::filesystem;

class Folder {
 public:
  Folder() {
    std::string name = fs::temp_directory_path() / "rosterd-http-XXXXXX";
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~Folder() { fs::remove_all(path_); }
  std::string operator/(const char* name) const { return path_ / name; }

 private:
  fs::path path_;
};

// What Create() says when it fails; "" when it does not.
std::string FailsWith(const std::vector<std::string>& listen) {
  SystemClock clock;
  Log log(LogLevel::kError, LogFormat::kText, [](const std::string&) {});
  Metrics metrics;
  http::Server::Options options;
  options.listen = listen;
  auto created = http::Server::Create(
      options, [](const http::Request&) { return http::Answer{}; }, clock, log, metrics);
  return created.ok() ? "" : std::string(created.status().message());
}

// A socket file as a killed server leaves it behind.
void LeaveStale(const std::string& path) {
  const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  REQUIRE(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::listen(fd.get(), 1) == 0);
}

}  // namespace

TEST_CASE("a second server on the port fails with a sentence that helps") {
  TestServer first;
  const std::string& taken = first.address();
  CHECK(FailsWith({taken}) ==
        "cannot listen on " + taken +
            ": address already in use; another rosterd or Consul agent may run there; stop it or "
            "set http.listen");
  HttpClient client(taken);
  CHECK(client.Get("/").has_value());
}

TEST_CASE("a port is free again at once after a stop") {
  auto first = std::make_unique<TestServer>();
  const std::string address = first->address();
  HttpClient client(address);
  REQUIRE(client.Get("/"));
  first->server->Stop();
  first.reset();
  TestServer second({}, {address});
  CHECK(HttpClient(address).Get("/").has_value());
}

TEST_CASE("several addresses are served side by side, with their real ports") {
  const Folder folder;
  TestServer server({}, {"127.0.0.1:0", "127.0.0.2:0", "unix:" + (folder / "s")});
  const auto& addresses = server.server->addresses();
  REQUIRE(addresses.size() == 3);
  CHECK(addresses[0].starts_with("127.0.0.1:"));
  CHECK_FALSE(addresses[0].ends_with(":0"));
  CHECK(addresses[2] == "unix:" + (folder / "s"));
  for (const std::string& address : addresses) {
    HttpClient client(address);
    CHECK(client.Get("/").has_value());
  }
}

TEST_CASE("localhost means each loopback address that the host has, on one port") {
  TestServer server({}, {"localhost:0"});
  const auto& addresses = server.server->addresses();
  CHECK(addresses.front().starts_with("127.0.0.1:"));
  for (const std::string& address : addresses) {
    CHECK(address.substr(address.rfind(':')) ==
          addresses.front().substr(addresses.front().rfind(':')));
    CHECK(HttpClient(address).Get("/").has_value());
  }
}

TEST_CASE("IPv6 is listened on with brackets") {
  if (!fs::exists("/proc/net/if_inet6") || FailsWith({"[::1]:0"}) != "") {
    WARN("skipped: no IPv6 loopback on this host");
    return;
  }
  TestServer server({}, {"[::1]:0"});
  CHECK(server.address().starts_with("[::1]:"));
  CHECK(HttpClient(server.address()).Get("/").has_value());
}

TEST_CASE("an address that cannot be listened on is refused with the reason") {
  CHECK(FailsWith({"192.0.2.1:0"}) ==
        "cannot listen on 192.0.2.1:0: this host has no such address; set http.listen to one it "
        "has, or to 127.0.0.1:8500");
  for (const char* bad : {"8500", ":8500", "127.0.0.1", "127.0.0.1:", "127.0.0.1:http",
                          "127.0.0.1:65536", "::1:8500", "[127.0.0.1]:8500", "web-01:8500", ""}) {
    INFO(bad);
    CHECK(FailsWith({bad}).find("write IP:PORT, localhost:PORT or unix:/PATH") !=
          std::string::npos);
  }
  CHECK(FailsWith({"unix:relative"}).find("absolute path") != std::string::npos);
  CHECK(FailsWith({"unix:/" + std::string(200, 'a')}).find("at most 107 bytes") !=
        std::string::npos);
  CHECK(FailsWith({"unix:/nowhere/at/all"}).find("the folder of the socket must exist") !=
        std::string::npos);
}

TEST_CASE("a unix socket has mode 0660, needs no known Host and is removed at the stop") {
  const Folder folder;
  const std::string path = folder / "http.sock";
  {
    TestServer server({}, {"unix:" + path});
    struct stat info {};
    REQUIRE(::stat(path.c_str(), &info) == 0);
    CHECK((info.st_mode & 07777) == 0660);
    bool over_unix = false;
    server.handler = [&](const http::Request& request) {
      over_unix = request.over_unix_socket;
      return http::Answer{};
    };
    HttpClient client("unix:" + path);
    client.Send("GET / HTTP/1.1\r\nHost: evil.example\r\nOrigin: null\r\n\r\n");
    const auto answer = client.Read();
    REQUIRE(answer);
    CHECK(answer->status == 200);
    CHECK(over_unix);
    client.Send("GET / HTTP/1.1\r\n\r\n");
    CHECK(client.Read()->status == 400);  // but HTTP/1.1 still wants one
  }
  CHECK_FALSE(fs::exists(path));
}

TEST_CASE("a stale unix socket is replaced, a live one is in use, another file is left alone") {
  const Folder folder;
  const std::string path = folder / "http.sock";
  SECTION("stale") {
    LeaveStale(path);
    TestServer server({}, {"unix:" + path});
    CHECK(HttpClient("unix:" + path).Get("/").has_value());
  }
  SECTION("live") {
    TestServer server({}, {"unix:" + path});
    CHECK(FailsWith({"unix:" + path}).find("address already in use") != std::string::npos);
    CHECK(HttpClient("unix:" + path).Get("/").has_value());
  }
  SECTION("another file") {
    std::ofstream(path) << "precious";
    CHECK(FailsWith({"unix:" + path}).find("a file that is no socket") != std::string::npos);
    CHECK(fs::file_size(path) == 8);
  }
  SECTION("somebody else's by the time of the stop") {
    TestServer server({}, {"unix:" + path});
    fs::remove(path);
    LeaveStale(path);
    server.server->Stop();
    CHECK(fs::exists(path));
  }
}

TEST_CASE("when one of several addresses fails, none stays behind") {
  const Folder folder;
  const std::string path = folder / "http.sock";
  CHECK(FailsWith({"unix:" + path, "nonsense"}) != "");
  CHECK_FALSE(fs::exists(path));
}

}  // namespace rosterd::testing
