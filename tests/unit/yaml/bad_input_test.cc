// SPDX-License-Identifier: Apache-2.0
// Every rule of the configuration, broken once: the exact place, and the words that matter.
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "config_folder.h"

namespace rosterd {
namespace {

struct Case {
  std::string text;
  std::string place;               // "LINE:COLUMN"
  std::vector<std::string> words;  // all of them stand in the message
};

// Each text has exactly this one problem.
void CheckAll(const std::vector<Case>& cases, const Environment& environment = TestEnvironment()) {
  for (const Case& one : cases) {
    const ParseResult result = LoadText(one.text, environment);
    INFO("text:\n" << one.text << "\n" << Listing(result));
    CHECK_FALSE(result.ok());
    REQUIRE(result.problems.size() == 1);
    const std::string line = Lines(result)[0];
    CHECK(line.substr(0, one.place.size() + 2) == one.place + ": ");
    for (const std::string& word : one.words) {
      INFO("word: " << word);
      CHECK(line.find(word) != std::string::npos);
    }
    // What would be right is said, too.
    CHECK(line.find(';') != std::string::npos);
  }
}

// One service with `extra` as its fourth line, at column 5.
std::string Service(const std::string& extra) {
  return "services:\n  - name: web\n    port: 8080\n    " + extra + "\n    check: none\n";
}

// The same with a check; `extra` is the fifth line, at column 7.
std::string Check(const std::string& extra) {
  return "services:\n  - name: web\n    port: 8080\n    check:\n      " + extra + "\n";
}
std::string CheckWithHttp(const std::string& extra) {
  return "services:\n  - name: web\n    port: 8080\n    check:\n      http: /h\n      " + extra +
         "\n";
}

TEST_CASE("A file that is not YAML is named with the place where it stops being YAML") {
  CheckAll({
      {"node: {name: a\n", "1:15", {"'{'", "close"}},
      {"node:\n  name: a\n zone: b\n", "3:2", {"indentation"}},
      {"services:\n  - name: x\n   port: 1\n", "3:4", {"indentation"}},
      {"etcd: a: b\n", "1:8", {"quotes"}},
      {"data_dir: @x\n", "1:11", {"quotes"}},
      {"data_dir: \"abc\n", "1:11", {"quoted text", "not closed"}},
      {"node:\n  zone: 'abc\nlog:\n  level: info\n", "2:9", {"not closed"}},
      {"http: {listen: [a, b}\n", "1:21", {"'['"}},
      {"node: *nothing\n", "1:7", {"anchor"}},
      {"node: &n {zone: *n}\n", "1:17", {"alias"}},
      {"node:\n  zone: a\n---\nlog:\n", "3:1", {"second document"}},
      {"- a\nlog: {}\n", "2:1", {"indentation"}},
      {"node:\n  zone: \"a\xff\"\n", "2:11", {"UTF-8"}},
      {std::string("node:\n  zone: a\0b\n", 18), "2:10", {"control character"}},
      {"node:\n  zone: a\x04\n", "2:10", {"control character"}},
      {"data_dir: !path /x\n", "1:11", {"tag", "remove"}},
  });
}

TEST_CASE("Columns count characters, not bytes") {
  CheckAll({{"log: {\"äöü\": 1}\n", "1:7", {"unknown key 'äöü'"}},
            {"node: {zone: äöü, name: \"a b\"}\n", "1:25", {"node.name"}}});
}

TEST_CASE("A key that nobody knows is an error, with the nearest known key") {
  CheckAll({
      {"nodes: {}\n", "1:1", {"unknown key 'nodes'", "did you mean 'node'?"}},
      {"node:\n  adverise: auto\n", "2:3", {"unknown key 'adverise' in node", "'advertise'"}},
      {"etcd: {endpoint: []}\n", "1:8", {"'endpoints'"}},
      {"etcd: {tls: {certificate: x}}\n", "1:14", {"in etcd.tls", "ca, cert, key, server_name"}},
      {"http: {zzz: 1}\n", "1:8", {"known here: listen, allowed_hosts"}},
      {"log: {levle: info}\n", "1:7", {"'level'"}},
      {"guard: {maxdrop: 50%}\n", "1:9", {"'max_drop'"}},
      {Service("adress: 10.0.0.1"), "4:5", {"'adress' in service", "'address'"}},
      {CheckWithHttp("intervall: 2s"), "6:7", {"'intervall' in check", "'interval'"}},
      {CheckWithHttp("tls: {insecur: true}"), "6:13", {"'insecure'"}},
      {"[a]: b\n", "1:1", {"key must be plain text"}},
      {"\"${X}\": b\n", "1:1", {"nothing is replaced in a key"}},
  });
}

TEST_CASE("A key that stands twice is an error that names both places") {
  const ParseResult result = LoadText("log: {level: info}\nnode: {}\nlog: {level: warn}\n");
  REQUIRE(result.problems.size() == 1);
  const Problem& problem = result.problems[0];
  CHECK(problem.line == 3);
  CHECK(problem.column == 1);
  CHECK(problem.text.find("'log'") != std::string::npos);
  CHECK(problem.text.find(problem.file + ":1:1") != std::string::npos);

  CheckAll({
      {Service("port: 8081"), "4:5", {"'port'", "second time"}},
      {"services:\n  - name: a\n    port: 1\n    meta: {k: 1, k: 2}\n    check: none\n",
       "4:18",
       {"'k'"}},
      {CheckWithHttp("headers: {X-A: 1, x-a: 2}"), "6:25", {"header 'x-a'", "second time"}},
  });
}

TEST_CASE("A value of the wrong type is an error") {
  CheckAll({
      {"[1, 2]\n", "1:1", {"the file is a list", "map"}},
      {"hello\n", "1:1", {"the file is 'hello'"}},
      {"node: web\n", "1:7", {"node is 'web'"}},
      {"etcd:\n  - a\n", "2:3", {"etcd is a list"}},
      {"http: {listen: \"127.0.0.1:80\"}\n", "1:16", {"write a list, [127.0.0.1:80]"}},
      {"http: {listen: [[::1]:80]}\n", "1:17", {"quotes"}},
      {"services: {name: a}\n", "1:11", {"services is a map", "- name:"}},
      {"services: [web]\n", "1:12", {"service is 'web'"}},
      {"services:\n  -\n  - {name: a, port: 1, check: none}\n", "2:3", {"a service is empty"}},
      {"include: a.yaml\n", "1:10", {"include is 'a.yaml'", "[a.yaml]"}},
      {"data_dir: [a]\n", "1:11", {"data_dir is a list"}},
      {Service("tags: v1"), "4:11", {"service.tags is 'v1'", "[v1]"}},
      {Service("tags: [[v1]]"), "4:12", {"an item of service.tags is a list"}},
      {Service("tags: [\"\"]"), "4:12", {"empty"}},
      {Service("meta: [a]"), "4:11", {"service.meta is a list"}},
      {Service("meta: {a: {b: c}}"), "4:15", {"service.meta.a is a map"}},
      {Service("weight: {}"), "4:13", {"service.weight is a map", "0 to 65535"}},
      {CheckWithHttp("headers: X"), "6:16", {"check.headers is 'X'"}},
      {CheckWithHttp("tls: {insecure: yes}"), "6:23", {"'yes'", "true or false"}},
      {CheckWithHttp("expect_status: [200]"), "6:22", {"a list", "200-299,304"}},
  });
}

TEST_CASE("Numbers are decimal and within their range") {
  const auto port = [](const std::string& value) {
    return "services:\n  - name: web\n    port: " + value + "\n    check: none\n";
  };
  for (const char* value : {"0", "65536", "70000", "-1", "0x50", "8_0", "80.0", "1e3", "eighty",
                            "99999999999999999999", "''", "+80", "' 80'"}) {
    CheckAll({{port(value), "3:11", {"service.port is", "1 to 65535"}}});
  }
  CheckAll({
      {Service("weight: 65536"), "4:13", {"0 to 65535"}},
      {Service("weight: -1"), "4:13", {"0 to 65535"}},
      {CheckWithHttp("rise: 0"), "6:13", {"check.rise", "from 1"}},
      {CheckWithHttp("fall: 0"), "6:13", {"check.fall", "from 1"}},
      {CheckWithHttp("fall: 1.5"), "6:13", {"check.fall"}},
  });
}

TEST_CASE("Durations have a unit of ms, s, m or h and are not zero where zero makes no sense") {
  for (const char* value : {"5", "0", "0s", "-1s", "2 s", "2d", "500us", "5000000ns", "soon", "''",
                            "0.5ms", "1h1", "25h"}) {
    CheckAll({{CheckWithHttp(std::string("interval: ") + value), "6:17", {"check.interval is"}}});
  }
  CheckAll({
      {"etcd: {lease_ttl: 1s}\n", "1:19", {"etcd.lease_ttl", "2s to 1h"}},
      {"etcd: {lease_ttl: 61m}\n", "1:19", {"2s to 1h"}},
      {"etcd: {lease_ttl: 2500ms}\n", "1:19", {"whole seconds"}},
      {"etcd: {lease_ttl: 15}\n", "1:19", {"unit"}},
      {CheckWithHttp("timeout: 3s"), "6:16", {"check.timeout is 3s", "interval of 2s"}},
      {CheckWithHttp("fast_interval: 3s"), "6:22", {"check.fast_interval is 3s", "interval"}},
      {CheckWithHttp("interval: 1s\n      timeout: 1001ms"), "7:16", {"1001ms", "1s"}},
  });
}

TEST_CASE("node: names and addresses") {
  CheckAll({
      {"node: {name: \"a b\"}\n", "1:14", {"node.name is 'a b'", "1 to 63"}},
      {"node: {name: \"\"}\n", "1:14", {"node.name"}},
      {"node: {name: ..}\n", "1:14", {"node.name"}},
      {"node: {name: " + std::string(64, 'a') + "}\n", "1:14", {"1 to 63"}},
      {"node: {advertise: web.example}\n", "1:19", {"auto, an IP address"}},
      {"node: {advertise: 0.0.0.0}\n", "1:19", {"nobody can connect"}},
      {"node: {advertise: 10.0.0.256}\n", "1:19", {"auto, an IP address"}},
      {"node: {advertise: \"[::1]\"}\n", "1:19", {"IP address"}},
      {"node: {advertise: iface:eth9}\n", "1:19", {"eth9", "eth0 10.0.0.5"}},
      {"node: {advertise: iface:eth2}\n", "1:19", {"eth2"}},
      {"node: {advertise: cidr:192.168.0.0/16}\n", "1:19", {"no address", "eth0 10.0.0.5"}},
      {"node: {advertise: cidr:10.0.0.0}\n", "1:19", {"cidr:10.0.0.0/8"}},
      {"node: {advertise: cidr:10.0.0.0/33}\n", "1:19", {"no network"}},
      {"node: {zone: \"a\\nb\"}\n", "1:14", {"node.zone", "line break"}},
  });
  Environment nameless = TestEnvironment();
  nameless.host_name = [] { return "bad host"; };
  CheckAll({{"log: {}\n", "1:1", {"host name 'bad host'", "set node.name"}},
            {"log: {}\nnode:\n  zone: a\n", "3:3", {"set node.name"}}},
           nameless);
}

TEST_CASE("etcd: endpoints and prefix") {
  const auto endpoint = [](const std::string& value) {
    return "etcd: {endpoints: [\"" + value + "\"]}\n";
  };
  CheckAll({
      {endpoint("127.0.0.1:2379"), "1:20", {"scheme is missing", "http://HOST:PORT"}},
      {endpoint("https://127.0.0.1"), "1:20", {"port", "https://HOST:PORT"}},
      {endpoint("HTTPS://127.0.0.1:1"), "1:20", {"scheme 'HTTPS'"}},
      {endpoint("ftp://127.0.0.1:2379"), "1:20", {"scheme 'ftp'"}},
      {endpoint("http://127.0.0.1"), "1:20", {"port"}},
      {endpoint("http://127.0.0.1:0"), "1:20", {"port"}},
      {endpoint("http://127.0.0.1:70000"), "1:20", {"port"}},
      {endpoint("http://a b:2379"), "1:20", {"http://HOST:PORT"}},
      {endpoint("http://a:2379/v3"), "1:20", {"http://HOST:PORT"}},
      {endpoint(""), "1:20", {"empty"}},
      {"etcd: {endpoints: []}\n", "1:19", {"empty list"}},
      {"etcd: {prefix: \"\"}\n", "1:16", {"etcd.prefix is empty"}},
  });
}

TEST_CASE("etcd: user, password and certificates") {
  const std::string secure = "etcd:\n  endpoints: [https://a:2379]\n  tls: ";
  CheckAll({
      {"etcd: {username: app}\n", "1:8", {"etcd.username needs etcd.password_file", "both"}},
      {"etcd: {password_file: c.yaml}\n", "1:8", {"etcd.password_file needs etcd.username"}},
      {"etcd: {username: app, password_file: no/such}\n",
       "1:38",
       {"etcd.password_file: ", "no/such' cannot be read (No such file", "the password"}},
      {"etcd: {username: app, password_file: .}\n", "1:38", {"not a file"}},
      {"etcd: {username: \"a\\nb\", password_file: c.yaml}\n", "1:18", {"line break"}},
      {"etcd: {username: " + std::string(256, 'a') + ", password_file: c.yaml}\n",
       "1:18",
       {"longer than 255"}},
      {secure + "{ca: no.pem}\n", "3:13", {"etcd.tls.ca: ", "no.pem' cannot be read"}},
      {secure + "{cert: no.pem, key: c.yaml}\n", "3:15", {"etcd.tls.cert: ", "certificate"}},
      {secure + "{cert: c.yaml, key: no.pem}\n", "3:28", {"etcd.tls.key: ", "private key"}},
      {secure + "{cert: c.yaml}\n", "3:9", {"etcd.tls.cert needs etcd.tls.key", "both files"}},
      {secure + "{key: c.yaml}\n", "3:9", {"etcd.tls.key needs etcd.tls.cert"}},
      {secure + "{server_name: \"a b\"}\n", "3:22", {"etcd.tls.server_name", "host name"}},
      {secure + "{insecure: true}\n", "3:9", {"unknown key 'insecure'"}},
  });
}

TEST_CASE("http: listen and allowed_hosts") {
  const auto listen = [](const std::string& value) {
    return "http: {listen: [\"" + value + "\"]}\n";
  };
  CheckAll({
      {listen("8500"), "1:17", {"IP:PORT"}},
      {listen(":8500"), "1:17", {"127.0.0.1:8500", "0.0.0.0:8500"}},
      {listen("web-01:8500"), "1:17", {"IP:PORT"}},
      {listen("127.0.0.1:65536"), "1:17", {"IP:PORT"}},
      {listen("127.0.0.1:"), "1:17", {"IP:PORT"}},
      {listen("::1:8500"), "1:17", {"[::1]:8500"}},
      {listen("[127.0.0.1]:8500"), "1:17", {"IP:PORT"}},
      {listen("unix:run/http.sock"), "1:17", {"whole path"}},
      {listen("unix:"), "1:17", {"whole path"}},
      {listen("unix:/" + std::string(107, 'x')), "1:17", {"107 bytes"}},
      {"http: {listen: []}\n", "1:16", {"empty list"}},
      {"http: {listen: [\"127.0.0.1:80\", \"127.0.0.1:080\"]}\n", "1:33", {"twice"}},
      {"http: {allowed_hosts: [\"http://x\"]}\n", "1:24", {"host name"}},
      {"http: {allowed_hosts: [\"x:80\"]}\n", "1:24", {"without scheme and port"}},
  });
}

TEST_CASE("on_stop, log") {
  CheckAll({
      {"on_stop: keep\n", "1:10", {"data_dir"}},
      {"on_stop: never\n", "1:10", {"deregister or keep"}},
      {"log: {level: verbose}\n", "1:14", {"debug, info, warn or error"}},
      {"log: {format: xml}\n", "1:15", {"text or json"}},
  });
}

TEST_CASE("services: names, ids, addresses") {
  CheckAll({
      {"services:\n  - port: 80\n    check: none\n", "2:5", {"no name"}},
      {"services:\n  - name: a\n    check: none\n", "2:5", {"no port"}},
      {"services:\n  - name: \"\"\n    port: 80\n    check: none\n", "2:11", {"name is empty"}},
      {"services:\n  - name: a/b\n    port: 80\n    check: none\n", "2:11", {"'a/b'", "1 to 128"}},
      {"services:\n  - name: ..\n    port: 80\n    check: none\n", "2:11", {"'..'"}},
      {"services:\n  - name: " + std::string(129, 'a') + "\n    port: 80\n    check: none\n",
       "2:11",
       {"1 to 128"}},
      {Service("id: a b"), "4:9", {"service.id", "1 to 255"}},
      {Service("id: " + std::string(256, 'a')), "4:9", {"1 to 255"}},
      {Service("address: 10.0.0.256"), "4:14", {"not an IPv4 address"}},
      {Service("address: \"10.0.0.1:80\""), "4:14", {"without a port"}},
      {Service("address: \"[::1]\""), "4:14", {"without brackets"}},
      {Service("address: a/b"), "4:14", {"host name"}},
      {Service("address: 0.0.0.0"), "4:14", {"nobody can connect"}},
      {Service("address: \"fe80::1%eth0\""), "4:14", {"zone"}},
      {Service("protocol: udp"), "4:15", {"http, https, grpc or tcp"}},
      {Service("meta: {a: " + std::string(70000, 'x') + "}"), "2:5", {"tags and meta"}},
  });
}

TEST_CASE("services: exactly one of check and checks") {
  CheckAll({
      {"services:\n  - name: a\n    port: 80\n", "2:5", {"neither 'check' nor 'checks'", "none"}},
      {"services:\n  - name: a\n    port: 80\n    check:\n", "2:5", {"neither"}},
      {"services:\n  - name: a\n    port: 80\n    check: none\n    checks: [{http: /}]\n",
       "5:5",
       {"both 'check' and 'checks'"}},
      {"services:\n  - name: a\n    port: 80\n    check: /healthz\n",
       "4:12",
       {"check is '/healthz'"}},
      {"services:\n  - name: a\n    port: 80\n    check: [{http: /}]\n", "4:12", {"'checks:'"}},
      {"services:\n  - name: a\n    port: 80\n    checks: []\n", "4:13", {"empty list"}},
      {"services:\n  - name: a\n    port: 80\n    checks: none\n", "4:13", {"checks is 'none'"}},
      {"services:\n  - name: a\n    port: 80\n    checks:\n      - http: /\n      -\n",
       "6:7",
       {"a check is empty"}},
      {"services:\n  - name: a\n    port: 80\n    check: {}\n", "4:12", {"what to ask", "http:"}},
  });
}

TEST_CASE("check: addresses, methods, headers, status") {
  CheckAll({
      {Check("http: healthz"), "5:13", {"/healthz"}},
      {Check("http: ftp://x/"), "5:13", {"scheme 'ftp'", "http:// or https://"}},
      {Check("http: http:///x"), "5:13", {"host or port"}},
      {Check("http: http://a:70000/"), "5:13", {"host or port 'a:70000'"}},
      {Check("http: http://a:b/"), "5:13", {"host or port"}},
      {Check("http: http://::1/"), "5:13", {"brackets"}},
      {Check("http: \"/a b\""), "5:13", {"%20"}},
      {Check("http: \"/a\\r\\nX: y\""), "5:13", {"line break"}},
      {Check("http: \"/a#b\""), "5:13", {"'#'"}},
      {Check("http: \"\""), "5:13", {"/healthz"}},
      {CheckWithHttp("method: \"G T\""), "6:15", {"method"}},
      {CheckWithHttp("method: \"\""), "6:15", {"method"}},
      {CheckWithHttp("headers: {\"X Y\": 1}"), "6:17", {"'X Y'", "name"}},
      {CheckWithHttp("headers: {\"X\": \"a\\r\\nB: c\"}"), "6:22", {"'X'", "line break"}},
      {CheckWithHttp("headers: {\"X\": \"a\\0b\"}"), "6:22", {"'X'"}},
      {CheckWithHttp("expect_body: \"" + std::string(65537, 'x') + "\""), "6:20", {"64 KiB"}},
      {CheckWithHttp("tls: {ca: no/such.pem}"), "6:17", {"check.tls.ca", "no/such.pem"}},
      {CheckWithHttp("tls: {ca: /}"), "6:17", {"not a file"}},
      {CheckWithHttp("tls: {server_name: \"a b\"}"), "6:26", {"host name"}},
  });
  for (const char* value : {"99", "600", "200-", "-299", "299-200", "200,,204", "abc", "200 204",
                            "''", "0xc8", "200-299-300", "\"200,\""}) {
    CheckAll({{CheckWithHttp(std::string("expect_status: ") + value),
               "6:22",
               {"check.expect_status", "100 to 599"}}});
  }
}

TEST_CASE("The guard's share is a percentage and its hold at most an hour") {
  for (const char* value : {"0%", "101%", "50", "\"\"", "\"%\"", "-1%", "0.5%", "50 %", "x%",
                            "0x10%", "99999999999999999999%"}) {
    CheckAll({{std::string("guard: {max_drop: ") + value + "}\n",
               "1:19",
               {"guard.max_drop", "1% to 100%", "50%"}}});
  }
  CheckAll({
      {"guard: {max_drop: [50%]}\n", "1:19", {"guard.max_drop", "a list"}},
      {"guard: {hold: 61m}\n", "1:15", {"guard.hold", "'61m'", "0s to 1h"}},
      {"guard: {hold: -1s}\n", "1:15", {"guard.hold"}},
      {"guard: {hold: 30}\n", "1:15", {"guard.hold", "unit"}},
      {"guard: 50%\n", "1:8", {"guard"}},
  });
}

TEST_CASE("What a later version knows is refused by name") {
  CheckAll({
      {"registry: {publish: all}\n", "1:1", {"registry is not supported yet"}},
      {"drain: 5s\n", "1:1", {"drain is not supported yet"}},
      {"http: {writes: true}\n", "1:8", {"http.writes is not supported yet"}},
      {"http: {token_file: /x}\n", "1:8", {"http.token_file is not supported yet"}},
      {Check("tcp: 127.0.0.1:80"), "5:7", {"check.tcp is not supported yet"}},
      {Check("grpc: 127.0.0.1:80"), "5:7", {"check.grpc is not supported yet"}},
      {Check("ttl: 30s"), "5:7", {"check.ttl is not supported yet"}},
  });
}

TEST_CASE("Every problem of a file is named at once, in its order") {
  const ParseResult result = LoadText(
      "node: {name: \"a b\"}\n"
      "etcd: {lease_ttl: 1s, prefix: \"\", user: x}\n"
      "http: {listen: [nowhere]}\n"
      "on_stop: keep\n"
      "services:\n"
      "  - name: web\n"
      "    port: 70000\n"
      "    check: {http: /, timeout: 3s}\n"
      "  - name: web\n"
      "    name: web2\n"
      "    port: 010\n"
      "colour: blue\n");
  INFO(Listing(result));
  std::vector<std::string> places;
  for (const Problem& problem : result.problems) {
    places.push_back(std::to_string(problem.line) + ":" + std::to_string(problem.column));
  }
  CHECK(places == std::vector<std::string>{"1:14", "2:19", "2:31", "2:35", "3:17", "4:10", "7:11",
                                           "8:31", "9:5", "10:5", "12:1"});
}

}  // namespace
}  // namespace rosterd
