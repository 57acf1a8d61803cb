// SPDX-License-Identifier: Apache-2.0
#include "yaml/map_reader.h"

#include <algorithm>
#include <numeric>

namespace rosterd::yaml {
namespace {

// How many characters to change, add or remove.
size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

const std::string* Nearest(std::string_view key, const std::vector<std::string>& known) {
  if (key.size() > 40) return nullptr;
  const std::string* nearest = nullptr;
  size_t best = 3;
  for (const std::string& candidate : known) {
    const size_t distance = EditDistance(key, candidate);
    if (distance < best && distance * 2 < std::max(key.size(), candidate.size())) {
      best = distance;
      nearest = &candidate;
    }
  }
  return nearest;
}

}  // namespace

std::string Describe(const Node& node) {
  switch (node.kind) {
    case Node::Kind::kNull:
      return "empty";
    case Node::Kind::kList:
      return "a list";
    case Node::Kind::kMap:
      return "a map";
    case Node::Kind::kScalar:
      break;
  }
  return Quoted(node.text);
}

MapReader::MapReader(const Node* node, std::string name, Problems& problems)
    : node_(node), name_(std::move(name)), problems_(problems) {
  if (node_ == nullptr) return;
  is_map_ = node_->kind == Node::Kind::kMap;
  if (!is_map_ && node_->kind != Node::Kind::kNull && !node_->unusable) {
    problems_.Add(node_->place, (name_.empty() ? "the file" : name_) + " is " + Describe(*node_) +
                                    "; write a map, one 'key: value' to a line");
  }
}

const Entry* MapReader::Find(std::string_view key) const {
  if (!is_map_) return nullptr;
  for (const Entry& entry : node_->entries) {
    if (entry.key == key) return &entry;
  }
  return nullptr;
}

const Node* MapReader::Take(std::string_view key) {
  if (std::find(known_.begin(), known_.end(), key) == known_.end()) known_.emplace_back(key);
  const Entry* entry = Find(key);
  if (entry == nullptr || entry->value->kind == Node::Kind::kNull) return nullptr;
  return entry->value.get();
}

void MapReader::ReportRefused(const Entry& entry) {
  problems_.Add(entry.place, Name(entry.key) + " is not supported yet; remove it");
}

void MapReader::Refuse(std::string_view key) {
  refused_.emplace_back(key);
  if (const Entry* entry = Find(key)) ReportRefused(*entry);
}

void MapReader::Finish() {
  if (!is_map_) return;
  for (const Entry& entry : node_->entries) {
    const auto is_it = [&](const std::string& key) { return key == entry.key; };
    if (std::any_of(known_.begin(), known_.end(), is_it) ||
        std::any_of(refused_.begin(), refused_.end(), is_it)) {
      continue;
    }
    std::string text = "unknown key " + Quoted(entry.key);
    if (!name_.empty()) text += " in " + name_;
    if (const std::string* nearest = Nearest(entry.key, known_)) {
      text += "; did you mean '" + *nearest + "'?";
    } else {
      text += "; known here:";
      for (const std::string& key : known_) text += (&key == known_.data() ? " " : ", ") + key;
    }
    problems_.Add(entry.place, std::move(text));
  }
}

const Place& MapReader::PlaceOf(std::string_view key) const {
  const Entry* entry = Find(key);
  return entry != nullptr ? entry->place : node_->place;
}

std::string MapReader::Name(std::string_view key) const {
  return (name_.empty() ? "" : name_ + ".") + std::string(key);
}

}  // namespace rosterd::yaml
