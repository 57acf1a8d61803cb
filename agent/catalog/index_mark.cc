// SPDX-License-Identifier: Apache-2.0
#include "catalog/index_mark.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/state_file.h"

namespace rosterd {
namespace {

// Two numbers of 16 digits, the second to tell a torn write by.
constexpr size_t kBytes = 34;

}  // namespace

std::string EncodeIndexMark(int64_t shown) {
  const auto number = static_cast<uint64_t>(shown);
  return HexText(number) + " " + HexText(~number) + "\n";
}

std::optional<int64_t> DecodeIndexMark(const std::string& text) {
  if (text.size() != kBytes || text[16] != ' ' || text.back() != '\n') return std::nullopt;
  const auto number = ParseHexText(text.substr(0, 16));
  const auto inverse = ParseHexText(text.substr(17, 16));
  if (!number || !inverse || *number != ~*inverse) return std::nullopt;
  const auto shown = static_cast<int64_t>(*number);
  return shown < 0 ? std::nullopt : std::optional(shown);
}

IndexMark::IndexMark(DataDir& dir) : dir_(dir), path_(dir.path() + "/index") {}

int64_t IndexMark::Load() {
  const UniqueFd fd(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW));
  if (!fd.valid()) return 0;
  std::string text(kBytes + 1, '\0');
  const ssize_t got = ::read(fd.get(), text.data(), text.size());
  if (got < 0) return 0;
  text.resize(static_cast<size_t>(got));
  return DecodeIndexMark(text).value_or(0);
}

void IndexMark::Raise(int64_t shown) {
  if (shown <= written_) return;
  if (!fd_.valid()) {
    if (!dir_.Prepare().ok()) return;
    fd_ = UniqueFd(
        ::open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW, 0640));
    if (!fd_.valid()) return;
  }
  const std::string text = EncodeIndexMark(shown);
  const ssize_t done = ::pwrite(fd_.get(), text.data(), text.size(), 0);
  if (done == static_cast<ssize_t>(text.size())) written_ = shown;
}

}  // namespace rosterd
