// SPDX-License-Identifier: Apache-2.0
// Log: one line per event on stderr, a sentence and named fields, as text or as JSON. Transitions
// are logged, not repetitions; pure code does not log, it returns. There is no global logger:
// whoever logs is handed this one.
#pragma once

#include <concepts>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

namespace rosterd {

enum class LogLevel { kDebug, kInfo, kWarn, kError };
enum class LogFormat { kText, kJson };

// One named field of a line. Lives only for the call.
struct LogField {
  LogField(std::string_view k, std::string_view v) : key(k), text(v) {}
  LogField(std::string_view k, const std::string& v) : key(k), text(v) {}
  LogField(std::string_view k, const char* v) : key(k), text(v) {}
  LogField(std::string_view k, std::integral auto v) : key(k), text(std::to_string(v)) {}

  std::string_view key;
  std::string text;
};

// Thread-safe.
class Log {
 public:
  using Fields = std::initializer_list<LogField>;
  // Gets each finished line without its newline.
  using Sink = std::function<void(const std::string& line)>;

  // Writes to stderr.
  Log(LogLevel level, LogFormat format);
  // For tests: writes to `sink`, called under a lock.
  Log(LogLevel level, LogFormat format, Sink sink);
  ~Log();

  // At reload.
  void Set(LogLevel level, LogFormat format);

  void Debug(std::string_view event, Fields fields = {}) { Write(LogLevel::kDebug, event, fields); }
  void Info(std::string_view event, Fields fields = {}) { Write(LogLevel::kInfo, event, fields); }
  void Warn(std::string_view event, Fields fields = {}) { Write(LogLevel::kWarn, event, fields); }
  void Error(std::string_view event, Fields fields = {}) { Write(LogLevel::kError, event, fields); }

 private:
  struct Impl;
  void Write(LogLevel level, std::string_view event, Fields fields);

  std::unique_ptr<Impl> impl_;
};

}  // namespace rosterd
