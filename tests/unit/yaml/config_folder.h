// SPDX-License-Identifier: Apache-2.0
// For tests of the configuration: a temporary folder of files, a made-up environment, and what
// reading one text gives.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "yaml/config_reader.h"
#include "yaml/environment.h"

namespace rosterd {

// Made on construction, removed with all that is in it on destruction. Owned by one test.
class ConfigFolder {
 public:
  ConfigFolder();
  ~ConfigFolder();
  ConfigFolder(const ConfigFolder&) = delete;
  ConfigFolder& operator=(const ConfigFolder&) = delete;

  // `name` may hold folders; they are made. Returns the whole path.
  std::string Write(const std::string& name, const std::string& text) const;
  std::string Path(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// Host "web-01" at 10.0.0.5, with nothing set in the environment but `variables`.
Environment TestEnvironment(std::map<std::string, std::string> variables = {});

// Reads `text` as the file "c.yaml" of a folder of its own.
ParseResult LoadText(const std::string& text, const Environment& environment = TestEnvironment());

// "LINE:COLUMN: TEXT" of every problem, without the file.
std::vector<std::string> Lines(const ParseResult& result);
// All of them, one to a line: for INFO().
std::string Listing(const ParseResult& result);

}  // namespace rosterd
