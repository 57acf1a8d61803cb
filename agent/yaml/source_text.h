// SPDX-License-Identifier: Apache-2.0
// SourceText: the text of one file, and where in it things stand. Does no I/O.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

#include "yaml/problem.h"

namespace rosterd::yaml {

// Keeps a view of the text. Immutable.
class SourceText {
 public:
  // A byte order mark at the beginning is skipped.
  SourceText(std::shared_ptr<const SourceFile> file, std::string_view text);

  std::string_view text() const { return text_; }
  // UTF-8 without control characters; else a problem at the first place that is not, and false.
  bool CheckCharacters(Problems& problems) const;
  // `line` counts from one, `byte` (within the line) from zero; what lies outside is moved inside.
  Place PlaceAt(int line, int byte) const;
  // Of an empty list item the parser only knows what comes after it: the place of its '-'.
  Place PlaceOfEmptyItem(const Place& after) const;

 private:
  size_t OffsetOf(const Place& place) const;

  const std::shared_ptr<const SourceFile> file_;
  const std::string_view text_;
  std::vector<size_t> lines_;  // where each begins
  bool ascii_ = true;
};

}  // namespace rosterd::yaml
