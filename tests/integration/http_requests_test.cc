// SPDX-License-Identifier: Apache-2.0
// Requests over real sockets: what a client may send, what it gets, and each way in that
// cpp-httplib's own server leaves open.
#include <sys/socket.h>

#include <stdexcept>

#include "http_client.h"
#include "http_server.h"

namespace rosterd::testing {
namespace {

using http::Answer;
using http::Request;
using std::chrono::milliseconds;

const std::string kHost = "Host: localhost\r\n";

std::string Repeat(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

// Sends `bytes` on a fresh connection; the answer must be `status` with a JSON error, and the
// connection must end.
void RefusedWith(const TestServer& server, const std::string& bytes, int status) {
  HttpClient client(server.address());
  client.Send(bytes);
  const auto answer = client.Read();
  REQUIRE(answer);
  CHECK(answer->status == status);
  CHECK(answer->headers.at("content-type") == "application/json");
  CHECK(answer->headers.at("connection") == "close");
  CHECK(answer->body.starts_with(R"({"error":")"));
  client.HalfClose();
  CHECK(client.ClosedSilently());
}

}  // namespace

TEST_CASE("a GET is answered and the connection kept") {
  TestServer server;
  HttpClient client(server.address());
  for (int i = 0; i < 3; ++i) {
    const auto answer = client.Get("/services/web?x=1");
    REQUIRE(answer);
    CHECK(answer->status == 200);
    CHECK(answer->body == "GET /services/web 0 ");
    CHECK(answer->headers.contains("date"));
    CHECK_FALSE(answer->headers.contains("connection"));
    CHECK_FALSE(answer->headers.contains("keep-alive"));
  }
  CHECK(server.Counts("rosterd_http_requests_total{code=\"200\",route=\"echo\"} 3"));
}

TEST_CASE("every hole of the library's own server is closed") {
  TestServer server;
  int calls = 0;
  server.handler = [&](const Request&) {
    ++calls;
    return Answer{};
  };
  const std::string post = "POST / HTTP/1.1\r\n" + kHost;
  SECTION("a chunked body past the limit") {
    RefusedWith(server,
                post + "Transfer-Encoding: chunked\r\n\r\n" +
                    Repeat("1000\r\n" + std::string(4096, 'a') + "\r\n", 300) + "0\r\n\r\n",
                413);
  }
  SECTION("a chunked body of extensions") {
    RefusedWith(server,
                post + "Transfer-Encoding: chunked\r\n\r\n" +
                    Repeat("1;" + std::string(1000, 'e') + "\r\na\r\n", 100),
                413);
  }
  SECTION("a sized body past the limit, refused before it is sent") {
    RefusedWith(server, post + "Content-Length: 1048577\r\n\r\n", 413);
  }
  SECTION("a header line of 64 MiB") {
    HttpClient client(server.address());
    client.Send("GET / HTTP/1.1\r\nX: ");
    const std::string block(1 << 16, 'a');
    bool open = true;
    for (int i = 0; i < 1024 && open; ++i) open = client.Send(block);
    const auto answer = client.Read();
    REQUIRE(answer);
    CHECK(answer->status == 431);
  }
  SECTION("20,000 headers") {
    RefusedWith(server, "GET / HTTP/1.1\r\n" + kHost + Repeat("X: y\r\n", 20000) + "\r\n", 431);
  }
  SECTION("a request line of 9 KB") {
    RefusedWith(server, "GET /" + std::string(9000, 'a') + " HTTP/1.1\r\n" + kHost + "\r\n", 414);
  }
  SECTION("Content-Length with Transfer-Encoding") {
    RefusedWith(server,
                post +
                    "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
                    "GET /evil HTTP/1.1\r\n" +
                    kHost + "\r\n",
                400);
  }
  SECTION("lengths that others read differently") {
    for (const char* header :
         {"Content-Length: 5\r\nContent-Length: 5", "Content-Length: +5", "Content-Length: 0x5",
          "Content-Length : 5", "Content-Length: 5\r\n folded", "Content-Length: 5\rX: y"}) {
      RefusedWith(server, post + header + "\r\n\r\nhello", 400);
    }
  }
  SECTION("another transfer coding") {
    RefusedWith(server, post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501);
  }
  SECTION("no Host, two Hosts, another name") {
    RefusedWith(server, "GET / HTTP/1.1\r\n\r\n", 400);
    RefusedWith(server, "GET / HTTP/1.1\r\n" + kHost + kHost + "\r\n", 400);
  }
  SECTION("HTTP/2 and TLS") {
    RefusedWith(server, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505);
    RefusedWith(server, std::string("\x16\x03\x01\0\x05hello\r\n", 12), 400);
  }
  CHECK(calls == 0);
}

TEST_CASE("what a client sends as its own address or to bend the answer is without effect") {
  TestServer server;
  Request seen;
  server.handler = [&](const Request& request) {
    seen = request;
    Answer answer;
    answer.body = std::make_shared<const std::string>(5000, 'a');
    return answer;
  };
  HttpClient client(server.address());
  client.Send("GET / HTTP/1.1\r\n" + kHost +
              "REMOTE_ADDR: 6.6.6.6\r\nRange: bytes=0-9\r\nAccept-Encoding: gzip\r\n\r\n");
  const auto answer = client.Read();
  REQUIRE(answer);
  CHECK(seen.Header("remote_addr") == nullptr);
  CHECK(answer->status == 200);
  CHECK(answer->body == std::string(5000, 'a'));
  CHECK_FALSE(answer->headers.contains("content-encoding"));
}

TEST_CASE("an exception in a handler is a 500 that does not tell its text") {
  TestServer server;
  server.handler = [](const Request&) -> Answer { throw std::runtime_error("secret detail"); };
  HttpClient client(server.address());
  const auto answer = client.Get("/");
  REQUIRE(answer);
  CHECK(answer->status == 500);
  CHECK(answer->body == R"({"error":"internal error"})");
  CHECK(answer->head.find("secret") == std::string::npos);
  CHECK(client.Get("/").has_value());
}

TEST_CASE("a foreign Host or Origin is 403, the connection goes on, a reload takes effect") {
  TestServer server;
  HttpClient client(server.address());
  const auto ask = [&](const std::string& headers) {
    client.Send("GET / HTTP/1.1\r\n" + headers + "\r\n");
    const auto answer = client.Read();
    REQUIRE(answer);
    if (answer->status == 403) CHECK(answer->body.starts_with(R"({"error":")"));
    return answer->status;
  };
  CHECK(ask("Host: evil.example\r\n") == 403);
  CHECK(ask(kHost + "Origin: http://evil.example\r\n") == 403);
  CHECK(ask(kHost + "Origin: null\r\n") == 403);
  CHECK(ask("Host: WEB-01.:8500\r\n") == 200);
  CHECK(ask("Host: 10.1.2.3\r\n") == 200);
  client.Send("GET http://evil.example/ HTTP/1.1\r\n" + kHost + "\r\n");
  CHECK(client.Read()->status == 403);
  server.server->SetAllowedHosts({"evil.example"});
  CHECK(ask("Host: evil.example\r\n") == 200);
  server.server->SetAllowedHosts({});
  CHECK(ask("Host: evil.example\r\n") == 403);
  CHECK(server.Counts("rosterd_http_rejected_total{reason=\"host\"} 5"));
}

TEST_CASE("100 pipelined requests are answered in order, bodies and all") {
  TestServer server;
  HttpClient client(server.address());
  std::string all;
  for (int i = 0; i < 100; ++i) {
    const std::string path = "/" + std::to_string(i);
    switch (i % 4) {
      case 0:
        all += "GET " + path + " HTTP/1.1\r\n" + kHost + "\r\n";
        break;
      case 1:
        all += "POST " + path + " HTTP/1.1\r\n" + kHost + "Content-Length: 3\r\n\r\nabc";
        break;
      case 2:
        all += "DELETE " + path + " HTTP/1.1\r\n" + kHost +
               "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: x\r\n\r\n";
        break;
      default:
        all += "GET " + path + " HTTP/1.1\r\n" + kHost + "Content-Length: 7\r\n\r\nGET / H";
    }
  }
  client.Send(all);
  for (int i = 0; i < 100; ++i) {
    const auto answer = client.Read();
    REQUIRE(answer);
    CHECK(answer->body.find(" /" + std::to_string(i) + " ") != std::string::npos);
  }
  CHECK(client.pending().empty());
}

TEST_CASE("requests in front of a broken one are answered, those behind it never") {
  TestServer server;
  HttpClient client(server.address());
  client.Send("GET /1 HTTP/1.1\r\n" + kHost + "\r\nGET /2 HTTP/1.1\r\n" + kHost + "bad\r\n\r\n" +
              "GET /3 HTTP/1.1\r\n" + kHost + "\r\n");
  CHECK(client.Read()->status == 200);
  CHECK(client.Read()->status == 400);
  client.HalfClose();
  CHECK(client.ClosedSilently());
}

TEST_CASE("Connection: close and HTTP/1.0 end the connection after the answer") {
  TestServer server;
  for (const std::string& head : {"GET / HTTP/1.1\r\n" + kHost + "Connection: Close\r\n\r\n",
                                  std::string("GET / HTTP/1.0\r\n\r\n")}) {
    HttpClient client(server.address());
    client.Send(head);
    CHECK(client.Read()->headers.at("connection") == "close");
    CHECK(client.ClosedSilently());
  }
  HttpClient client(server.address());
  client.Send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  CHECK(client.Read()->headers.at("connection") == "keep-alive");
  CHECK(client.Get("/").has_value());
}

TEST_CASE("HEAD tells the length of the GET and sends no body") {
  TestServer server;
  HttpClient client(server.address());
  const auto get = client.Get("/x");
  client.Send("HEAD /x HTTP/1.1\r\n" + kHost + "\r\n");
  const auto head = client.Read(/*no_body=*/true);
  REQUIRE((get && head));
  CHECK(head->headers.at("content-length") == get->headers.at("content-length"));
  CHECK(client.Get("/y")->body == "GET /y 0 ");  // nothing was left in between
}

TEST_CASE("a body of exactly 1 MiB arrives whole, sized and chunked") {
  TestServer server;
  HttpClient client(server.address());
  std::string body(1 << 20, '\0');
  for (size_t i = 0; i < body.size(); ++i) body[i] = static_cast<char>(i * 7 % 251);
  client.Send("POST / HTTP/1.1\r\n" + kHost + "Content-Length: 1048576\r\n\r\n" + body);
  auto answer = client.Read();
  REQUIRE(answer);
  CHECK((answer->body == "POST / 1048576 " + body));
  std::string chunked;
  for (size_t at = 0; at < body.size(); at += 65536) {
    chunked += "10000\r\n" + body.substr(at, 65536) + "\r\n";
  }
  client.Send("PUT / HTTP/1.1\r\n" + kHost + "Transfer-Encoding: chunked\r\n\r\n" + chunked +
              "0\r\n\r\n");
  answer = client.Read();
  REQUIRE(answer);
  CHECK((answer->body == "PUT / 1048576 " + body));
}

TEST_CASE("Expect: 100-continue is answered when the body is wanted, and only then") {
  TestServer server;
  const std::string expect = "Expect: 100-continue\r\n";
  SECTION("wanted") {
    HttpClient client(server.address());
    client.Send("POST / HTTP/1.1\r\n" + kHost + expect + "Content-Length: 3\r\n\r\n");
    const auto interim = client.Read();
    REQUIRE(interim);
    CHECK(interim->head == "HTTP/1.1 100 Continue\r\n\r\n");
    client.Send("abc");
    CHECK(client.Read()->body == "POST / 3 abc");
  }
  SECTION("behind a pipelined request") {
    HttpClient client(server.address());
    client.Send("GET /1 HTTP/1.1\r\n" + kHost + "\r\nPOST /2 HTTP/1.1\r\n" + kHost + expect +
                "Transfer-Encoding: chunked\r\n\r\n");
    CHECK(client.Read()->body == "GET /1 0 ");
    CHECK(client.Read()->status == 100);
    client.Send("1\r\nx\r\n0\r\n\r\n");
    CHECK(client.Read()->body == "POST /2 1 x");
  }
  SECTION("not when the client goes on by itself") {
    HttpClient client(server.address());
    client.Send("POST / HTTP/1.1\r\n" + kHost + expect + "Content-Length: 3\r\n\r\nabc");
    CHECK(client.Read()->status == 200);
  }
  SECTION("not for a body that is too large or a foreign Host") {
    RefusedWith(server, "POST / HTTP/1.1\r\n" + kHost + expect + "Content-Length: 9999999\r\n\r\n",
                413);
    RefusedWith(server, "POST / HTTP/1.1\r\nHost: evil\r\n" + expect + "Content-Length: 3\r\n\r\n",
                403);
  }
  SECTION("another expectation") {
    RefusedWith(server, "POST / HTTP/1.1\r\n" + kHost + "Expect: tea\r\nContent-Length: 3\r\n\r\n",
                417);
  }
}

TEST_CASE("a client that half-closes after its request still gets the answer") {
  TestServer server;
  server.handler = [](const Request&) {
    Answer answer;
    answer.body = std::make_shared<const std::string>(size_t{8} << 20, 'x');
    return answer;
  };
  HttpClient client(server.address());
  client.Send("GET / HTTP/1.1\r\n" + kHost + "\r\n");
  client.HalfClose();
  const auto answer = client.Read();
  REQUIRE(answer);
  CHECK(answer->body.size() == size_t{8} << 20);
  CHECK(client.ClosedSilently());
}

}  // namespace rosterd::testing
