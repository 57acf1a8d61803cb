// SPDX-License-Identifier: Apache-2.0
#include "yaml/tree_builder.h"

#include <algorithm>
#include <utility>

namespace rosterd::yaml {

void TreeBuilder::BeginDocument(const Place& place) {
  if (has_document_) {
    throw Abort{place,
                "this belongs to nothing above, or begins a second document; check the "
                "indentation, and keep to one document in a file"};
  }
  has_document_ = true;
}

bool TreeBuilder::ExpectsKey() const {
  return !levels_.empty() && levels_.back().node->kind == Node::Kind::kMap &&
         !levels_.back().key.has_value();
}

void TreeBuilder::CheckTag(const Place& place, const std::string& tag) {
  constexpr std::string_view kCore = "tag:yaml.org,2002:";
  if (tag.empty() || tag == "?" || tag == "!") return;
  if (tag.starts_with(kCore)) {
    const std::string_view type = std::string_view(tag).substr(kCore.size());
    for (const std::string_view known : {"str", "int", "float", "bool", "null", "seq", "map"}) {
      if (type == known) return;
    }
  }
  problems_.Add(place, "the tag " + Quoted(tag) + " means nothing here; remove it");
}

void TreeBuilder::Count(const Place& place, size_t weight, int height) {
  nodes_ += weight;
  if (nodes_ > limits_.max_nodes) {
    throw Abort{place, "the file holds more than " + std::to_string(limits_.max_nodes) +
                           " values (an alias counts as all that it repeats); divide it with "
                           "'include'"};
  }
  if (static_cast<int>(levels_.size()) + height > limits_.max_depth) {
    throw Abort{place, "values are nested deeper than " + std::to_string(limits_.max_depth) +
                           " levels; no setting is nested that deep"};
  }
}

void TreeBuilder::Null(const Place& place, Anchor anchor) {
  auto node = std::make_shared<Node>();
  node->place = place;
  // The parser is already past an empty value: it stands where its key or its dash stands.
  if (!levels_.empty() && !ExpectsKey()) {
    const Level& level = levels_.back();
    if (level.key.has_value()) {
      if (level.key->place.line != place.line) node->place = level.key->place;
    } else {
      node->place = source_.PlaceOfEmptyItem(place);
    }
  }
  Count(node->place, 1, 1);
  if (anchor != 0) anchors_[anchor] = node;
  Attach(std::move(node));
}

void TreeBuilder::Alias(const Place& place, Anchor anchor) {
  const auto known = anchors_.find(anchor);
  if (open_.contains(anchor) || known == anchors_.end()) {
    throw Abort{place, "this alias repeats the value in which it stands; name another anchor"};
  }
  Count(place, known->second->weight, known->second->height);
  Attach(known->second);
}

void TreeBuilder::Scalar(const Place& place, const std::string& tag, Anchor anchor,
                         const std::string& text) {
  Count(place, 1, 1);
  CheckTag(place, tag);
  auto node = std::make_shared<Node>();
  node->kind = Node::Kind::kScalar;
  node->place = place;
  node->text = Unshield(text, shields_questions_);
  if (ExpectsKey()) {
    if (node->text == "<<" && tag == "?") {
      levels_.back().key = Level::Key{"<<", place, true, true};
      return;
    }
    if (node->text.find("${") != std::string::npos) {
      problems_.Add(place, "nothing is replaced in a key; write the name itself instead of " +
                               Quoted(node->text));
      levels_.back().key = Level::Key{"", place, false};
      return;
    }
  } else {
    std::vector<std::string> errors;
    node->text = Substitute(node->text, variables_, errors);
    node->unusable = !errors.empty();
    for (std::string& error : errors) problems_.Add(place, std::move(error));
  }
  if (anchor != 0) anchors_[anchor] = node;
  Attach(std::move(node));
}

void TreeBuilder::Begin(Node::Kind kind, const Place& place, const std::string& tag,
                        Anchor anchor) {
  Count(place, 1, 1);
  CheckTag(place, tag);
  Level level;
  level.node = std::make_shared<Node>();
  level.node->kind = kind;
  level.node->place = place;
  level.anchor = anchor;
  if (anchor != 0) open_.insert(anchor);
  levels_.push_back(std::move(level));
}

void TreeBuilder::End() {
  Level level = std::move(levels_.back());
  levels_.pop_back();
  if (!level.merged.empty()) Merge(level);
  if (level.anchor != 0) {
    open_.erase(level.anchor);
    anchors_[level.anchor] = level.node;
  }
  Attach(std::move(level.node));
}

void TreeBuilder::Attach(NodePtr node) {
  if (levels_.empty()) {
    root_ = std::move(node);
  } else if (ExpectsKey()) {
    AttachKey(*node);
  } else {
    AttachMember(levels_.back(), std::move(node));
  }
}

void TreeBuilder::AttachKey(const Node& node) {
  Level& level = levels_.back();
  if (node.kind != Node::Kind::kScalar) {
    problems_.Add(node.place,
                  "a key must be plain text; put a text that begins with '[', '{' or '*' in "
                  "quotes");
    level.key = Level::Key{"", node.place, false};
    level.node->unusable = true;
    return;
  }
  const auto [first, is_new] = level.keys.try_emplace(node.text, node.place);
  if (!is_new) {
    problems_.Add(node.place, "the key " + Quoted(node.text) +
                                  " stands here a second time (first at " + first->second.Format() +
                                  "); remove one of the two");
  }
  level.key = Level::Key{node.text, node.place, is_new};
}

void TreeBuilder::AttachMember(Level& level, NodePtr node) {
  Node& parent = *level.node;
  parent.weight += node->weight;
  parent.height = std::max(parent.height, node->height + 1);
  if (parent.kind == Node::Kind::kList) {
    parent.items.push_back(std::move(node));
    return;
  }
  const Level::Key key = *std::exchange(level.key, std::nullopt);
  if (!key.usable) return;
  if (!key.merge) {
    parent.entries.push_back({key.text, key.place, std::move(node)});
    return;
  }
  const bool is_list = node->kind == Node::Kind::kList;
  const std::vector<NodePtr> maps = is_list ? node->items : std::vector<NodePtr>{node};
  for (const NodePtr& map : maps) {
    if (map->kind == Node::Kind::kMap) {
      level.merged.push_back(map);
    } else {
      problems_.Add(key.place, "'<<' takes a map or a list of maps; write '<<: *NAME'");
    }
  }
}

// A key of the map itself goes first, then those of the first map that was named.
void TreeBuilder::Merge(Level& level) {
  for (const NodePtr& map : level.merged) {
    for (const Entry& entry : map->entries) {
      if (level.keys.try_emplace(entry.key, entry.place).second) {
        level.node->entries.push_back(entry);
      }
    }
  }
}

NodePtr TreeBuilder::TakeRoot() {
  if (root_ == nullptr) {
    auto empty = std::make_shared<Node>();
    empty->place = source_.PlaceAt(1, 0);
    root_ = std::move(empty);
  }
  return std::move(root_);
}

}  // namespace rosterd::yaml
