// SPDX-License-Identifier: Apache-2.0
// What a right configuration means: defaults, derived values, and what YAML may do.
#include <catch2/catch.hpp>
#include <cstring>
#include <fstream>
#include <string>

#include "config_folder.h"
#include "yaml/print.h"

namespace rosterd {
namespace {

Config Read(const std::string& text, const Environment& environment = TestEnvironment()) {
  ParseResult result = LoadText(text, environment);
  INFO("text:\n" << text << "\n" << Listing(result));
  REQUIRE(result.ok());
  REQUIRE(result.problems.empty());
  return *result.config;
}

ServiceConfig ReadService(const std::string& rest) {
  const Config config = Read("services:\n  - name: web\n    port: 8080\n" + rest);
  REQUIRE(config.services.size() == 1);
  return *config.services[0];
}

CheckConfig ReadCheck(const std::string& flow) {
  const ServiceConfig service = ReadService("    check: {" + flow + "}\n");
  REQUIRE(service.checks.size() == 1);
  return service.checks[0];
}

bool Same(const Config& a, const Config& b) {
  if (a.services.size() != b.services.size()) return false;
  for (size_t i = 0; i < a.services.size(); ++i) {
    if (!(*a.services[i] == *b.services[i])) return false;
  }
  return a.node == b.node && a.etcd == b.etcd && a.http == b.http && a.data_dir == b.data_dir &&
         a.on_stop == b.on_stop && a.guard == b.guard && a.log == b.log;
}

TEST_CASE("An empty file is a configuration with every default") {
  for (const char* text :
       {"", "\n", "# nothing\n", "---\n", "null\n", "{}\n", "~\n", "\xef\xbb\xbf", "services:\n",
        "services: []\n", "node:\netcd:\nhttp:\nlog:\nguard:\ninclude:\nservices: ~\n"}) {
    const Config config = Read(text);
    CHECK(config.node == NodeConfig{"web-01", "10.0.0.5", ""});
    CHECK(config.etcd == EtcdConfig{});
    CHECK(config.guard == GuardConfig{});
    CHECK(config.http == HttpConfig{{"127.0.0.1:8500"}, {}});
    CHECK(config.data_dir.empty());
    CHECK(config.on_stop == OnStop::kDeregister);
    CHECK(config.log == LogConfig{LogLevel::kInfo, LogFormat::kText});
    CHECK(config.services.empty());
  }
  const ParseResult defaults = DefaultConfig(TestEnvironment());
  REQUIRE(defaults.ok());
  CHECK(Same(*defaults.config, Read("")));
}

constexpr const char* kDocumented = R"(
node:
  name: web-01              # default: host name; [A-Za-z0-9._-]{1,63}
  advertise: auto           # auto | IP | iface:eth0 | cidr:10.0.0.0/8
  zone: ""
etcd:
  endpoints: [http://127.0.0.1:2379]     # http or https, several
  prefix: /services/        # a missing slash at the end is added
  lease_ttl: 15s            # 2s..1h, whole seconds
  username: ""              # with password_file
  password_file: ""
  tls: { ca: "", cert: "", key: "", server_name: "" }
http:
  listen: [127.0.0.1:8500]  # several; also unix:/run/rosterd/http.sock
  allowed_hosts: []         # more names for the Host and Origin headers
data_dir: ""                # example: /var/lib/rosterd ; empty = keep nothing
on_stop: deregister         # deregister | keep (needs data_dir)
guard: { max_drop: 50%, hold: 30s }
log: { level: info, format: text }       # text | json
include: []                 # example: [services.d/*.yaml]
services:
  - name: my-service        # example; [A-Za-z0-9._-]{1,128}, not . or ..
    id: my-service-web-01-8080           # default NAME-NODE-PORT
    address: 10.0.0.5       # example; default node.advertise
    port: 8080              # example; 1..65535
    protocol: http          # http | https | grpc | tcp
    tags: []
    meta: {}
    weight: 100             # 0..65535
    check:
      http: /healthz        # example; a path on 127.0.0.1:PORT, or a whole http(s) URL
      method: GET
      headers: {}
      expect_status: 200-299
      expect_body: ""
      tls: { ca: "", server_name: "", insecure: false }
      interval: 2s
      fast_interval: 500ms
      timeout: 1s
      rise: 2
      fall: 3
)";

TEST_CASE("The documented file with every default written out equals the short one") {
  const Config documented = Read(kDocumented);
  CHECK(Same(documented,
             Read("services: [{name: my-service, port: 8080, check: {http: /healthz}}]\n")));
  REQUIRE(documented.services.size() == 1);
  CHECK(documented.services[0]->id == "my-service-web-01-8080");
  CHECK(documented.services[0]->address == "10.0.0.5");
  CHECK(documented.services[0]->checks.at(0).url == "http://127.0.0.1:8080/healthz");
}

TEST_CASE("The guard is read, and comes back from its print") {
  const Config config = Read("guard: {max_drop: 070%, hold: 1m30s}\n");
  CHECK(config.guard == GuardConfig{70, seconds(90)});
  CHECK(PrintConfig(config).find("guard:\n  max_drop: 70%\n  hold: 90s\n") != std::string::npos);
  CHECK(Read(PrintConfig(config)).guard == config.guard);
  CHECK(Read("guard: {max_drop: 100%}\n").guard == GuardConfig{100, seconds(30)});
  CHECK(Read("guard: {max_drop: \"1%\", hold: 0s}\n").guard == GuardConfig{1, seconds(0)});
}

TEST_CASE("010 is ten") {
  const Config config =
      Read("services: [{name: a, port: 010, weight: 0800, check: {http: /, rise: 010}}]\n");
  CHECK(config.services[0]->port == 10);
  CHECK(config.services[0]->weight == 800);
  CHECK(config.services[0]->checks[0].rise == 10);
  CHECK(config.services[0]->id == "a-web-01-10");
  CHECK(Read("http: {listen: [\"127.0.0.1:08500\"]}\n").http.listen[0] == "127.0.0.1:8500");
}

TEST_CASE("A text may look like a number, a boolean or nothing") {
  const ServiceConfig service = ReadService(
      "    tags: [1.10, true, 010, \"null\"]\n"
      "    meta: {version: 1.10, empty: , on: yes}\n    check: none\n");
  CHECK(service.tags == std::vector<std::string>{"1.10", "true", "010", "null"});
  CHECK(service.meta ==
        std::map<std::string, std::string>{{"version", "1.10"}, {"empty", ""}, {"on", "yes"}});
  CHECK(service.checks.empty());
}

TEST_CASE("Times that are not given follow the interval") {
  CheckConfig check = ReadCheck("http: /");
  CHECK(check.interval == seconds(2));
  CHECK(check.fast_interval == milliseconds(500));
  CHECK(check.timeout == seconds(1));
  check = ReadCheck("http: /, interval: 200ms");
  CHECK(check.fast_interval == milliseconds(200));
  CHECK(check.timeout == milliseconds(200));
  check = ReadCheck("http: /, interval: 1m, timeout: 60s, fast_interval: 1m");
  CHECK(check.timeout == seconds(60));
  CHECK(check.fast_interval == seconds(60));
}

TEST_CASE("A check asks a path on the service's port, or a whole URL") {
  CHECK(ReadCheck("http: \"/a?b=c\"").url == "http://127.0.0.1:8080/a?b=c");
  for (const char* url : {"https://example.com/", "http://[::1]:80/x", "HTTP://a:1",
                          "http://user:secret@a.example:81/p", "http://10.0.0.1?x"}) {
    CHECK(ReadCheck("http: \"" + std::string(url) + "\"").url == url);
  }
}

TEST_CASE("A question mark inside a text needs no quotes in brackets and braces") {
  CHECK(ReadCheck("http: /health?full=1&x?").url == "http://127.0.0.1:8080/health?full=1&x?");
  CHECK(ReadCheck("http: \"/a?b\", expect_body: \"\\x0e?\\x01{\"").expect_body == "\x0e?\x01{");
}

TEST_CASE("Everything that a check can say is read") {
  const ConfigFolder folder;
  folder.Write("certs/ca.pem", "pem");
  const std::string path =
      folder.Write("c.yaml",
                   "services:\n  - name: a\n    port: 1\n    checks:\n"
                   "      - http: https://a/\n        method: HEAD\n        headers: {X-B: \"1\", "
                   "X-A: two words}\n"
                   "        expect_status: 200-204, 304,500\n        expect_body: |\n          "
                   "two\n          lines\n"
                   "        tls: {ca: certs/ca.pem, server_name: b.example, insecure: true}\n"
                   "        rise: 1\n        fall: 10\n"
                   "      - http: /second\n");
  const ParseResult result = LoadConfig(path, TestEnvironment());
  INFO(Listing(result));
  REQUIRE(result.ok());
  const auto& checks = result.config->services[0]->checks;
  REQUIRE(checks.size() == 2);
  CHECK(checks[0].method == "HEAD");
  CHECK(checks[0].headers ==
        std::vector<std::pair<std::string, std::string>>{{"X-B", "1"}, {"X-A", "two words"}});
  CHECK(checks[0].expect_status == std::vector<StatusRange>{{200, 204}, {304, 304}, {500, 500}});
  CHECK(checks[0].expect_body == "two\nlines\n");
  CHECK(checks[0].tls.ca == folder.Path("certs/ca.pem"));
  CHECK(checks[0].tls.server_name == "b.example");
  CHECK(checks[0].tls.insecure);
  CHECK(checks[0].rise == 1);
  CHECK(checks[0].fall == 10);
  CHECK(checks[1].url == "http://127.0.0.1:1/second");
  CHECK(result.warnings.empty());
}

TEST_CASE("Settings of TLS on a plain address warn") {
  const ParseResult result = LoadText(
      "services:\n  - name: a\n    port: 1\n    check:\n      http: /\n      tls: {insecure: "
      "true}\n");
  REQUIRE(result.ok());
  REQUIRE(result.warnings.size() == 1);
  CHECK(result.warnings[0].find("c.yaml:6:7: check.tls has no effect") != std::string::npos);
}

TEST_CASE("Addresses to listen on and endpoints get one form") {
  const Config config = Read(
      "http:\n  listen: [\"[::1]:8500\", localhost:80, unix:/run/x.sock, 0.0.0.0:0, 127.0.0.1:0]\n"
      "  allowed_hosts: [roster.example.com]\n"
      "etcd:\n  endpoints: [http://etcd-1:2379/, \"http://[::1]:2379\"]\n  prefix: svc\n"
      "  lease_ttl: 1h\n");
  CHECK(config.http.listen == std::vector<std::string>{"[::1]:8500", "localhost:80",
                                                       "unix:/run/x.sock", "0.0.0.0:0",
                                                       "127.0.0.1:0"});
  CHECK(config.http.allowed_hosts == std::vector<std::string>{"roster.example.com"});
  CHECK(config.etcd.endpoints ==
        std::vector<std::string>{"http://etcd-1:2379", "http://[::1]:2379"});
  CHECK(config.etcd.prefix == "svc/");
  CHECK(config.etcd.lease_ttl == seconds(3600));
}

TEST_CASE("data_dir, on_stop and log are read") {
  const Config config =
      Read("data_dir: /var/lib/x\non_stop: keep\nlog: {level: debug, format: json}\n");
  CHECK(config.data_dir == "/var/lib/x");
  CHECK(config.on_stop == OnStop::kKeep);
  CHECK(config.log == LogConfig{LogLevel::kDebug, LogFormat::kJson});
}

TEST_CASE("Services are sorted by id") {
  const Config config = Read(
      "services:\n  - {name: b, port: 1, check: none}\n  - {name: a, port: 2, check: none}\n"
      "  - {name: c, id: 0, port: 2, address: web.example, check: none}\n");
  REQUIRE(config.services.size() == 3);
  CHECK(config.services[0]->id == "0");
  CHECK(config.services[0]->address == "web.example");
  CHECK(config.services[1]->id == "a-web-01-2");
  CHECK(config.services[2]->id == "b-web-01-1");
}

TEST_CASE("Anchors, aliases and merge keys work, and a key of one's own wins") {
  const Config config = Read(
      "services:\n"
      "  - name: a\n    port: 1\n    tags: &tags [x, y]\n"
      "    check: &web {http: /a, interval: 5s, rise: 4}\n"
      "  - name: b\n    port: 2\n    tags: *tags\n    check: *web\n"
      "  - name: c\n    port: 3\n    check:\n      <<: *web\n      http: /c\n");
  CHECK(config.services[1]->tags == std::vector<std::string>{"x", "y"});
  CHECK(config.services[1]->checks[0].url == "http://127.0.0.1:2/a");
  CHECK(config.services[2]->checks[0].url == "http://127.0.0.1:3/c");
  CHECK(config.services[2]->checks[0].interval == seconds(5));
  CHECK(config.services[2]->checks[0].rise == 4);
}

TEST_CASE("Windows line ends and CRLF files read alike") {
  CHECK(Read("node:\r\n  zone: a\r\nlog: {level: warn}\r\n").node.zone == "a");
}

TEST_CASE("At a reload, services keep the defaults of the running node") {
  const ConfigFolder folder;
  const std::string path = folder.Write(
      "c.yaml",
      "node: {name: new, advertise: 10.0.0.6}\nservices: [{name: a, port: 1, check: none}]\n");
  Config running;
  running.node = {"old", "10.0.0.5", ""};
  const ParseResult result = ReloadConfig(path, TestEnvironment(), running);
  REQUIRE(result.ok());
  CHECK(result.config->node.name == "new");
  CHECK(result.config->services[0]->id == "a-old-1");
  CHECK(result.config->services[0]->address == "10.0.0.5");
}

TEST_CASE("etcd: https endpoints, user and certificates") {
  const ConfigFolder folder;
  for (const char* name : {"ca", "cert", "key", "password"}) folder.Write(name, "x");
  const std::string path =
      folder.Write("c.yaml",
                   "etcd:\n"
                   "  endpoints: [https://etcd-1:2379/, \"https://[::1]:1\"]\n"
                   "  username: app\n"
                   "  password_file: password\n"
                   "  tls: {ca: ca, cert: cert, key: key, server_name: e.x}\n");
  const ParseResult result = LoadConfig(path, TestEnvironment());
  INFO(Listing(result));
  REQUIRE(result.ok());
  CHECK(result.warnings.empty());
  const EtcdConfig& etcd = result.config->etcd;
  CHECK(etcd.endpoints == std::vector<std::string>{"https://etcd-1:2379", "https://[::1]:1"});
  CHECK(etcd.username == "app");
  CHECK(etcd.password_file == folder.Path("password"));
  CHECK(etcd.tls ==
        EtcdConfig::Tls{folder.Path("ca"), folder.Path("cert"), folder.Path("key"), "e.x"});
  CHECK(Same(*result.config, Read(PrintConfig(*result.config))));
}

TEST_CASE("etcd: what is allowed and unwise is warned of") {
  const ConfigFolder folder;
  folder.Write("password", "x");
  const auto warnings = [&](const std::string& endpoints, const std::string& rest) {
    const ParseResult result = LoadConfig(
        folder.Write("c.yaml", "etcd:\n  endpoints: [" + endpoints + "]\n  " + rest + "\n"),
        TestEnvironment());
    INFO(Listing(result));
    REQUIRE(result.ok());
    std::string all;
    for (const std::string& warning : result.warnings) all += warning + "\n";
    return all;
  };
  const std::string user = "username: app\n  password_file: password";
  CHECK(warnings("https://10.0.0.1:1, http://127.0.0.1:1, http://localhost:1", user).empty());
  const std::string plain = warnings("https://10.0.0.1:1, http://10.0.0.2:1", user);
  CHECK(plain.find("c.yaml:3:3: the password of etcd.username would go to http://10.0.0.2:1") !=
        std::string::npos);
  CHECK(plain.find("10.0.0.1") == std::string::npos);
  CHECK(warnings("http://10.0.0.2:1", "tls: {server_name: a}")
            .find("c.yaml:3:3: etcd.tls has no effect on http:// endpoints") != std::string::npos);
  CHECK(warnings("http://10.0.0.2:1, https://a:1", "tls: {server_name: a}").empty());
}

TEST_CASE("The printed configuration is the same configuration") {
  const Config plain = Read("");
  CHECK(Same(plain, Read(PrintConfig(plain))));
  const Config documented = Read(kDocumented);
  CHECK(Same(documented, Read(PrintConfig(documented))));

  Config odd = documented;
  odd.node.zone = "a: b, [c] {d} # \"e\" 'f' \\ ${HOME} $${X} \xc3\xa4 null";
  odd.etcd.endpoints = {"http://[::1]:2379", "http://a:1"};
  odd.http.listen = {"[::1]:0", "unix:/run/a b.sock"};
  odd.http.allowed_hosts = {"null", "true", "1.2"};
  odd.data_dir = "/var/lib/ro st";
  odd.on_stop = OnStop::kKeep;
  odd.log = {LogLevel::kError, LogFormat::kJson};
  ServiceConfig service = *odd.services[0];
  service.tags = {"a,b", "-", "~", "a: b", "x:", "<<", "%a", "@b", "*c", "&d", "!e", " lead"};
  service.meta = {{"a:b", "c"}, {"<<", "\n\t\x01\x7f"}, {"null", ""}, {"k v", "${"}, {"z:", "$${"}};
  service.weight = 0;
  service.protocol = "grpc";
  service.checks[0].headers = {{"X-Z", "${TOKEN}"}, {"A", ""}};
  service.checks[0].expect_body = "{\"ok\": true}\r\nnext";
  service.checks[0].expect_status = {{100, 100}, {200, 599}};
  service.checks[0].interval = milliseconds(1500);
  service.checks[0].timeout = milliseconds(1);
  service.checks[0].tls = {"", "a.b", true};
  service.checks.push_back(service.checks[0]);
  service.checks[1].url = "https://u:p@a:1/x?y={z}&a=[b]";
  odd.services[0] = std::make_shared<const ServiceConfig>(service);
  service.id = "z";
  service.checks.clear();
  odd.services.push_back(std::make_shared<const ServiceConfig>(service));
  const std::string printed = PrintConfig(odd);
  INFO(printed);
  const Config again = Read(printed);
  CHECK(again.node == odd.node);
  CHECK(again.services.at(0)->tags == odd.services[0]->tags);
  CHECK(again.services.at(0)->meta == odd.services[0]->meta);
  CHECK(Same(odd, again));
}

}  // namespace
}  // namespace rosterd
