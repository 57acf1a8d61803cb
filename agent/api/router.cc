// SPDX-License-Identifier: Apache-2.0
#include "api/router.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "api/agent_status.h"
#include "api/answers.h"
#include "api/discovery.h"
#include "api/not_yet.h"
#include "api/probes.h"

namespace rosterd::api {
namespace {

struct Context {
  const Views& views;
  const http::Request& request;
  const RouteTools& tools;
  std::string argument;  // what stands where the pattern has NAME or ID
};

struct Entry {
  std::string_view method;
  std::string_view pattern;  // NAME and ID stand for any one part that is not empty
  std::string_view help;     // one line for GET /; empty: not shown there
  http::Answer (*answer)(const Context&);
};

http::Answer ShowIndex(const Context&);
http::Answer ShowMetrics(const Context& context) {
  http::Answer answer = TextAnswer(context.tools.render_metrics());
  answer.content_type = "text/plain; version=0.0.4; charset=utf-8";
  return answer;
}

constexpr Entry kRoutes[] = {
    {"GET", "/", "this list", ShowIndex},
    {"GET", "/services", "all services, with the number of their instances",
     [](const Context& c) { return ListServices(c.views, c.request, c.tools.service_list); }},
    {"GET", "/services/NAME", "the instances of a service; ?tag=T, ?meta.KEY=V, ?zone=Z narrow it",
     [](const Context& c) { return ShowService(c.views, c.request, c.argument); }},
    {"GET", "/agent", "this agent, its etcd, its catalog and the services of this host",
     [](const Context& c) { return ShowAgent(c.views); }},
    {"GET", "/agent/services/ID", "one service of this host, with its checks",
     [](const Context& c) { return ShowAgentService(c.views, c.argument); }},
    {"GET", "/livez", "200 while the agent works",
     [](const Context& c) { return ShowLiveness(c.views); }},
    {"GET", "/readyz", "200 once the catalog is known",
     [](const Context& c) { return ShowReadiness(c.views); }},
    {"GET", "/metrics", "counters in Prometheus text format", ShowMetrics},
    // Refused by name until they are built.
    {"GET", "/services/NAME/pick", "", [](const Context&) { return PickNotYet(); }},
    {"GET", "/events", "", [](const Context&) { return EventsNotYet(); }},
};

http::Answer ShowIndex(const Context&) {
  std::string text;
  for (const Entry& entry : kRoutes) {
    if (entry.help.empty()) continue;
    std::string line = std::string(entry.method) + " " + std::string(entry.pattern);
    line.resize(std::max<size_t>(line.size() + 1, 26), ' ');
    text += line + std::string(entry.help) + "\n";
  }
  return TextAnswer(std::move(text));
}

bool IsPlaceholder(std::string_view part) { return part == "NAME" || part == "ID"; }

// Takes the next part off `rest`, which begins with a slash.
std::string_view TakePart(std::string_view& rest) {
  rest.remove_prefix(1);
  const std::string_view part = rest.substr(0, rest.find('/'));
  rest.remove_prefix(part.size());
  return part;
}

// The argument ("" where the pattern has none) when `path` fits; a trailing slash never does.
std::optional<std::string_view> Match(std::string_view pattern, std::string_view path) {
  if (!path.starts_with('/')) return std::nullopt;
  std::string_view argument;
  while (!pattern.empty() && !path.empty()) {
    const std::string_view wanted = TakePart(pattern);
    const std::string_view part = TakePart(path);
    if (IsPlaceholder(wanted)) {
      if (part.empty()) return std::nullopt;
      argument = part;
    } else if (part != wanted) {
      return std::nullopt;
    }
  }
  if (!pattern.empty() || !path.empty()) return std::nullopt;
  return argument;
}

http::Answer NoSuchPath(const std::string& path) {
  std::string error = "there is no '" + path + "' here; there are";
  const char* separator = " ";
  for (const Entry& entry : kRoutes) {
    if (entry.help.empty()) continue;
    error.append(separator).append(entry.pattern);
    separator = ", ";
  }
  return ErrorAnswer(404, error);
}

http::Answer WrongMethod(const http::Request& request, const std::string& allowed) {
  http::Answer answer = ErrorAnswer(
      405, request.method + " is not allowed on " + request.path + "; allowed: " + allowed);
  answer.headers.emplace_back("Allow", allowed);
  return answer;
}

}  // namespace

http::Answer Route(const Views& views, const http::Request& request, const RouteTools& tools) {
  const std::string_view method =
      request.method == "HEAD" ? std::string_view("GET") : std::string_view(request.method);
  std::string allowed;
  std::string_view pattern = "other";
  for (const Entry& entry : kRoutes) {
    const auto argument = Match(entry.pattern, request.path);
    if (!argument) continue;
    pattern = entry.pattern;
    if (entry.method == method) {
      http::Answer answer = entry.answer(Context{views, request, tools, std::string(*argument)});
      answer.route = pattern;
      return answer;
    }
    if (!allowed.empty()) allowed += ", ";
    allowed += entry.method;
    if (entry.method == "GET") allowed += ", HEAD";
  }
  http::Answer answer = allowed.empty() ? NoSuchPath(request.path) : WrongMethod(request, allowed);
  answer.route = pattern;
  return answer;
}

}  // namespace rosterd::api
