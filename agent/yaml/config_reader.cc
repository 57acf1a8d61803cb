// SPDX-License-Identifier: Apache-2.0
#include "yaml/config_reader.h"

#include <memory>
#include <utility>

#include "yaml/document.h"
#include "yaml/include.h"
#include "yaml/map_reader.h"
#include "yaml/scalar.h"
#include "yaml/service_reader.h"
#include "yaml/settings_reader.h"

namespace rosterd {
namespace {

// Owned by the thread that reads the configuration.
class ConfigReader {
 public:
  // `running`: null at the start.
  ConfigReader(const Environment& environment, const NodeConfig* running)
      : environment_(environment), running_(running) {}

  ParseResult Load(const std::string& path) {
    const auto file = AddFile(path);
    const auto text = yaml::ReadWholeFile(path, yaml::DocumentLimits().max_bytes, true);
    if (!text.ok()) {
      problems_.Add({file}, "the file cannot be read: " + std::string(text.status().message()) +
                                "; name a readable file after --config");
      return Finish();
    }
    return Read(file, *text);
  }

  ParseResult Default() { return Read(AddFile("(defaults)"), ""); }

 private:
  std::shared_ptr<const yaml::SourceFile> AddFile(const std::string& name) {
    return std::make_shared<const yaml::SourceFile>(
        yaml::SourceFile{name, yaml::FolderOf(name), files_++});
  }

  ParseResult Read(const std::shared_ptr<const yaml::SourceFile>& file, const std::string& text) {
    const yaml::NodePtr top = yaml::ParseDocument(file, text, environment_.variable, problems_);
    if (top == nullptr) return Finish();
    yaml::MapReader map(top.get(), "", problems_);
    const yaml::Report report{problems_, warnings_};
    yaml::ReadSettings(map, config_, environment_, report);
    yaml::ServiceReader services(running_ != nullptr ? *running_ : config_.node, report);
    if (const yaml::Node* node = map.Take("services")) services.ReadList(*node);
    if (const auto patterns = map.Get("include", yaml::ReadTexts)) {
      ReadIncluded(*file, *patterns, services);
    }
    map.Finish();
    config_.services = services.Take();
    return Finish();
  }

  void ReadIncluded(const yaml::SourceFile& including,
                    const std::vector<yaml::PlacedText>& patterns, yaml::ServiceReader& services) {
    std::vector<yaml::IncludePattern> wanted;
    for (const yaml::PlacedText& pattern : patterns)
      wanted.push_back({pattern.text, pattern.place});
    for (const auto& [path, place] : yaml::FindIncluded(wanted, including, problems_)) {
      const auto text = yaml::ReadWholeFile(path, yaml::DocumentLimits().max_bytes, false);
      if (!text.ok()) {
        problems_.Add(place, "include: " + yaml::Quoted(path) +
                                 " cannot be read: " + std::string(text.status().message()) +
                                 "; name a readable file, or a pattern such as services.d/*.yaml");
        continue;
      }
      const yaml::NodePtr top =
          yaml::ParseDocument(AddFile(path), *text, environment_.variable, problems_);
      if (top != nullptr) services.ReadIncluded(*top);
    }
  }

  ParseResult Finish() {
    ParseResult result;
    if (problems_.empty()) result.config = std::move(config_);
    result.problems = problems_.Take();
    result.warnings = std::move(warnings_);
    return result;
  }

  const Environment& environment_;
  const NodeConfig* const running_;
  int files_ = 0;
  yaml::Problems problems_;
  std::vector<std::string> warnings_;
  Config config_;
};

}  // namespace

ParseResult LoadConfig(const std::string& path, const Environment& environment) {
  return ConfigReader(environment, nullptr).Load(path);
}

ParseResult ReloadConfig(const std::string& path, const Environment& environment,
                         const Config& running) {
  return ConfigReader(environment, &running.node).Load(path);
}

ParseResult DefaultConfig(const Environment& environment) {
  return ConfigReader(environment, nullptr).Default();
}

}  // namespace rosterd
