// SPDX-License-Identifier: Apache-2.0
#include "yaml/check_reader.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <utility>

#include "base/duration.h"
#include "base/net_address.h"
#include "yaml/map_reader.h"
#include "yaml/scalar.h"

namespace rosterd::yaml {
namespace {

constexpr Duration kLongest = std::chrono::hours(24);
constexpr int64_t kMostInARow = 1'000'000;

// RFC 9110, section 5.6.2.
bool IsToken(std::string_view text) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !text.empty() && text.size() <= 256 && std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           kMarks.find(c) != std::string_view::npos;
  });
}

std::string Lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

std::optional<std::string> ReadUrl(const Node& node, const std::string& name, Problems& problems,
                                   std::optional<uint16_t> port) {
  const auto text = ReadText(node, name, problems);
  if (!text) return std::nullopt;
  std::string url = *text;
  if (url.starts_with('/')) {
    url = "http://" + FormatHostPort("127.0.0.1", port.value_or(1)) + url;
  }
  if (const std::string wrong = CheckUrl(url); !wrong.empty()) {
    problems.Add(node.place, name + " is " + Quoted(*text) + ": " + wrong);
    return std::nullopt;
  }
  return url;
}

std::optional<std::string> ReadMethod(const Node& node, const std::string& name,
                                      Problems& problems) {
  auto text = ReadText(node, name, problems);
  if (text && !IsToken(*text)) {
    problems.Add(node.place,
                 name + " is " + Quoted(*text) + "; write an HTTP method, for example GET or HEAD");
    return std::nullopt;
  }
  return text;
}

std::optional<std::vector<std::pair<std::string, std::string>>> ReadHeaders(const Node& node,
                                                                            const std::string& name,
                                                                            Problems& problems) {
  const auto pairs = ReadTextMap(node, name, problems);
  if (!pairs) return std::nullopt;
  std::vector<std::pair<std::string, std::string>> headers;
  std::vector<std::string> seen;
  for (const PlacedPair& pair : *pairs) {
    const std::string lower = Lower(pair.key);
    if (!IsToken(pair.key)) {
      problems.Add(pair.key_place, Quoted(pair.key) +
                                       " is no name of an HTTP header; write letters, digits and "
                                       "'-', for example X-Check");
    } else if (std::find(seen.begin(), seen.end(), lower) != seen.end()) {
      problems.Add(pair.key_place, "the header " + Quoted(pair.key) +
                                       " stands here a second time (case does not count); remove "
                                       "one of the two");
    } else if (pair.value.text.find_first_of(std::string("\r\n\0", 3)) != std::string::npos) {
      problems.Add(pair.value.place, "the value of the header " + Quoted(pair.key) +
                                         " holds a line break; write one line of text");
    } else if (HasControlCharacter(pair.value.text)) {
      problems.Add(pair.value.place, "the value of the header " + Quoted(pair.key) +
                                         " holds a control character; remove it");
    } else {
      seen.push_back(lower);
      headers.emplace_back(pair.key, pair.value.text);
    }
  }
  return headers;
}

std::optional<std::vector<StatusRange>> ReadStatus(const Node& node, const std::string& name,
                                                   Problems& problems) {
  constexpr const char* kRule =
      "; write numbers and ranges from 100 to 599, comma separated, for example 200-299,304";
  if (node.kind != Node::Kind::kScalar) {
    if (!node.unusable) problems.Add(node.place, name + " is " + Describe(node) + kRule);
    return std::nullopt;
  }
  const auto text = ReadText(node, name, problems);
  if (!text) return std::nullopt;
  auto ranges = ParseStatusRanges(*text);
  if (!ranges) problems.Add(node.place, name + " is " + Quoted(*text) + kRule);
  return ranges;
}

std::optional<std::string> ReadBody(const Node& node, const std::string& name, Problems& problems) {
  constexpr size_t kBodyLooksAt = size_t{64} << 10;
  auto text = ReadRawText(node, name, problems);
  if (text && text->size() > kBodyLooksAt) {
    problems.Add(node.place, name +
                                 " is longer than the 64 KiB of the answer that are read; write a "
                                 "shorter text");
    return std::nullopt;
  }
  return text;
}

std::optional<CheckConfig::Tls> ReadTls(const Node& node, const std::string& name,
                                        Problems& problems) {
  CheckConfig::Tls tls;
  MapReader map(&node, name, problems);
  map.Into(tls.ca, "ca", ReadFilePath, "a readable file of certificates (PEM)");
  if (auto server_name = map.Get("server_name", ReadText)) {
    if (server_name->empty() || IsHostName(*server_name)) {
      tls.server_name = *server_name;
    } else {
      problems.Add(map.Take("server_name")->place,
                   map.Name("server_name") + " is " + Quoted(*server_name) +
                       "; write the host name that stands in the certificate");
    }
  }
  map.Into(tls.insecure, "insecure", ReadBool);
  map.Finish();
  return tls;
}

void ReadTimes(MapReader& map, CheckConfig& check, Problems& problems) {
  const Duration least = milliseconds(1);
  const Node* const interval_node = map.Take("interval");
  const auto interval = map.Get("interval", ReadDuration, least, kLongest);
  const auto fast = map.Get("fast_interval", ReadDuration, least, kLongest);
  const auto timeout = map.Get("timeout", ReadDuration, least, kLongest);
  check.interval = interval.value_or(check.interval);
  check.fast_interval = fast.value_or(std::min(check.interval, Duration(milliseconds(500))));
  check.timeout = timeout.value_or(std::min(check.interval, Duration(seconds(1))));

  const bool interval_is_wrong = interval_node != nullptr && !interval;
  const auto not_above_interval = [&](const char* key, const std::optional<Duration>& value) {
    if (interval_is_wrong || !value || *value <= check.interval) return;
    problems.Add(map.Take(key)->place, map.Name(key) + " is " + FormatDuration(*value) +
                                           ", longer than the interval of " +
                                           FormatDuration(check.interval) +
                                           "; make it at most as long");
  };
  not_above_interval("fast_interval", fast);
  not_above_interval("timeout", timeout);
}

}  // namespace

