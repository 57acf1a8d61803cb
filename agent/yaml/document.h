// SPDX-License-Identifier: Apache-2.0
// One YAML document as a tree of our own, with the place of every value: bounded in size and
// depth, references to the environment replaced, merge keys merged, duplicate keys found. The only
// file of the project that sees yaml-cpp stands behind it. Does no I/O.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "yaml/problem.h"
#include "yaml/substitution.h"

namespace rosterd::yaml {

struct Node;
using NodePtr = std::shared_ptr<const Node>;

struct Entry {
  std::string key;
  Place place;  // of the key
  NodePtr value;
};

// An alias is the node that it stands for. Immutable once the document is read.
struct Node {
  enum class Kind { kNull, kScalar, kList, kMap };

  Kind kind = Kind::kNull;
  Place place;
  std::string text;            // kScalar, references replaced
  bool unusable = false;       // a problem has been reported already; add no other
  std::vector<NodePtr> items;  // kList
  std::vector<Entry> entries;  // kMap; keys are unique

  size_t weight = 1;  // how many nodes it stands for, each alias counted as what it names
  int height = 1;     // levels below and with this one
};

struct DocumentLimits {
  size_t max_bytes = size_t{4} << 20;
  size_t max_nodes = 200'000;
  int max_depth = 64;
};

// Null: nothing of it can be used, and `problems` says why. An empty text is a kNull node.
NodePtr ParseDocument(std::shared_ptr<const SourceFile> file, std::string_view text,
                      const Variables& variables, Problems& problems,
                      const DocumentLimits& limits = {});

}  // namespace rosterd::yaml
