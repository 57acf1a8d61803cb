// SPDX-License-Identifier: Apache-2.0
#include "yaml/problem.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace rosterd {
namespace {

void AppendPrintable(std::string_view text, std::string& out) {
  constexpr char kHex[] = "0123456789abcdef";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7f) {
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else {
      out += "\\x";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
}

}  // namespace

std::string Problem::Format() const {
  std::string line_of_text;
  AppendPrintable(file, line_of_text);
  line_of_text += ':' + std::to_string(line) + ':' + std::to_string(column) + ": ";
  AppendPrintable(text, line_of_text);
  return line_of_text;
}

namespace yaml {

std::string Place::Format() const {
  return file->name + ':' + std::to_string(line) + ':' + std::to_string(column);
}

std::string Quoted(std::string_view text) {
  constexpr size_t kLongest = 80;
  std::string out = "'";
  size_t end = text.size();
  if (end > kLongest) {
    end = kLongest;
    // Not in the middle of a character.
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  }
  AppendPrintable(text.substr(0, end), out);
  if (end < text.size()) out += "...";
  return out + '\'';
}

void Problems::Add(const Place& place, std::string text) {
  found_.push_back(
      {place.file->rank, Problem{place.file->name, place.line, place.column, std::move(text)}});
}

std::vector<Problem> Problems::Take() {
  std::stable_sort(found_.begin(), found_.end(), [](const Found& a, const Found& b) {
    return std::tie(a.rank, a.problem.line, a.problem.column) <
           std::tie(b.rank, b.problem.line, b.problem.column);
  });
  std::vector<Problem> problems;
  for (Found& found : found_) {
    // What stands behind an alias is read once for each place that uses it.
    const auto same_place = [&](const Problem& other) {
      return other.line == found.problem.line && other.column == found.problem.column &&
             other.file == found.problem.file;
    };
    auto known = problems.rbegin();
    while (known != problems.rend() && same_place(*known) && *known != found.problem) ++known;
    if (known != problems.rend() && *known == found.problem) continue;
    problems.push_back(std::move(found.problem));
  }
  found_.clear();
  return problems;
}

}  // namespace yaml
}  // namespace rosterd
