// SPDX-License-Identifier: Apache-2.0
// The configuration, from YAML files to a Config that is complete and right, or to every problem
// with its place. Runs on the thread that calls it (main, at start and reload); reads files and
// asks the Environment, changes nothing.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model/config.h"
#include "yaml/environment.h"
#include "yaml/problem.h"

namespace rosterd {

struct ParseResult {
  std::optional<Config> config;   // set exactly when there are no problems
  std::vector<Problem> problems;  // in the order of the files and of the places in them
  std::vector<std::string> warnings;

  bool ok() const { return config.has_value(); }
};

// `path` as the user gave it: it stands in the messages.
ParseResult LoadConfig(const std::string& path, const Environment& environment);

// The same at a reload. `node` cannot change while the agent runs, so services take the defaults of
// id and address from the running one and keep their keys; the result's own `node` is what the file
// says, for telling what needs a restart.
ParseResult ReloadConfig(const std::string& path, const Environment& environment,
                         const Config& running);

// What an empty file gives.
ParseResult DefaultConfig(const Environment& environment);

}  // namespace rosterd
