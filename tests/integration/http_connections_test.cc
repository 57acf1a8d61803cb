// SPDX-License-Identifier: Apache-2.0
// Many, slow, silent and vanishing clients; descriptors, time limits and stopping.
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <atomic>
#include <thread>

#include "base/step_thread.h"
#include "http_client.h"
#include "http_server.h"

namespace rosterd::testing {
namespace {

using http::Answer;
using http::Limits;
using http::Request;
using std::chrono::milliseconds;
using std::chrono::seconds;
using SteadyClock = std::chrono::steady_clock;

const std::string kGet = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

bool Eventually(const std::function<bool()>& condition) {
  const auto deadline = SteadyClock::now() + seconds(10);
  while (SteadyClock::now() < deadline) {
    if (condition()) return true;
    std::this_thread::sleep_for(milliseconds(2));
  }
  return false;
}

bool HasConnections(const TestServer& server, size_t count) {
  return Eventually(
      [&] { return server.Counts("rosterd_http_connections " + std::to_string(count)); });
}

// Raises the soft limit as the agent does, or lowers it for a test; restored at the end.
class FileLimit {
 public:
  FileLimit() { ::getrlimit(RLIMIT_NOFILE, &before_); }
  ~FileLimit() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  bool SetSoft(rlim_t soft) {
    const rlimit wanted{std::min(soft, before_.rlim_max), before_.rlim_max};
    return ::setrlimit(RLIMIT_NOFILE, &wanted) == 0 && wanted.rlim_cur == soft;
  }

