// SPDX-License-Identifier: Apache-2.0
#include "yaml/document.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <sstream>
#include <utility>

#include "yaml/source_text.h"
#include "yaml/tree_builder.h"

namespace rosterd::yaml {
namespace {

// yaml-cpp takes a quoted text that is never closed for one that ends with the file. This comment,
// put behind the file, is then part of the text.
constexpr std::string_view kEnd = "# \xe2\x90\x84 end of the configuration file \xe2\x90\x84";

// What yaml-cpp says, in words that tell what to do.
std::string Explain(const std::string& message) {
  struct Case {
    std::string_view said;
    const char* meant;
  };
  constexpr Case kCases[] = {
      {"illegal map value",
       "a ':' is not expected here; write 'key: value' one to a line, indent with spaces, and put "
       "a text that holds ': ' in quotes"},
      {"end of map flow not found",
       "the map that began with '{' does not go on here; write {key: value, key: value} and close "
       "it with '}'"},
      {"end of sequence flow not found",
       "the list that began with '[' does not go on here; write [one, two] and close it with ']'"},
      {"end of map not found",
       "this does not continue the map above; check the indentation (spaces only) and the quotes"},
      {"end of sequence not found",
       "this does not continue the list above; check the indentation (spaces only) and the quotes"},
      {"illegal block entry",
       "a list item is not expected here; begin the list on a line of its own, or write [one, "
       "two]"},
      {"illegal flow end",
       "this bracket closes nothing that is open; close '[' with ']' and '{' with '}', or put the "
       "text in quotes"},
      {"unknown token",
       "this character cannot stand here; put the text in quotes, for example \"@x\""},
      {"illegal document indicator in scalar",
       "a quoted text is not closed before this line; add the closing quote"},
      {"the referenced anchor is not defined",
       "no anchor of this name stands above; write &NAME before the value that *NAME repeats, or "
       "put a text that begins with '*' in quotes"},
      {"illegal tab when looking for indentation",
       "a tab stands in the indentation; indent with spaces"},
  };
  for (const Case& known : kCases) {
    if (message.starts_with(known.said)) return known.meant;
  }
  return "this is not YAML (" + message + "); check the indentation and the quotes around here";
}

// Turns yaml-cpp's events into calls of the TreeBuilder; its marks count from zero.
class Events final : public YAML::EventHandler {
 public:
  Events(const SourceText& source, TreeBuilder& builder) : source_(source), builder_(builder) {}

  void OnDocumentStart(const YAML::Mark& mark) override { builder_.BeginDocument(PlaceOf(mark)); }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    builder_.Null(PlaceOf(mark), anchor);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    builder_.Alias(PlaceOf(mark), anchor);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    if (value.ends_with(kEnd) || value.ends_with(std::string(kEnd) + ' ')) {
      throw TreeBuilder::Abort{PlaceOf(mark),
                               "this quoted text is not closed; add the closing quote"};
    }
    builder_.Scalar(PlaceOf(mark), tag, anchor, value);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    builder_.Begin(Node::Kind::kList, PlaceOf(mark), tag, anchor);
  }
  void OnSequenceEnd() override { builder_.End(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    builder_.Begin(Node::Kind::kMap, PlaceOf(mark), tag, anchor);
  }
  void OnMapEnd() override { builder_.End(); }

 private:
  Place PlaceOf(const YAML::Mark& mark) const {
    return source_.PlaceAt(mark.line + 1, mark.column);
  }

  const SourceText& source_;
  TreeBuilder& builder_;
};

}  // namespace

NodePtr ParseDocument(std::shared_ptr<const SourceFile> file, std::string_view text,
                      const Variables& variables, Problems& problems,
                      const DocumentLimits& limits) {
  if (text.size() > limits.max_bytes) {
    problems.Add({file}, "the file is larger than " + std::to_string(limits.max_bytes >> 20) +
                             " MiB; divide it with 'include'");
    return nullptr;
  }
  const SourceText source(std::move(file), text);
  if (!source.CheckCharacters(problems)) return nullptr;

  TreeBuilder builder(source, variables, problems, limits);
  try {
    std::istringstream input(Shield(std::string(source.text())) + '\n' + std::string(kEnd) + '\n');
    YAML::Parser parser(input);
    Events events(source, builder);
    while (parser.HandleNextDocument(events)) {
    }
  } catch (const TreeBuilder::Abort& abort) {
    problems.Add(abort.place, abort.text);
    return nullptr;
  } catch (const YAML::Exception& error) {
    problems.Add(source.PlaceAt(error.mark.line + 1, error.mark.column), Explain(error.msg));
    return nullptr;
  }
  return builder.TakeRoot();
}

}  // namespace rosterd::yaml
