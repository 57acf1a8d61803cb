// SPDX-License-Identifier: Apache-2.0
#include "http/adapter.h"

#include <httplib.h>

#include <array>
#include <cstring>
#include <ctime>
#include <exception>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/json.h"
#include "http/target.h"

namespace rosterd::http {
namespace {

// What cpp-httplib reads from and writes to instead of a socket.
class MemoryStream final : public httplib::Stream {
 public:
  explicit MemoryStream(std::string input) : input_(std::move(input)) {}

  bool is_readable() const override { return true; }
  bool is_writable() const override { return true; }
  ssize_t read(char* to, size_t size) override {
    const size_t count = input_.copy(to, size, position_);
    position_ += count;
    return static_cast<ssize_t>(count);
  }
  ssize_t write(const char* from, size_t size) override {
    output_.append(from, size);
    return static_cast<ssize_t>(size);
  }
  void get_remote_ip_and_port(std::string&, int&) const override {}
  void get_local_ip_and_port(std::string&, int&) const override {}
  socket_t socket() const override { return -1; }

  std::string TakeOutput() { return std::move(output_); }

 private:
  const std::string input_;
  size_t position_ = 0;
  std::string output_;
};

// cpp-httplib answers 400 by itself to methods that it does not know; which ones are allowed is the
// routes' business. Set right in setup_request.
const char* MethodForHttplib(const std::string& method) {
  return method == "HEAD" ? "HEAD" : "GET";
}

std::string RebuildHead(const FramedRequest& request) {
  std::string head = MethodForHttplib(request.method);
  head += ' ';
  head += std::string_view(request.target).substr(0, request.target.find('?'));
  return head + " HTTP/1.1\r\n\r\n";
}

// Nobody may take what a client sent for what the connection says.
bool IsConnectionFact(const std::string& name) {
  return name == "remote_addr" || name == "remote_port" || name == "local_addr" ||
         name == "local_port";
}

Answer ErrorAnswer(int status, const std::string& text) {
  Answer answer;
  answer.status = status;
  answer.body = std::make_shared<const std::string>(ErrorBody(text));
  if (status == 503) answer.headers.emplace_back("Retry-After", "1");
  return answer;
}

}  // namespace

std::string ErrorBody(const std::string& text) {
  return DumpJson(nlohmann::ordered_json{{"error", text}});
}

std::string FormatHttpDate(WallTime time) {
  static constexpr std::array kDays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr std::array kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const time_t whole =
      std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
  tm parts{};
  gmtime_r(&whole, &parts);
  char text[64];
  std::snprintf(text, sizeof text, "%s, %02d %s %04d %02d:%02d:%02d GMT",
                kDays[static_cast<size_t>(parts.tm_wday)], parts.tm_mday,
                kMonths[static_cast<size_t>(parts.tm_mon)], parts.tm_year + 1900, parts.tm_hour,
                parts.tm_min, parts.tm_sec);
  return text;
}

// One request at a time: what belongs to it is in current_ while process_request runs.
class Adapter::Impl final : public httplib::Server {
 public:
  Impl(http::Handler handler, const Clock& clock, Log& log)
      : handler_(std::move(handler)), clock_(clock), log_(log) {
    set_pre_routing_handler([this](const httplib::Request&, httplib::Response& response) {
      Route(response);
      return HandlerResponse::Handled;
    });
    set_post_routing_handler(
        [this](const httplib::Request&, httplib::Response& response) { FinishHeaders(response); });
  }

  // `request` null: `given` is the answer.
  WireAnswer Run(const FramedRequest& framed, const Request* request, Answer given) {
    current_ = Current{&framed, request, std::move(given)};
    MemoryStream stream(RebuildHead(framed));
    bool closed = false;
    try {
      process_request(stream, /*close_connection=*/false, closed,
                      [&](httplib::Request& r) { r.method = framed.method; });
    } catch (const std::exception& e) {
      log_.Error("writing an HTTP answer failed", {{"error", e.what()}});
      current_.finished = false;
    }
    WireAnswer wire;
    wire.route = current_.answer.route;
    if (current_.finished) {
      wire.head = stream.TakeOutput();
      wire.status = current_.answer.status;
      if (BodyAllowed() && framed.method != "HEAD") wire.body = std::move(current_.answer.body);
    } else {
      wire.head =
          "HTTP/1.1 500 Internal Server Error\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
      wire.must_close = true;
    }
    current_ = {};
    return wire;
  }

