// SPDX-License-Identifier: Apache-2.0
// What goes to the handler and what comes back as bytes, without a socket.
#include "http/adapter.h"

#include <catch2/catch.hpp>
#include <stdexcept>

#include "http/framer.h"
#include "support/fake_clock.h"

namespace rosterd::http {
namespace {

class Fixture {
 public:
  WireAnswer Serve(const std::string& bytes, bool unix_socket = false) {
    Framer framer(limits_);
    std::string_view input = bytes;
    REQUIRE(framer.Feed(input) == Framer::State::kComplete);
    return adapter_.Serve(framer.Take(), unix_socket);
  }

  Handler handler = [](const Request&) { return Answer{}; };
  Request seen;
  int calls = 0;
  std::vector<std::string> log_lines;
  testing::FakeClock clock;
  Log log{LogLevel::kDebug, LogFormat::kText,
          [this](const std::string& line) { log_lines.push_back(line); }};

 private:
  Limits limits_;

 protected:
  Adapter adapter_{[this](const Request& request) {
                     seen = request;
                     ++calls;
                     return handler(request);
                   },
                   clock, log};
};

Answer Json(int status, const std::string& body) {
  Answer answer;
  answer.status = status;
  answer.body = std::make_shared<const std::string>(body);
  answer.route = "test";
  return answer;
}

bool Has(const std::string& head, const std::string& line) {
  return head.find("\r\n" + line + "\r\n") != std::string::npos;
}

bool Mentions(const std::string& head, const std::string& text) {
  return head.find(text) != std::string::npos;
}

}  // namespace

TEST_CASE_METHOD(Fixture, "an answer is a status line, sorted headers and the shared body") {
  const auto body = std::make_shared<const std::string>("{}");
  handler = [&](const Request&) {
    Answer answer;
    answer.body = body;
    answer.headers = {{"X-Rosterd-Index", "57"}, {"ETag", "\"57\""}};
    answer.route = "service";
    return answer;
  };
  const WireAnswer wire = Serve("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK(wire.head ==
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: application/json\r\n"
        "Date: Mon, 21 Sep 2026 14:13:20 GMT\r\nETag: \"57\"\r\nX-Rosterd-Index: 57\r\n\r\n");
  CHECK(wire.body == body);  // the same bytes, not a copy
  CHECK(wire.status == 200);
  CHECK(wire.route == "service");
}

TEST_CASE_METHOD(Fixture, "the handler sees the request decoded, in order, as it was sent") {
  Serve(
      "POST /services/a%20b?x=1&y=%2B HTTP/1.1\r\nHost: a\r\nX-Second: %0d%0aEvil: 1\r\n"
      "A-First: 2\r\nx-second: 3\r\nContent-Length: 3\r\n\r\nabc",
      true);
  CHECK(seen.method == "POST");
  CHECK(seen.path == "/services/a b");
  CHECK(seen.query == QueryParameters{{"x", "1"}, {"y", "+"}});
  CHECK(seen.headers ==
        std::vector<std::pair<std::string, std::string>>{{"host", "a"},
                                                         {"x-second", "%0d%0aEvil: 1"},
                                                         {"a-first", "2"},
                                                         {"x-second", "3"},
                                                         {"content-length", "3"}});
  CHECK(seen.body == "abc");
  CHECK(seen.over_unix_socket);
}

TEST_CASE_METHOD(Fixture, "every method, target and query that was framed reaches the handler") {
  handler = [](const Request&) { return Json(405, "{}"); };
  for (const char* line :
       {"GET /a?b?c HTTP/1.1", "BREW / HTTP/1.1", "TRACE / HTTP/1.1", "get / HTTP/1.1",
        "GET //a//../b HTTP/1.1", "GET /?%25 HTTP/1.1", "PRI / HTTP/1.1", "PURGE /\xff HTTP/1.1"}) {
    INFO(line);
    const int before = calls;
    const WireAnswer wire = Serve(std::string(line) + "\r\nHost: a\r\n\r\n");
    CHECK(calls == before + 1);
    CHECK(wire.head.starts_with("HTTP/1.1 405 Method Not Allowed\r\n"));
    CHECK(*wire.body == "{}");
  }
  CHECK(seen.path == "/\xff");
  const int before = calls;
  const std::string longest =
      "GET /" + std::string(8192 - 16, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n";
  CHECK(Serve(longest).status == 405);
  CHECK(calls == before + 1);
}

TEST_CASE_METHOD(Fixture, "HEAD is asked as GET and answered with the same head without the body") {
  handler = [](const Request&) { return Json(200, "12345"); };
  const WireAnswer get = Serve("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  const WireAnswer head = Serve("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK(seen.method == "GET");
  CHECK(head.head == get.head);
  CHECK(Has(head.head, "Content-Length: 5"));
  CHECK(head.body == nullptr);
}

TEST_CASE_METHOD(Fixture, "204 and 304 carry neither a length nor a body") {
  for (const int status : {204, 304}) {
    handler = [&](const Request&) { return Json(status, "not for sending"); };
    const WireAnswer wire = Serve("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK_FALSE(Mentions(wire.head, "Content-Length"));
    CHECK_FALSE(Mentions(wire.head, "Content-Type"));
    CHECK(Mentions(wire.head, "Date: "));
    CHECK(wire.body == nullptr);
  }
}

TEST_CASE_METHOD(Fixture, "an answer without a body has the length 0") {
  CHECK(Has(Serve("GET / HTTP/1.1\r\nHost: a\r\n\r\n").head, "Content-Length: 0"));
}

TEST_CASE_METHOD(Fixture, "what would make cpp-httplib compress, cut or wait changes nothing") {
  handler = [](const Request&) { return Json(200, std::string(5000, 'a')); };
  const std::string plain = Serve("POST / HTTP/1.1\r\nHost: a\r\n\r\n").head;
  const WireAnswer wire = Serve(
      "POST / HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1,2-3\r\nAccept-Encoding: gzip, br\r\n"
      "Expect: 100-continue\r\nTE: trailers\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n"
      "If-Range: x\r\nContent-Type: multipart/form-data; boundary=x\r\n\r\nabcd");
  CHECK(wire.head == plain);
  CHECK(wire.body->size() == 5000);
  CHECK(seen.body == "abcd");
  for (const char* name : {"Accept-Ranges", "Keep-Alive", "Content-Encoding", "Vary", "206"}) {
    CHECK_FALSE(Mentions(wire.head, name));
  }
}

TEST_CASE_METHOD(Fixture, "a client cannot say where it comes from") {
  Serve(
      "GET / HTTP/1.1\r\nHost: a\r\nREMOTE_ADDR: 6.6.6.6\r\nRemote_Port: 1\r\nLOCAL_ADDR: "
      "x\r\n\r\n");
  CHECK(seen.headers == std::vector<std::pair<std::string, std::string>>{{"host", "a"}});
}

TEST_CASE_METHOD(Fixture, "what a handler throws is logged and never sent") {
  handler = [](const Request&) -> Answer { throw std::runtime_error("secret detail"); };
  const WireAnswer wire = Serve("GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK(wire.status == 500);
  CHECK(*wire.body == R"({"error":"internal error"})");
  CHECK_FALSE(Mentions(wire.head, "secret"));
  CHECK_FALSE(Mentions(wire.head, "EXCEPTION_WHAT"));
  REQUIRE(log_lines.size() == 1);
  CHECK(Mentions(log_lines[0], "secret detail"));

  handler = [](const Request&) -> Answer { throw 42; };
  CHECK(Serve("GET /x HTTP/1.1\r\nHost: a\r\n\r\n").status == 500);
  handler = [](const Request&) { return Json(100, ""); };
  CHECK(Serve("GET /x HTTP/1.1\r\nHost: a\r\n\r\n").status == 500);
}

TEST_CASE_METHOD(Fixture, "a line end in a header value of an answer forges no header") {
  handler = [](const Request&) {
    Answer answer;
    answer.headers = {{"X-Bad", "a\r\nSet-Cookie: b"}, {"X-Good", "c"}};
    return answer;
  };
  const WireAnswer wire = Serve("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK_FALSE(Mentions(wire.head, "Set-Cookie"));
  CHECK(Has(wire.head, "X-Good: c"));
}

TEST_CASE_METHOD(Fixture, "malformed percent-encoding is a 400 that the handler never sees") {
  const WireAnswer wire = Serve("GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK(wire.status == 400);
  CHECK(calls == 0);
  CHECK(wire.body->starts_with(R"({"error":"malformed percent-encoding in the path)"));
  CHECK_FALSE(Mentions(wire.head, "Connection"));  // the position is known, the client may go on
}

TEST_CASE_METHOD(Fixture, "Connection says whether the client may go on") {
  CHECK_FALSE(Mentions(Serve("GET / HTTP/1.1\r\nHost: a\r\n\r\n").head, "Connection"));
  CHECK(Has(Serve("GET / HTTP/1.1\r\nHost: a\r\nConnection: Close\r\n\r\n").head,
            "Connection: close"));
  CHECK(Has(Serve("GET / HTTP/1.0\r\n\r\n").head, "Connection: close"));
  CHECK(Has(Serve("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").head,
            "Connection: keep-alive"));
}

TEST_CASE_METHOD(Fixture, "every status of the front has its name and a JSON body") {
  for (const auto& [status, line] :
       std::vector<std::pair<int, std::string>>{{400, "400 Bad Request"},
                                                {403, "403 Forbidden"},
                                                {404, "404 Not Found"},
                                                {405, "405 Method Not Allowed"},
                                                {408, "408 Request Timeout"},
                                                {413, "413 Payload Too Large"},
                                                {414, "414 URI Too Long"},
                                                {417, "417 Expectation Failed"},
                                                {429, "429 Too Many Requests"},
                                                {431, "431 Request Header Fields Too Large"},
                                                {501, "501 Not Implemented"},
                                                {503, "503 Service Unavailable"},
                                                {505, "505 HTTP Version Not Supported"}}) {
    const WireAnswer wire = adapter_.Refuse({}, false, status, "why \xff");
    CHECK(wire.head.starts_with("HTTP/1.1 " + line + "\r\n"));
    CHECK(Has(wire.head, "Connection: close"));
    CHECK(Has(wire.head, "Content-Type: application/json"));
    CHECK(*wire.body == "{\"error\":\"why \xef\xbf\xbd\"}");
  }
  CHECK(calls == 0);
}

TEST_CASE_METHOD(Fixture, "who is refused for want of room is told when to come back") {
  CHECK(Has(adapter_.Refuse({}, false, 503, "full").head, "Retry-After: 1"));
}

TEST_CASE_METHOD(Fixture, "the Date follows the clock") {
  const std::string before = Serve("GET / HTTP/1.1\r\nHost: a\r\n\r\n").head;
  clock.Advance(seconds(1));
  const std::string after = Serve("GET / HTTP/1.1\r\nHost: a\r\n\r\n").head;
  CHECK(before != after);
  CHECK(Has(after, "Date: " + FormatHttpDate(clock.WallNow())));
  CHECK(FormatHttpDate(WallTime(seconds(784111777))) == "Sun, 06 Nov 1994 08:49:37 GMT");
}

}  // namespace rosterd::http
