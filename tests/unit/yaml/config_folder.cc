// SPDX-License-Identifier: Apache-2.0
#include "config_folder.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <utility>

namespace rosterd {

namespace fs = std::filesystem;

ConfigFolder::ConfigFolder() {
  path_ = (fs::temp_directory_path() / "rosterd-config-XXXXXX").string();
  if (mkdtemp(path_.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
}

ConfigFolder::~ConfigFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

std::string ConfigFolder::Write(const std::string& name, const std::string& text) const {
  const std::string path = Path(name);
  fs::create_directories(fs::path(path).parent_path());
  std::ofstream(path, std::ios::binary) << text;
  return path;
}

Environment TestEnvironment(std::map<std::string, std::string> variables) {
  Environment environment;
  environment.variable =
      [variables = std::move(variables)](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    if (found == variables.end()) return std::nullopt;
    return found->second;
  };
  environment.host_name = [] { return "web-01"; };
  environment.interface_addresses = [] {
    return std::vector<InterfaceAddress>{{"lo", "127.0.0.1"},     {"lo", "::1"},
                                         {"eth0", "169.254.7.7"}, {"eth0", "fe80::1"},
                                         {"eth0", "10.0.0.5"},    {"eth0", "10.0.0.6"},
                                         {"eth1", "fe80::2"},     {"eth1", "2001:db8:1::5"},
                                         {"eth2", "fe80::3"}};
  };
  environment.default_source_address = [] { return "10.0.0.5"; };
  environment.source_address_towards = [](const std::string&) { return std::nullopt; };
  return environment;
}

ParseResult LoadText(const std::string& text, const Environment& environment) {
  const ConfigFolder folder;
  return LoadConfig(folder.Write("c.yaml", text), environment);
}

std::vector<std::string> Lines(const ParseResult& result) {
  std::vector<std::string> lines;
  for (const Problem& problem : result.problems) {
    const std::string whole = problem.Format();
    lines.push_back(whole.substr(problem.file.size() + 1));
  }
  return lines;
}

std::string Listing(const ParseResult& result) {
  std::string listing = "problems:\n";
  for (const Problem& problem : result.problems) listing += problem.Format() + "\n";
  return listing;
}

}  // namespace rosterd
