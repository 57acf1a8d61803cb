// SPDX-License-Identifier: Apache-2.0
#include "catalog/index_mark.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "base/error_text.h"
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
  const auto number = ParseHexText(text.substr(0, 16));
  if (!number || *number >> 63 != 0) return std::nullopt;
  const auto shown = static_cast<int64_t>(*number);
  return EncodeIndexMark(shown) == text ? std::optional(shown) : std::nullopt;
}

IndexMark::IndexMark(DataDir& dir) : dir_(dir), path_(dir.path() + "/index") {}

absl::StatusOr<std::optional<int64_t>> IndexMark::Load() const {
  const UniqueFd fd(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid() && (errno == ENOENT || errno == ENOTDIR)) return std::nullopt;
  std::string text(kBytes + 1, '\0');
  const ssize_t got = fd.valid() ? ::read(fd.get(), text.data(), text.size()) : -1;
  if (got < 0) {
    return absl::UnavailableError("cannot read " + path_ + ": " + SystemErrorText(errno));
  }
  text.resize(static_cast<size_t>(got));
  const auto shown = DecodeIndexMark(text);
  if (!shown)
    return absl::DataLossError(path_ + " cannot be used: it is torn or of something else");
  return shown;
}

void IndexMark::Raise(int64_t shown) {
  if (shown <= written_) return;
  if (!fd_.valid()) {
    if (!dir_.Prepare().ok()) return;
    fd_ = UniqueFd(::open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0640));
    if (!fd_.valid() || ::ftruncate(fd_.get(), kBytes) != 0) return;
  }
  const std::string text = EncodeIndexMark(shown);
  const ssize_t done = ::pwrite(fd_.get(), text.data(), text.size(), 0);
  if (done == static_cast<ssize_t>(text.size())) written_ = shown;
}

}  // namespace rosterd