std::string ResolvePath(const std::string& path, const Place& place) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  const fs::path joined = fs::path(place.file->folder) / path;
  const fs::path absolute = fs::absolute(joined, ignored);
  return (absolute.empty() ? joined : absolute).lexically_normal().string();
}

std::optional<std::string> ReadFilePath(const Node& node, const std::string& name,
                                        Problems& problems, const char* wanted) {
  const auto text = ReadText(node, name, problems);
  if (!text || text->empty()) return text;
  std::string path = ResolvePath(*text, node.place);
  struct stat info {};
  std::string why;
  if (stat(path.c_str(), &info) != 0 || access(path.c_str(), R_OK) != 0) {
    why = std::strerror(errno);
  } else if (!S_ISREG(info.st_mode)) {
    why = "not a file";
  }
  if (why.empty()) return path;
  problems.Add(node.place,
               name + ": " + Quoted(path) + " cannot be read (" + why + "); name " + wanted);
  return std::nullopt;
}

std::string CheckUrl(std::string_view url) {
  const size_t scheme_end = url.find("://");
  if (scheme_end == std::string_view::npos) {
    return "it is neither a path nor a URL; write a path such as /healthz, or a whole "
           "http://HOST:PORT/PATH";
  }
  const std::string scheme = Lower(std::string(url.substr(0, scheme_end)));
  if (scheme != "http" && scheme != "https") {
    return "the scheme " + Quoted(scheme) + " cannot be checked; write http:// or https://";
  }
  if (url.find(' ') != std::string_view::npos || HasControlCharacter(url)) {
    return "a URL holds no spaces; write %20 instead";
  }
  if (url.find('#') != std::string_view::npos) {
    return "what follows '#' is never sent; remove it";
  }
  std::string_view authority = url.substr(scheme_end + 3);
  authority = authority.substr(0, authority.find_first_of("/?"));
  if (const size_t at = authority.rfind('@'); at != std::string_view::npos) {
    authority.remove_prefix(at + 1);
  }
  const bool has_port = authority.ends_with(']') ? false
                        : authority.starts_with('[')
                            ? true
                            : authority.find(':') != std::string_view::npos;
  const std::string with_port = std::string(authority) + (has_port ? "" : ":80");
  if (!ParseHostPort(with_port).ok()) {
    return "the host or port " + Quoted(authority) +
           " is not right; write HOST or HOST:PORT with a port from 1 to 65535, an IPv6 address in "
           "brackets";
  }
  return "";
}

std::optional<std::vector<StatusRange>> ParseStatusRanges(std::string_view text) {
  const auto number = [](std::string_view digits) -> std::optional<int> {
    int value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (digits.empty() || error != std::errc() || end != digits.data() + digits.size() ||
        value < 100 || value > 599) {
      return std::nullopt;
    }
    return value;
  };
  const auto trimmed = [](std::string_view part) {
    while (part.starts_with(' ')) part.remove_prefix(1);
    while (part.ends_with(' ')) part.remove_suffix(1);
    return part;
  };
  std::vector<StatusRange> ranges;
  for (bool more = true; more;) {
    const size_t comma = text.find(',');
    more = comma != std::string_view::npos;
    const std::string_view part = trimmed(text.substr(0, comma));
    if (more) text.remove_prefix(comma + 1);
    const size_t dash = part.find('-');
    const auto first = number(trimmed(part.substr(0, dash)));
    const auto last =
        dash == std::string_view::npos ? first : number(trimmed(part.substr(dash + 1)));
    if (!first || !last || *first > *last) return std::nullopt;
    ranges.push_back({*first, *last});
  }
  return ranges;
}

std::optional<CheckConfig> ReadCheck(const Node& node, std::optional<uint16_t> port,
                                     const Report& report) {
  Problems& problems = report.problems;
  CheckConfig check;
  MapReader map(&node, "check", problems);
  if (!map.is_map()) return std::nullopt;
  const auto url = map.Get("http", ReadUrl, port);
  map.Into(check.method, "method", ReadMethod);
  map.Into(check.headers, "headers", ReadHeaders);
  map.Into(check.expect_status, "expect_status", ReadStatus);
  map.Into(check.expect_body, "expect_body", ReadBody);
  map.Into(check.tls, "tls", ReadTls);
  ReadTimes(map, check, problems);
  const auto in_a_row = [](const Node& value, const std::string& name, Problems& found) {
    return ReadInteger(value, name, found, 1, kMostInARow);
  };
  if (const auto rise = map.Get("rise", in_a_row)) check.rise = static_cast<int>(*rise);
  if (const auto fall = map.Get("fall", in_a_row)) check.fall = static_cast<int>(*fall);
  bool other_kind = false;
  for (const char* kind : {"tcp", "grpc", "ttl"}) {
    other_kind = other_kind || map.Has(kind);
    map.Refuse(kind);
  }
  map.Finish();
  if (map.Take("http") == nullptr && !other_kind) {
    problems.Add(node.place,
                 "the check does not say what to ask; add 'http: /healthz' or a whole URL");
  }
  if (!url) return std::nullopt;
  check.url = *url;
  if (check.tls != CheckConfig::Tls{} && Lower(check.url).starts_with("http:")) {
    report.Warn(map.PlaceOf("tls"),
                "check.tls has no effect on an http:// address; write https:// or remove it");
  }
  return check;
}

}  // namespace rosterd::yaml