 private:
  struct Current {
    const FramedRequest* framed = nullptr;
    const Request* request = nullptr;
    Answer answer;
    bool finished = false;
  };

  bool BodyAllowed() const {
    const int status = current_.answer.status;
    return status != 204 && status != 304 && status >= 200;
  }

  void Route(httplib::Response& response) {
    if (current_.request != nullptr) {
      current_.answer = CallHandler(*current_.request);
    }
    Answer& answer = current_.answer;
    response.status = answer.status;
    for (const auto& [name, value] : answer.headers) response.set_header(name, value);
  }

  Answer CallHandler(const Request& request) {
    std::string error = "unknown exception";
    try {
      Answer answer = handler_(request);
      if (answer.status >= 200 && answer.status <= 599) return answer;
      error = "status " + std::to_string(answer.status) + " cannot be sent";
    } catch (const std::exception& e) {
      error = e.what();
    } catch (...) {
    }
    log_.Error("an HTTP route failed", {{"path", request.path}, {"error", error}});
    return ErrorAnswer(500, "internal error");
  }

  // cpp-httplib has added its own opinion of length, ranges and persistence by now.
  void FinishHeaders(httplib::Response& response) {
    const Answer& answer = current_.answer;
    for (const char* name : {"Accept-Ranges", "Connection", "Content-Length", "Content-Type",
                             "EXCEPTION_WHAT", "Keep-Alive", "Transfer-Encoding"}) {
      response.headers.erase(name);
    }
    if (BodyAllowed()) {
      response.set_header("Content-Length",
                          std::to_string(answer.body == nullptr ? 0 : answer.body->size()));
      if (answer.body != nullptr) response.set_header("Content-Type", answer.content_type);
    }
    if (!current_.framed->keep_alive) {
      response.set_header("Connection", "close");
    } else if (current_.framed->minor_version == 0) {
      response.set_header("Connection", "keep-alive");
    }
    if (!response.has_header("Date")) response.set_header("Date", Date());
    current_.finished = true;
  }

  const std::string& Date() {
    const auto now = std::chrono::time_point_cast<seconds>(clock_.WallNow());
    if (now != date_time_ || date_.empty()) {
      date_time_ = now;
      date_ = FormatHttpDate(now);
    }
    return date_;
  }

  const http::Handler handler_;
  const Clock& clock_;
  Log& log_;
  Current current_;
  std::chrono::time_point<std::chrono::system_clock, seconds> date_time_{};
  std::string date_;
};

Adapter::Adapter(Handler handler, const Clock& clock, Log& log)
    : impl_(std::make_unique<Impl>(std::move(handler), clock, log)) {}
Adapter::~Adapter() = default;

WireAnswer Adapter::Serve(FramedRequest framed, bool over_unix_socket) {
  auto target = ParseTarget(framed.target);
  if (!target.ok()) {
    return Refuse(framed, framed.keep_alive, 400, std::string(target.status().message()));
  }
  Request request;
  request.method = framed.method == "HEAD" ? "GET" : framed.method;
  request.path = std::move(target->path);
  request.query = std::move(target->query);
  request.headers = std::move(framed.headers);
  std::erase_if(request.headers, [](const auto& header) { return IsConnectionFact(header.first); });
  request.body = std::move(framed.body);
  request.over_unix_socket = over_unix_socket;
  return impl_->Run(framed, &request, {});
}

WireAnswer Adapter::Refuse(const FramedRequest& request, bool keep_alive, int status,
                           const std::string& text) {
  FramedRequest framed;
  framed.method = request.method;
  framed.target = "/";
  framed.minor_version = request.minor_version;
  framed.keep_alive = keep_alive;
  return impl_->Run(framed, nullptr, ErrorAnswer(status, text));
}

}  // namespace rosterd::http
