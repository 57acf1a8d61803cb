// SPDX-License-Identifier: Apache-2.0
// A folder of its own for a test of what is kept on disk, gone with it.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "base/data_dir.h"
#include "base/log.h"
#include "base/metrics.h"

namespace rosterd::testing {

struct TempDir {
  TempDir() {
    char name[] = "/tmp/rosterd-unit-XXXXXX";
    if (mkdtemp(name) != nullptr) path = name;
  }
  ~TempDir() { std::filesystem::remove_all(path); }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  std::string path;
};

inline std::string ReadAll(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

inline void WriteAll(const std::string& path, const std::string& text) {
  std::ofstream(path) << text;
}

// The next save of `file` finds a full disk; the one after it does not.
inline void FillDiskFor(const std::string& file) {
  std::filesystem::create_symlink("/dev/full", file + ".new");
}

// A data_dir with a log and metrics to look at.
struct Disk {
  Disk() { Open(); }
  // As a successor would.
  void Open() {
    dir.reset();
    auto opened = DataDir::Open(temp.path + "/data", log, metrics);
    if (opened.ok()) dir = *std::move(opened);
  }
  size_t Logged(const std::string& part) const {
    size_t count = 0;
    for (const std::string& line : lines) count += line.find(part) != std::string::npos ? 1 : 0;
    return count;
  }
  // "FILE" of rosterd_state_write_failures_total; -1: not there.
  double Failures(const std::string& file) const {
    const std::string text = metrics.Render();
    const std::string name = "rosterd_state_write_failures_total{file=\"" + file + "\"} ";
    const size_t at = text.find(name);
    return at == std::string::npos ? -1 : std::stod(text.substr(at + name.size()));
  }

  TempDir temp;
  std::vector<std::string> lines;
  Log log{LogLevel::kDebug, LogFormat::kText,
          [this](const std::string& line) { lines.push_back(line); }};
  Metrics metrics;
  std::unique_ptr<DataDir> dir;
};

}  // namespace rosterd::testing
