// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <spdlog/details/null_mutex.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/json.h"

namespace rosterd {
namespace {

class FunctionSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit FunctionSink(Log::Sink target) : sink_(std::move(target)) {}

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    sink_(std::string(message.payload.data(), message.payload.size()));
  }
  void flush_() override {}

  const Log::Sink sink_;
};

constexpr const char* Name(LogLevel level) {
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

bool NeedsQuotes(std::string_view text) {
  return text.empty() || !std::all_of(text.begin(), text.end(), [](char c) {
           return c > ' ' && c <= '~' && c != '"' && c != '=' && c != '\\';
         });
}

// A JSON string in which a terminal finds no control character either: DEL and U+0080 to U+009F
// are legal in JSON, but the latter begin escape sequences.
void AppendQuoted(std::string& line, std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string json;
  AppendJsonString(json, text);
  for (size_t i = 0; i < json.size(); ++i) {
    const bool c1 = json[i] == '\xc2' && static_cast<unsigned char>(json[i + 1]) < 0xa0;
    if (c1) ++i;
    if (c1 || json[i] == '\x7f') {
      const auto c = static_cast<unsigned char>(json[i]);
      line.append("\\u00").append(1, kHex[c >> 4]).append(1, kHex[c & 15]);
    } else {
      line += json[i];
    }
  }
}

std::string TextLine(const std::string& time, LogLevel level, std::string_view event,
                     Log::Fields fields) {
  std::string line = time + " " + Name(level) + " ";
  // Control characters of an error text from outside must not forge a line.
  for (const char c : event) line += (c < ' ' && c >= 0) || c == '\x7f' ? ' ' : c;
  for (const LogField& field : fields) {
    line += ' ';
    line += field.key;
    line += '=';
    if (NeedsQuotes(field.text)) {
      AppendQuoted(line, field.text);
    } else {
      line += field.text;
    }
  }
  return line;
}

std::string JsonLine(const std::string& time, LogLevel level, std::string_view event,
                     Log::Fields fields) {
  nlohmann::ordered_json line{{"time", time}, {"level", Name(level)}, {"message", event}};
  for (const LogField& field : fields) line[std::string(field.key)] = field.text;
  return DumpJson(line);
}

}  // namespace

struct Log::Impl {
  Impl(LogLevel l, LogFormat f, spdlog::sink_ptr sink)
      : logger("rosterd", std::move(sink)), level(l), format(f) {
    logger.set_pattern("%v");
    logger.set_level(spdlog::level::trace);
    logger.flush_on(spdlog::level::trace);
  }
  spdlog::logger logger;
  std::atomic<LogLevel> level;
  std::atomic<LogFormat> format;
};

Log::Log(LogLevel level, LogFormat format)
    : impl_(std::make_unique<Impl>(level, format,
                                   std::make_shared<spdlog::sinks::stderr_sink_mt>())) {}

Log::Log(LogLevel level, LogFormat format, Sink sink)
    : impl_(
          std::make_unique<Impl>(level, format, std::make_shared<FunctionSink>(std::move(sink)))) {}

Log::~Log() = default;

void Log::Set(LogLevel level, LogFormat format) {
  impl_->level = level;
  impl_->format = format;
}

void Log::Write(LogLevel level, std::string_view event, Fields fields) {
  if (level < impl_->level.load()) return;
  const std::string time = FormatRfc3339(SystemClock().WallNow());
  const std::string line = impl_->format.load() == LogFormat::kJson
                               ? JsonLine(time, level, event, fields)
                               : TextLine(time, level, event, fields);
  impl_->logger.log(spdlog::level::info, line);
}

}  // namespace rosterd
