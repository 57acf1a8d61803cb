// SPDX-License-Identifier: Apache-2.0
// What the framer lets through, what it refuses with which status, and that neither depends on how
// the bytes were cut.
#include "http/framer.h"

#include <catch2/catch.hpp>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace rosterd::http {
namespace {

struct Outcome {
  std::vector<FramedRequest> requests;
  int refused = 0;   // 0: not refused
  size_t rest = 0;   // bytes of a request that is not whole
  std::string text;  // why
  bool operator==(const Outcome&) const = default;
};

// Feeds `bytes` in pieces that end at each of `cuts` (ascending).
Outcome Frame(std::string_view bytes, const std::vector<size_t>& cuts = {}, Limits limits = {}) {
  Framer framer(limits);
  Outcome outcome;
  size_t begin = 0;
  std::vector<size_t> ends = cuts;
  ends.push_back(bytes.size());
  for (const size_t end : ends) {
    std::string_view piece = bytes.substr(begin, end - begin);
    begin = end;
    while (!piece.empty()) {
      switch (framer.Feed(piece)) {
        case Framer::State::kNeedMore:
          REQUIRE(piece.empty());
          break;
        case Framer::State::kComplete:
          outcome.requests.push_back(framer.Take());
          REQUIRE(framer.idle());
          REQUIRE(framer.buffered() == 0);
          break;
        case Framer::State::kRefused:
          outcome.refused = framer.error().status;
          outcome.text = framer.error().text;
          return outcome;
      }
    }
  }
  outcome.rest = framer.buffered();
  return outcome;
}

FramedRequest FrameOne(std::string_view bytes) {
  const Outcome outcome = Frame(bytes);
  INFO(outcome.text);
  REQUIRE(outcome.refused == 0);
  REQUIRE(outcome.requests.size() == 1);
  return outcome.requests.front();
}

std::string Repeat(std::string_view text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

const std::string kHost = "Host: localhost\r\n";

}  // namespace

TEST_CASE("a plain GET is framed with lower-case names and trimmed values") {
  const FramedRequest request = FrameOne(
      "GET /services/web?tag=a HTTP/1.1\r\nHost: localhost:8500\r\nUser-Agent:curl/7.88 \t\r\n"
      "X-Empty:\r\n\r\n");
  CHECK(request.method == "GET");
  CHECK(request.target == "/services/web?tag=a");
  CHECK(request.minor_version == 1);
  CHECK(request.host == "localhost:8500");
  CHECK(request.keep_alive);
  CHECK(request.body.empty());
  CHECK(request.headers ==
        HeaderList{{"host", "localhost:8500"}, {"user-agent", "curl/7.88"}, {"x-empty", ""}});
}

TEST_CASE("requests that cannot be read in one way only are refused") {
  struct Row {
    const char* name;
    std::string bytes;
    int status;
  };
  const std::string post = "POST / HTTP/1.1\r\n" + kHost;
  const std::vector<Row> rows{
      {"two Content-Length", post + "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", 400},
      {"Content-Length list", post + "Content-Length: 5, 5\r\n\r\n", 400},
      {"Content-Length +5", post + "Content-Length: +5\r\n\r\n", 400},
      {"Content-Length -5", post + "Content-Length: -5\r\n\r\n", 400},
      {"Content-Length 0x5", post + "Content-Length: 0x5\r\n\r\n", 400},
      {"Content-Length 5 5", post + "Content-Length: 5 5\r\n\r\n", 400},
      {"Content-Length empty", post + "Content-Length:\r\n\r\n", 400},
      {"blank before the colon", post + "Content-Length : 5\r\n\r\n", 400},
      {"length and coding",
       post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {"coding and length",
       post + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400},
      {"coding twice", post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
       400},
      {"coding empty", post + "Transfer-Encoding:\r\n\r\n", 400},
      {"coding in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {"gzip, chunked", post + "Transfer-Encoding: gzip, chunked\r\n\r\n", 501},
      {"identity", post + "Transfer-Encoding: identity\r\n\r\n", 501},
      {"chunked, chunked", post + "Transfer-Encoding: chunked, chunked\r\n\r\n", 501},
      {"xchunked", post + "Transfer-Encoding: xchunked\r\n\r\n", 501},
      {"folded header", post + "X-A: 1\r\n 2\r\n\r\n", 400},
      {"folded first header", "GET / HTTP/1.1\r\n Host: x\r\n\r\n", 400},
      {"header without colon", post + "nonsense\r\n\r\n", 400},
      {"header without name", post + ": x\r\n\r\n", 400},
      {"blank in a header name", post + "X A: 1\r\n\r\n", 400},
      {"bare LF after the request line", "GET / HTTP/1.1\nHost: localhost\r\n\r\n", 400},
      {"bare LF after a header", "GET / HTTP/1.1\r\nHost: localhost\n\r\n", 400},
      {"bare LF as the end", "GET / HTTP/1.1\r\nHost: localhost\r\n\n", 400},
      {"bare CR in a value", "GET / HTTP/1.1\r\nHost: localhost\r\nX: a\rb\r\n\r\n", 400},
      {"CR CR LF", "GET / HTTP/1.1\r\nHost: localhost\r\r\n\r\n", 400},
      {"bare CR in the request line", "GET /\r HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
      {"NUL in a value", post + std::string("X: a\0b\r\n\r\n", 10), 400},
      {"NUL in the target", std::string("GET /\0 HTTP/1.1\r\n", 17) + kHost + "\r\n", 400},
      {"DEL in a value", post + "X: \x7f\r\n\r\n", 400},
      {"no version", "GET /\r\n\r\n", 400},
      {"two blanks", "GET  / HTTP/1.1\r\n" + kHost + "\r\n", 400},
      {"blank in the target", "GET /a b HTTP/1.1\r\n" + kHost + "\r\n", 400},
      {"blank at the end", "GET / HTTP/1.1 \r\n" + kHost + "\r\n", 400},
      {"fragment", "GET /#top HTTP/1.1\r\n" + kHost + "\r\n", 400},
      {"odd method", "GE{T / HTTP/1.1\r\n" + kHost + "\r\n", 400},
      {"two empty lines first", "\r\n\r\nGET / HTTP/1.1\r\n" + kHost + "\r\n", 400},
      {"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
      {"HTTP/1.2", "GET / HTTP/1.2\r\n" + kHost + "\r\n", 505},
      {"HTTP/0.9", "GET / HTTP/0.9\r\n\r\n", 505},
      {"http/1.1", "GET / http/1.1\r\n" + kHost + "\r\n", 400},
      {"TLS", std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n", 13), 400},
      {"no Host", "GET / HTTP/1.1\r\nX: y\r\n\r\n", 400},
      {"two Hosts", "GET / HTTP/1.1\r\n" + kHost + kHost + "\r\n", 400},
      {"two Hosts with a whole URL", "GET http://a/ HTTP/1.1\r\n" + kHost + kHost + "\r\n", 400},
      {"two Hosts in HTTP/1.0", "GET / HTTP/1.0\r\n" + kHost + kHost + "\r\n", 400},
      {"Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
      {"Host with a user", "GET http://u@localhost/ HTTP/1.1\r\n\r\n", 400},
      {"URL without a host", "GET http:///x HTTP/1.1\r\n" + kHost + "\r\n", 400},
      {"asterisk", "OPTIONS * HTTP/1.1\r\n" + kHost + "\r\n", 400},
      {"authority", "CONNECT example.com:443 HTTP/1.1\r\n" + kHost + "\r\n", 400},
      {"ftp URL", "GET ftp://localhost/ HTTP/1.1\r\n" + kHost + "\r\n", 400},
      {"unknown expectation", post + "Expect: tea\r\nContent-Length: 1\r\n\r\n", 417},
      {"two expectations, one unknown",
       post + "Expect: 100-continue\r\nExpect: tea\r\nContent-Length: 1\r\n\r\n", 417},
  };
  for (const Row& row : rows) {
    DYNAMIC_SECTION(row.name) {
      const Outcome outcome = Frame(row.bytes);
      INFO(outcome.text);
      CHECK(outcome.refused == row.status);
      CHECK(outcome.requests.empty());
      CHECK_FALSE(outcome.text.empty());
    }
  }
}

TEST_CASE("each limit holds on its last byte and refuses the next") {
  const auto line_of = [](size_t length) {
    return "GET /" + std::string(length - 16, 'a') + " HTTP/1.1\r\n" + kHost + "\r\n";
  };
  CHECK(Frame(line_of(8192)).refused == 0);
  CHECK(Frame(line_of(8193)).refused == 414);

  CHECK(Frame("GET / HTTP/1.1\r\n" + kHost + Repeat("X: y\r\n", 63) + "\r\n").refused == 0);
  CHECK(Frame("GET / HTTP/1.1\r\n" + kHost + Repeat("X: y\r\n", 64) + "\r\n").refused == 431);

  const auto header_of = [](size_t total) {
    return "GET / HTTP/1.1\r\n" + kHost + "X: " + std::string(total - kHost.size() - 5, 'a') +
           "\r\n\r\n";
  };
  CHECK(Frame(header_of(32768)).refused == 0);
  CHECK(Frame(header_of(32769)).refused == 431);

  const auto sized = [](size_t size) {
    return "POST / HTTP/1.1\r\n" + kHost + "Content-Length: " + std::to_string(size) + "\r\n\r\n" +
           std::string(size, 'b');
  };
  const Outcome whole = Frame(sized(1 << 20));
  CHECK(whole.refused == 0);
  CHECK(whole.requests.at(0).body == std::string(1 << 20, 'b'));
  CHECK(Frame(sized((1 << 20) + 1)).refused == 413);
}

TEST_CASE("what has no end is refused at the limit, not buffered") {
  Limits limits;
  const auto pour = [&](std::string head, const std::string& drop, int status, size_t at_most) {
    Framer framer(limits);
    std::string_view input = head;
    REQUIRE(framer.Feed(input) == Framer::State::kNeedMore);
    size_t poured = 0;
    for (; poured < size_t{64} << 20; poured += drop.size()) {
      input = drop;
      if (framer.Feed(input) == Framer::State::kRefused) break;
      REQUIRE(framer.buffered() <= limits.body + limits.header_bytes + limits.request_line);
    }
    CHECK(framer.error().status == status);
    CHECK(poured <= at_most);
  };
  const std::string block(4096, 'a');
  pour("GET /", block, 414, 8192);
  pour("GET / HTTP/1.1\r\nX: ", block, 431, 32768);             // 64 MiB in one header line
  pour("GET / HTTP/1.1\r\n", Repeat("X: y\r\n", 100), 431, 0);  // 20,000 headers
  const std::string chunked = "POST / HTTP/1.1\r\n" + kHost + "Transfer-Encoding: chunked\r\n\r\n";
  pour(chunked, "1000\r\n" + block + "\r\n", 413, 256 * 4104);
  pour(chunked, "1;" + std::string(1000, 'e') + "\r\nx\r\n", 413, 17 * 1008);
  pour(chunked + "1;", block, 413, 8192);
  pour(chunked + "0\r\n", "X: y\r\n", 431, 64 * 6);
}

TEST_CASE("a length that would overflow is too large, and leading zeros are not") {
  const std::string head = "POST / HTTP/1.1\r\n" + kHost;
  CHECK(Frame(head + "Content-Length: 18446744073709551621\r\n\r\n").refused == 413);
  CHECK(Frame(head + "Content-Length: " + std::string(2000, '9') + "\r\n\r\n").refused == 413);
  CHECK(FrameOne(head + "Content-Length: 0005\r\n\r\nhello").body == "hello");
  const std::string chunked = head + "Transfer-Encoding: chunked\r\n\r\n";
  CHECK(Frame(chunked + "10000000000000005\r\nhello").refused == 413);
  CHECK(Frame(chunked + "FFFFFFFFFFFFFFFF\r\n").refused == 413);
  CHECK(Frame(chunked + "100000\r\n").refused == 0);
  CHECK(Frame(chunked + "100001\r\n").refused == 413);
}

TEST_CASE("a chunked body is put together, its extensions and trailers are dropped") {
  const FramedRequest request = FrameOne(
      "POST / HTTP/1.1\r\n" + kHost +
      "Transfer-Encoding: Chunked\r\n\r\n"
      "5\r\nhello\r\n00A;name=\"v\"\r\n, world!!!\r\n0\r\nX-Checksum: 1\r\nHost: evil\r\n\r\n");
  CHECK(request.body == "hello, world!!!");
  CHECK(request.Header("x-checksum") == nullptr);
  CHECK(request.host == "localhost");
}

TEST_CASE("malformed chunks are refused") {
  const std::string head = "POST / HTTP/1.1\r\n" + kHost + "Transfer-Encoding: chunked\r\n\r\n";
  for (const char* body :
       {"\r\n", "x\r\n", "-1\r\n", "+5\r\nhello\r\n", "0x5\r\nhello\r\n", "5 \r\nhello\r\n",
        " 5\r\nhello\r\n", "5\nhello\r\n", "5\r\nhelloX\r\n", "5\r\nhello\n", "5\r\nhello\rX",
        "5;a=\x01\r\n", "0\r\n folded\r\n\r\n", "0\r\nbad trailer\r\n\r\n", "0\r\n\n"}) {
    INFO(body);
    CHECK(Frame(head + body).refused == 400);
  }
}

TEST_CASE("bodies of any method are read, so that nothing behind them becomes a request") {
  for (const char* method : {"GET", "HEAD", "OPTIONS", "DELETE", "POST", "BREW"}) {
    const Outcome sized = Frame(std::string(method) + " / HTTP/1.1\r\n" + kHost +
                                "Content-Length: 18\r\n\r\nGET /evil HTTP/1.1"
                                "GET /next HTTP/1.1\r\n" +
                                kHost + "\r\n");
    REQUIRE(sized.requests.size() == 2);
    CHECK(sized.requests[0].body == "GET /evil HTTP/1.1");
    CHECK(sized.requests[1].target == "/next");
  }
  // No length given: no body.
  CHECK(FrameOne("POST / HTTP/1.1\r\n" + kHost + "\r\n").body.empty());
}

TEST_CASE("Host comes from the header or from a whole URL, and HTTP/1.0 may go without") {
  CHECK(FrameOne("GET http://web.example:80/x?y=1 HTTP/1.1\r\n\r\n").host == "web.example:80");
  const FramedRequest both = FrameOne("GET HTTP://web.example HTTP/1.1\r\n" + kHost + "\r\n");
  CHECK(both.host == "web.example");
  CHECK(both.target == "/");
  CHECK(FrameOne("GET https://[::1]:8500?x HTTP/1.1\r\n\r\n").target == "/?x");
  CHECK(FrameOne("GET / HTTP/1.1\r\nHost:\r\n\r\n").host == "");
  CHECK_FALSE(FrameOne("GET / HTTP/1.0\r\n\r\n").host.has_value());
}

TEST_CASE("persistence follows version and Connection in any case") {
  const auto keeps = [](const std::string& version, const std::string& headers) {
    return FrameOne("GET / HTTP/" + version + "\r\n" + kHost + headers + "\r\n").keep_alive;
  };
  CHECK(keeps("1.1", ""));
  CHECK(keeps("1.1", "Connection: keep-alive\r\n"));
  CHECK(keeps("1.1", "Connection: closed\r\n"));
  CHECK_FALSE(keeps("1.1", "Connection: close\r\n"));
  CHECK_FALSE(keeps("1.1", "CONNECTION: Close\r\n"));
  CHECK_FALSE(keeps("1.1", "Connection: TE ,  CLOSE\r\n"));
  CHECK_FALSE(keeps("1.1", "Connection: keep-alive\r\nConnection: close\r\n"));
  CHECK_FALSE(keeps("1.0", ""));
  CHECK(keeps("1.0", "Connection: Keep-Alive\r\n"));
  CHECK_FALSE(keeps("1.0", "Connection: keep-alive, close\r\n"));
}

TEST_CASE("100-continue is due from the end of the head to the first byte of the body") {
  const std::string head =
      "POST / HTTP/1.1\r\n" + kHost + "Expect: 100-Continue\r\nContent-Length: 2\r\n\r\n";
  const Limits limits;
  Framer framer(limits);
  std::string_view input = std::string_view(head).substr(0, head.size() - 1);
  framer.Feed(input);
  CHECK_FALSE(framer.continue_due());
  input = "\n";
  framer.Feed(input);
  CHECK(framer.continue_due());
  CHECK(framer.request().host == "localhost");
  SECTION("until it is sent") {
    framer.ContinueSent();
    CHECK_FALSE(framer.continue_due());
  }
  SECTION("or the client goes on without it") {
    input = "a";
    framer.Feed(input);
    CHECK_FALSE(framer.continue_due());
  }
  SECTION("and not for an empty body or in HTTP/1.0") {
    for (const std::string& other :
         {"POST / HTTP/1.1\r\n" + kHost + "Expect: 100-continue\r\n\r\n",
          std::string("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab"),
          std::string("POST / HTTP/1.0\r\nExpect: tea\r\n\r\n")}) {
      CHECK(Frame(other).requests.size() == 1);
    }
  }
}

TEST_CASE("an empty line before a request is skipped and does not begin it") {
  const Limits limits;
  Framer framer(limits);
  std::string_view input = "\r\n";
  CHECK(framer.Feed(input) == Framer::State::kNeedMore);
  CHECK(framer.idle());
  CHECK(Frame("\r\nGET / HTTP/1.1\r\n" + kHost + "\r\n").requests.size() == 1);
}

TEST_CASE("the result does not depend on how the bytes are cut") {
  const std::string pipelined =
      "GET /a?b HTTP/1.1\r\n" + kHost + "X-Y: z\r\n\r\n" +  //
      "\r\nPOST /b HTTP/1.1\r\n" + kHost + "Content-Length: 7\r\n\r\n1234\r\n7" +
      "PUT http://localhost/c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3;x=y\r\nabc\r\n0B\r\nhello world\r\n0\r\nT: u\r\n\r\n"
      "HEAD /d HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /part";
  const Outcome expected = Frame(pipelined);
  REQUIRE(expected.requests.size() == 4);
  REQUIRE(expected.rest == 9);

  SECTION("at every single byte") {
    for (size_t i = 0; i <= pipelined.size(); ++i) REQUIRE(Frame(pipelined, {i}) == expected);
  }
  SECTION("byte by byte") {
    std::vector<size_t> cuts(pipelined.size());
    for (size_t i = 0; i < cuts.size(); ++i) cuts[i] = i;
    CHECK(Frame(pipelined, cuts) == expected);
  }
  SECTION("at random, with random damage, under small limits") {
    Limits limits;
    limits.request_line = 40;
    limits.header_bytes = 80;
    limits.headers = 4;
    limits.body = 16;
    limits.chunk_extensions = 8;
    std::mt19937 random(20261122);
    const auto below = [&](size_t n) {
      return std::uniform_int_distribution<size_t>(0, n - 1)(random);
    };
    static constexpr std::string_view kBytes = "\r\n :;,0159aG\t\0\x7f/?#%+HTP.";
    size_t refusals = 0;
    for (int round = 0; round < 5000; ++round) {
      std::string bytes = pipelined;
      for (size_t damage = below(4); damage > 0; --damage) {
        const size_t at = below(bytes.size());
        switch (below(3)) {
          case 0:
            bytes[at] = kBytes[below(kBytes.size())];
            break;
          case 1:
            bytes.erase(at, 1 + below(4));
            break;
          default:
            bytes.insert(at, 1 + below(30), kBytes[below(kBytes.size())]);
        }
      }
      std::vector<size_t> cuts(below(8));
      for (size_t& cut : cuts) cut = below(bytes.size());
      std::sort(cuts.begin(), cuts.end());
      const Outcome whole = Frame(bytes, {}, limits);
      refusals += whole.refused != 0 ? 1 : 0;
      REQUIRE(Frame(bytes, cuts, limits) == whole);
    }
    CHECK(refusals > 1500);
    CHECK(refusals < 4800);
  }
}

}  // namespace rosterd::http