 private:
  rlimit before_{};
};

std::shared_ptr<const std::string> BigBody() {
  return std::make_shared<const std::string>(size_t{1} << 20, 'x');
}

}  // namespace

TEST_CASE("a request that trickles in is answered 408 in time, whatever it sends") {
  Limits limits;
  limits.request_timeout = milliseconds(300);
  TestServer server(limits);
  HttpClient slow(server.address());
  HttpClient silent(server.address());
  const auto begin = SteadyClock::now();
  std::optional<ClientAnswer> answer;
  slow.Send("GET / HTTP/1.1\r\nHost: localhost\r\n");
  while (SteadyClock::now() - begin < seconds(5)) {
    slow.Send("X: y\r\n");
    pollfd readable{slow.fd(), POLLIN, 0};
    if (::poll(&readable, 1, 20) == 1) break;
  }
  answer = slow.Read();
  const auto took = SteadyClock::now() - begin;
  REQUIRE(answer);
  CHECK(answer->status == 408);
  CHECK(answer->headers.at("connection") == "close");
  CHECK(took >= milliseconds(290));
  CHECK(took < seconds(2));
  // Who has sent nothing is not in a hurry.
  CHECK(silent.Get("/").has_value());
  CHECK(server.Counts("rosterd_http_rejected_total{reason=\"timeout\"} 1"));
}

TEST_CASE("a slow body is held to the same time") {
  Limits limits;
  limits.request_timeout = milliseconds(200);
  TestServer server(limits);
  HttpClient client(server.address());
  client.Send("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc");
  const auto answer = client.Read();
  REQUIRE(answer);
  CHECK(answer->status == 408);
}

TEST_CASE("an idle connection outlives the time for a request") {
  Limits limits;
  limits.request_timeout = milliseconds(50);
  TestServer server(limits);
  HttpClient client(server.address());
  REQUIRE(client.Get("/"));
  client.Send("\r\n");  // an empty line begins nothing
  std::this_thread::sleep_for(milliseconds(250));
  CHECK(client.Get("/").has_value());
}

TEST_CASE("a vanished client is let go at once") {
  TestServer server;
  HttpClient idle(server.address());
  HttpClient half(server.address());
  HttpClient reset(server.address());
  half.Send("GET / HT");
  reset.Send("GET / HT");
  REQUIRE(HasConnections(server, 3));
  const auto begin = SteadyClock::now();
  idle.Close();
  half.Close();
  const linger now{1, 0};
  ::setsockopt(reset.fd(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  reset.Close();
  CHECK(HasConnections(server, 0));
  CHECK(SteadyClock::now() - begin < milliseconds(500));
}

TEST_CASE("1,000 kept connections are served evenly") {
  FileLimit files;
  if (!files.SetSoft(4096)) {
    WARN("skipped: the hard limit on open files is below 4,096");
    return;
  }
  TestServer server;
  constexpr size_t kClients = 1000;
  std::vector<HttpClient> clients;
  for (size_t i = 0; i < kClients; ++i) clients.emplace_back(server.address());
  for (HttpClient& client : clients) REQUIRE(client.Get("/"));  // each is accepted
  std::vector<int> answers(kClients, 0);
  std::vector<pollfd> polls(kClients);
  for (size_t i = 0; i < kClients; ++i) {
    REQUIRE(clients[i].Send(kGet));
    polls[i] = {clients[i].fd(), POLLIN, 0};
  }
  const auto deadline = SteadyClock::now() + seconds(60);
  int lead = 0;
  size_t first = 0;
  while (lead < 20 && SteadyClock::now() < deadline) {
    ::poll(polls.data(), polls.size(), 100);
    // Whoever is looked at last in a round has no answer yet in the next one: begin elsewhere.
    first = (first + 389) % kClients;
    for (size_t n = 0; n < kClients; ++n) {
      const size_t i = (first + n) % kClients;
      if (polls[i].revents == 0) continue;
      REQUIRE(clients[i].Read());
      lead = std::max(lead, ++answers[i]);
      REQUIRE(clients[i].Send(kGet));
    }
  }
  const auto [fewest, most] = std::minmax_element(answers.begin(), answers.end());
  INFO("fewest " << *fewest << ", most " << *most);
  CHECK(*most >= 20);
  CHECK(*fewest * 10 >= *most * 8);
}

TEST_CASE("one client that pipelines without end does not keep another waiting") {
  TestServer server;
  std::atomic<int> busy{0};
  std::atomic<int> busy_before_other{0};
  server.handler = [&](const Request& request) {
    if (request.path == "/busy") {
      ++busy;
      std::this_thread::sleep_for(milliseconds(1));
    } else {
      busy_before_other = busy.load();
    }
    return TestServer::Echo(request);
  };
  HttpClient greedy(server.address());
  std::string many;
  for (int i = 0; i < 1000; ++i) many += "GET /busy HTTP/1.1\r\nHost: localhost\r\n\r\n";
  greedy.Send(many);
  REQUIRE(greedy.Read());
  const int at_start = busy;
  HttpClient other(server.address());
  REQUIRE(other.Get("/"));
  CHECK(busy_before_other - at_start < 300);
  for (int i = 1; i < 1000; ++i) REQUIRE(greedy.Read());
}

TEST_CASE("a client that does not read costs one answer and is closed in time") {
  Limits limits;
  limits.write_timeout = milliseconds(300);
  TestServer server(limits);
  std::atomic<int> rendered{0};
  server.handler = [&, body = BigBody()](const Request&) {
    ++rendered;
    Answer answer;
    answer.body = body;
    return answer;
  };
  HttpClient stuck(server.address(), 4096);
  std::string many;
  for (int i = 0; i < 1000; ++i) many += kGet;
  stuck.Send(many);
  const auto begin = SteadyClock::now();
  CHECK(Eventually(
      [&] { return server.Counts("rosterd_http_rejected_total{reason=\"slow_reader\"} 1"); }));
  CHECK(SteadyClock::now() - begin < seconds(5));
  CHECK(HasConnections(server, 0));
  // Those that fit into the socket's own buffer, and one more.
  CHECK(rendered < 20);
}

TEST_CASE("a slow reader gets every byte of big answers as long as it goes on reading") {
  Limits limits;
  limits.write_timeout = milliseconds(500);
  TestServer server(limits);
  std::string body(size_t{4} << 20, '\0');
  for (size_t i = 0; i < body.size(); ++i) body[i] = static_cast<char>(i * 31 % 253);
  const auto shared = std::make_shared<const std::string>(body);
  server.handler = [&](const Request&) {
    Answer answer;
    answer.body = shared;
    return answer;
  };
  HttpClient client(server.address(), 65536);
  client.Send(kGet + kGet);
  std::string got;
  std::vector<char> piece(65536);
  // Twice as long as the time limit, never without progress for that long.
  const auto begin = SteadyClock::now();
  while (got.size() < 2 * body.size()) {
    pollfd readable{client.fd(), POLLIN, 0};
    REQUIRE(::poll(&readable, 1, 5000) == 1);
    const ssize_t count = ::recv(client.fd(), piece.data(), piece.size(), 0);
    REQUIRE(count > 0);
    got.append(piece.data(), static_cast<size_t>(count));
    if (SteadyClock::now() - begin < seconds(1)) std::this_thread::sleep_for(milliseconds(20));
  }
  const size_t first = got.find("\r\n\r\n") + 4;
  CHECK((got.compare(first, body.size(), body) == 0));
  const size_t second = got.find("\r\n\r\n", first + body.size()) + 4;
  while (got.size() < second + body.size()) {
    const ssize_t count = ::recv(client.fd(), piece.data(), piece.size(), 0);
    REQUIRE(count > 0);
    got.append(piece.data(), static_cast<size_t>(count));
  }
  CHECK((got.compare(second, body.size(), body) == 0));
  CHECK(got.size() == second + body.size());
}

TEST_CASE("at the limit of connections the oldest idle one goes first") {
  Limits limits;
  limits.max_connections = 3;
  TestServer server(limits);
  HttpClient a(server.address());
  REQUIRE(a.Get("/"));
  HttpClient b(server.address());
  REQUIRE(b.Get("/"));
  HttpClient c(server.address());
  REQUIRE(c.Get("/"));
  REQUIRE(a.Get("/"));  // now b has been idle the longest
  HttpClient d(server.address());
  REQUIRE(d.Get("/"));
  CHECK(b.ClosedSilently());
  CHECK(a.Get("/").has_value());
  CHECK(c.Get("/").has_value());
  CHECK(HasConnections(server, 3));
  CHECK(server.Counts("rosterd_http_rejected_total{reason=\"descriptors\"} 1"));
  CHECK(server.lines.size() == 1);
}

TEST_CASE("when no connection can be spared new clients wait, and are served after") {
  Limits limits;
  limits.max_connections = 2;
  limits.request_timeout = seconds(30);
  TestServer server(limits);
  HttpClient a(server.address());
  HttpClient b(server.address());
  a.Send("GET / HT");
  b.Send("GET / HT");
  REQUIRE(HasConnections(server, 2));
  std::this_thread::sleep_for(milliseconds(20));
  HttpClient c(server.address());
  REQUIRE(c.Send(kGet));
  // Requests that hang for a second are taken for what they are.
  const auto answer = c.Read();
  REQUIRE(answer);
  CHECK(answer->status == 200);
  CHECK(a.ClosedSilently());
  b.Send("TP/1.1\r\nHost: localhost\r\n\r\n");
  CHECK(b.Read().has_value());
}

TEST_CASE("without descriptors the server goes on and does not spin") {
  TestServer server;
  std::vector<HttpClient> clients;
  clients.reserve(40);
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back(server.address());
    REQUIRE(clients.back().Get("/"));
  }
  // The clients' own sockets are made before the limit falls; connect() needs no more.
  std::vector<int> made;
  for (int i = 0; i < 20; ++i) made.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  FileLimit files;
  REQUIRE(files.SetSoft(static_cast<rlim_t>(made.back()) + 4));
  sockaddr_storage to{};
  socklen_t length = sizeof to;
  ::getpeername(clients[0].fd(), reinterpret_cast<sockaddr*>(&to), &length);
  for (const int fd : made) {
    REQUIRE(::connect(fd, reinterpret_cast<sockaddr*>(&to), length) == 0);
    REQUIRE(::send(fd, kGet.data(), kGet.size(), MSG_NOSIGNAL) > 0);
    pollfd readable{fd, POLLIN, 0};
    REQUIRE(::poll(&readable, 1, 5000) == 1);
    char bytes[512];
    REQUIRE(::recv(fd, bytes, sizeof bytes, 0) > 0);
  }
  CHECK(clients[0].ClosedSilently());
  CHECK_FALSE(server.Counts("rosterd_http_rejected_total{reason=\"descriptors\"} 0"));
  for (const int fd : made) ::close(fd);
}

TEST_CASE("what all unfinished requests hold together is bounded") {
  Limits limits;
  limits.buffered = size_t{2} << 20;
  TestServer server(limits);
  std::vector<HttpClient> clients;
  int refused = 0;
  for (int i = 0; i < 5; ++i) {
    clients.emplace_back(server.address());
    clients.back().Send("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n");
    clients.back().Send(std::string(700000, 'a'));
  }
  for (HttpClient& client : clients) {
    pollfd readable{client.fd(), POLLIN, 0};
    if (::poll(&readable, 1, 300) != 1) continue;
    const auto answer = client.Read();
    REQUIRE(answer);
    CHECK(answer->status == 503);
    ++refused;
  }
  CHECK(refused == 3);
}

TEST_CASE("stopping is quick, finishes the answer in progress and closes the rest") {
  TestServer server;
  server.handler = [body = BigBody()](const Request& request) {
    Answer answer;
    if (request.path == "/slow") {
      std::this_thread::sleep_for(milliseconds(50));
      answer.body = body;
    }
    return answer;
  };
  HttpClient idle(server.address());
  REQUIRE(idle.Get("/"));
  HttpClient receiving(server.address());
  receiving.Send("GET / HT");
  HttpClient reading(server.address());
  REQUIRE(reading.Get("/"));
  HttpClient stuck(server.address(), 4096);
  for (int i = 0; i < 20; ++i) stuck.Send("GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n");
  std::optional<ClientAnswer> answer;
  std::jthread reader([&] { answer = reading.Get("/slow"); });
  std::this_thread::sleep_for(milliseconds(30));
  const auto begin = SteadyClock::now();
  server.server->Stop();
  const auto took = SteadyClock::now() - begin;
  reader.join();
  CHECK(took < milliseconds(1500));
  REQUIRE(answer);
  CHECK(answer->body.size() == size_t{1} << 20);
  CHECK(idle.ClosedSilently());
  CHECK(receiving.ClosedSilently());
  CHECK_FALSE(HttpClient(server.address()).connected());
  server.server->Stop();
}

TEST_CASE("a server with nothing to do stops at once") {
  TestServer server;
  HttpClient idle(server.address());
  REQUIRE(idle.Get("/"));
  const auto begin = SteadyClock::now();
  server.server->Stop();
  CHECK(SteadyClock::now() - begin < milliseconds(100));
}

TEST_CASE("the loop shows that it turns, and a wake-up makes it turn") {
  TestServer server;
  const TimePoint before = server.server->last_turn();
  CHECK(Eventually([&] { return server.server->last_turn() > before; }));
  // Right after a turn the next one is a second away.
  const TimePoint turned = server.server->last_turn();
  server.server->Wake();
  const auto begin = SteadyClock::now();
  CHECK(Eventually([&] { return server.server->last_turn() > turned; }));
  CHECK(SteadyClock::now() - begin < milliseconds(900));
}

}  // namespace rosterd::testing
