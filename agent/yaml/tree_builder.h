// SPDX-License-Identifier: Apache-2.0
// TreeBuilder: makes the tree of a document from the parser's events, one after the other. What
// breaks a limit or cannot be part of any configuration ends it by an exception that
// ParseDocument() catches; everything else becomes a problem, and it goes on. Does no I/O.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "yaml/document.h"
#include "yaml/source_text.h"

namespace rosterd::yaml {

// Owned by the thread that reads the configuration.
class TreeBuilder {
 public:
  using Anchor = size_t;  // 0: none

  struct Abort {
    Place place;
    std::string text;
  };

  TreeBuilder(const SourceText& source, const Variables& variables, Problems& problems,
              const DocumentLimits& limits)
      : source_(source),
        variables_(variables),
        problems_(problems),
        limits_(limits),
        shields_questions_(ShieldsQuestions(source.text())) {}

  void BeginDocument(const Place& place);
  void Null(const Place& place, Anchor anchor);
  void Alias(const Place& place, Anchor anchor);
  void Scalar(const Place& place, const std::string& tag, Anchor anchor, const std::string& text);
  void Begin(Node::Kind kind, const Place& place, const std::string& tag, Anchor anchor);
  void End();

  // A kNull node for a file without a document.
  NodePtr TakeRoot();

 private:
  struct Level {
    std::shared_ptr<Node> node;
    Anchor anchor = 0;
    // Of a map: the key that waits for its value; `usable` is false where it was no text.
    struct Key {
      std::string text;
      Place place;
      bool usable = true;
      bool merge = false;
    };
    std::optional<Key> key;
    std::map<std::string, Place> keys;
    std::vector<NodePtr> merged;
  };

  bool ExpectsKey() const;
  void CheckTag(const Place& place, const std::string& tag);
  void Count(const Place& place, size_t weight, int height);
  void Attach(NodePtr node);
  void AttachKey(const Node& node);
  void AttachMember(Level& level, NodePtr node);
  void Merge(Level& level);

  const SourceText& source_;
  const Variables& variables_;
  Problems& problems_;
  const DocumentLimits limits_;
  const bool shields_questions_;

  size_t nodes_ = 0;
  bool has_document_ = false;
  std::vector<Level> levels_;
  std::map<Anchor, NodePtr> anchors_;
  std::set<Anchor> open_;  // of the lists and maps that have not ended
  NodePtr root_;
};

}  // namespace rosterd::yaml
