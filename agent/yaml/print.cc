// SPDX-License-Identifier: Apache-2.0
#include "yaml/print.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "base/duration.h"

namespace rosterd {
namespace {

bool MayStandPlain(std::string_view text) {
  const auto letter_or_digit = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  if (text.empty() || text.size() > 200 || text.back() == ':') return false;
  if (!letter_or_digit(text.front()) && text.front() != '/') return false;
  for (const std::string_view word : {"null", "Null", "NULL", "true", "false", "none"}) {
    if (text == word) return false;
  }
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return letter_or_digit(c) || std::string_view("._-/:+@%").find(c) != std::string_view::npos;
  });
}

// In double quotes where it has to be.
std::string Value(std::string_view text) {
  if (MayStandPlain(text)) return std::string(text);
  constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\"";
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (text.substr(i).starts_with("${")) {
      out += "$$";
    } else if (byte == '"' || byte == '\\') {
      out += '\\';
      out += text[i];
    } else if (byte < 0x20 || byte == 0x7f) {
      out += "\\x";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      out += text[i];
    }
  }
  return out + '"';
}

std::string List(const std::vector<std::string>& items) {
  std::string out = "[";
  for (const std::string& item : items) out += (out.size() > 1 ? ", " : "") + Value(item);
  return out + "]";
}

template <typename Pairs>
std::string Map(const Pairs& pairs) {
  std::string out = "{";
  for (const auto& [key, value] : pairs) {
    out += (out.size() > 1 ? ", " : "") + Value(key) + ": " + Value(value);
  }
  return out + "}";
}

std::string StatusRanges(const std::vector<StatusRange>& ranges) {
  std::string out;
  for (const StatusRange& range : ranges) {
    if (!out.empty()) out += ',';
    out += std::to_string(range.first);
    if (range.last != range.first) out += '-' + std::to_string(range.last);
  }
  return Value(out);
}

// Lines of "key: value" at one depth. Owned by its caller.
class Block {
 public:
  Block(std::string& out, int depth) : out_(out), indent_(static_cast<size_t>(depth) * 2, ' ') {}

  // The next line begins a list item; its dash stands in the indentation.
  void Dash() { dash_ = true; }
  void Line(std::string_view key, const std::string& value) {
    std::string indent = indent_;
    if (std::exchange(dash_, false)) indent.replace(indent.size() - 2, 2, "- ");
    out_ += indent + std::string(key) + ':' + (value.empty() ? "" : " " + value) + '\n';
  }

 private:
  std::string& out_;
  const std::string indent_;
  bool dash_ = false;
};

void PrintCheck(const CheckConfig& check, std::string& out) {
  Block block(out, 4);
  block.Dash();
  block.Line("http", Value(check.url));
  block.Line("method", Value(check.method));
  block.Line("headers", Map(check.headers));
  block.Line("expect_status", StatusRanges(check.expect_status));
  block.Line("expect_body", Value(check.expect_body));
  block.Line("tls", "{ca: " + Value(check.tls.ca) +
                        ", server_name: " + Value(check.tls.server_name) +
                        ", insecure: " + (check.tls.insecure ? "true" : "false") + "}");
  block.Line("interval", FormatDuration(check.interval));
  block.Line("fast_interval", FormatDuration(check.fast_interval));
  block.Line("timeout", FormatDuration(check.timeout));
  block.Line("rise", std::to_string(check.rise));
  block.Line("fall", std::to_string(check.fall));
}

void PrintService(const ServiceConfig& service, std::string& out) {
  Block block(out, 2);
  block.Dash();
  block.Line("name", Value(service.name));
  block.Line("id", Value(service.id));
  block.Line("address", Value(service.address));
  block.Line("port", std::to_string(service.port));
  block.Line("protocol", Value(service.protocol));
  block.Line("tags", List(service.tags));
  block.Line("meta", Map(service.meta));
  block.Line("weight", std::to_string(service.weight));
  block.Line(service.checks.empty() ? "check" : "checks", service.checks.empty() ? "none" : "");
  for (const CheckConfig& check : service.checks) PrintCheck(check, out);
}

const char* LevelName(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarn:
      return "warn";
    case LogLevel::kError:
      return "error";
  }
  return "info";
}

}  // namespace

std::string PrintConfig(const Config& config) {
  std::string out;
  Block top(out, 0);
  Block section(out, 1);
  top.Line("node", "");
  section.Line("name", Value(config.node.name));
  section.Line("advertise", Value(config.node.advertise));
  section.Line("zone", Value(config.node.zone));
  top.Line("etcd", "");
  section.Line("endpoints", List(config.etcd.endpoints));
  section.Line("prefix", Value(config.etcd.prefix));
  section.Line("lease_ttl", FormatDuration(config.etcd.lease_ttl));
  section.Line("username", Value(config.etcd.username));
  section.Line("password_file", Value(config.etcd.password_file));
  const EtcdConfig::Tls& tls = config.etcd.tls;
  section.Line("tls", "{ca: " + Value(tls.ca) + ", cert: " + Value(tls.cert) + ", key: " +
                          Value(tls.key) + ", server_name: " + Value(tls.server_name) + "}");
  top.Line("http", "");
  section.Line("listen", List(config.http.listen));
  section.Line("allowed_hosts", List(config.http.allowed_hosts));
  top.Line("data_dir", Value(config.data_dir));
  top.Line("on_stop", config.on_stop == OnStop::kKeep ? "keep" : "deregister");
  top.Line("guard", "");
  section.Line("max_drop", std::to_string(config.guard.max_drop_percent) + "%");
  section.Line("hold", FormatDuration(config.guard.hold));
  top.Line("log", "");
  section.Line("level", LevelName(config.log.level));
  section.Line("format", config.log.format == LogFormat::kJson ? "json" : "text");
  top.Line("services", config.services.empty() ? "[]" : "");
  for (const auto& service : config.services) PrintService(*service, out);
  return out;
}

}  // namespace rosterd
