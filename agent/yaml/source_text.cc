// SPDX-License-Identifier: Apache-2.0
#include "yaml/source_text.h"

#include <algorithm>
#include <string>
#include <utility>

#include "yaml/substitution.h"

namespace rosterd::yaml {
namespace {

std::string_view WithoutByteOrderMark(std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  return text;
}

bool Continues(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

}  // namespace

SourceText::SourceText(std::shared_ptr<const SourceFile> file, std::string_view text)
    : file_(std::move(file)), text_(WithoutByteOrderMark(text)), lines_{0} {
  for (size_t i = 0; i < text_.size(); ++i) {
    if (text_[i] == '\n') lines_.push_back(i + 1);
    if (static_cast<unsigned char>(text_[i]) >= 0x80) ascii_ = false;
  }
  // What follows the last line break is no line when it is empty.
  if (lines_.size() > 1 && lines_.back() == text_.size()) lines_.pop_back();
}

bool SourceText::CheckCharacters(Problems& problems) const {
  int line = 1;
  for (size_t i = 0; i < text_.size();) {
    const size_t length = Utf8Length(text_.substr(i));
    const auto byte = static_cast<unsigned char>(text_[i]);
    const bool crlf = byte == '\r' && i + 1 < text_.size() && text_[i + 1] == '\n';
    const bool control = (byte < 0x20 && byte != '\t' && byte != '\n' && !crlf) || byte == 0x7f;
    if (length == 0 || control) {
      const Place place =
          PlaceAt(line, static_cast<int>(i - lines_[static_cast<size_t>(line) - 1]));
      problems.Add(place, length == 0
                              ? "this is not UTF-8; save the file as UTF-8 text"
                              : "a control character stands here; remove it, or write it as an "
                                "escape in double quotes (for example \"\\t\")");
      return false;
    }
    if (byte == '\n' && static_cast<size_t>(line) < lines_.size()) ++line;
    i += length;
  }
  return true;
}

Place SourceText::PlaceAt(int line, int byte) const {
  // Counting characters is only worth it where people look.
  constexpr size_t kLongestCounted = 2000;
  const int last = static_cast<int>(lines_.size());
  if (line < 1) return {file_};
  if (line > last) {
    const size_t begin = lines_.back();
    line = last;
    byte = static_cast<int>(text_.find_last_not_of("\r\n") + 1);
    byte = std::max(0, byte - static_cast<int>(begin));
  }
  size_t column = static_cast<size_t>(std::max(byte, 0));
  if (!ascii_ && column <= kLongestCounted) {
    const std::string_view before =
        text_.substr(std::min(lines_[static_cast<size_t>(line) - 1], text_.size()), column);
    column -= static_cast<size_t>(std::count_if(before.begin(), before.end(), Continues));
  }
  return {file_, line, static_cast<int>(column) + 1};
}

size_t SourceText::OffsetOf(const Place& place) const {
  size_t offset = lines_[static_cast<size_t>(place.line) - 1];
  for (int column = 1; column < place.column && offset < text_.size(); ++column) {
    ++offset;
    while (offset < text_.size() && Continues(text_[offset])) ++offset;
  }
  return offset;
}

Place SourceText::PlaceOfEmptyItem(const Place& after) const {
  const size_t offset = std::min(OffsetOf(after), text_.size());
  const std::string_view word = text_.substr(
      offset, std::min(text_.find_first_of(" \t\r\n,]}#", offset), text_.size()) - offset);
  if (word == "~" || word == "null" || word == "Null" || word == "NULL") return after;
  constexpr int kFarthest = 100;  // lines of comments between
  for (int line = after.line; line >= 1 && line > after.line - kFarthest; --line) {
    const size_t begin = lines_[static_cast<size_t>(line) - 1];
    std::string_view before = text_.substr(begin);
    before = before.substr(0, line == after.line ? offset - begin : before.find('\n'));
    const size_t comment = before.find('#');
    const size_t dash = before.substr(0, comment).find_last_not_of(" \t\r");
    if (dash == std::string_view::npos) continue;
    return before[dash] == '-' ? PlaceAt(line, static_cast<int>(dash)) : after;
  }
  return after;
}

}  // namespace rosterd::yaml
