// SPDX-License-Identifier: Apache-2.0
#include "base/state_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <utility>

#include "base/error_text.h"
#include "base/status.h"
#include "base/unique_fd.h"

namespace rosterd {
namespace {

constexpr size_t kBufferBytes = 256 * 1024;
// The checksum in its line.
constexpr size_t kTrailerBytes = 17;

absl::Status Failed(const std::string& what, int error) {
  return absl::UnavailableError(what + ": " + SystemErrorText(error));
}

std::string FirstLine(const StateFile::Kind& kind) {
  return "rosterd " + kind.name + " " + std::to_string(kind.format) + "\n";
}

// A file under construction: gathers pieces, hashes them, writes them in large ones.
class Sink {
 public:
  Sink(int fd, size_t max_bytes) : fd_(fd), max_bytes_(max_bytes) { buffer_.reserve(kBufferBytes); }

  void Append(std::string_view piece) {
    hash_ = HashText(piece, hash_);
    Take(piece);
  }
  absl::Status Finish() {
    Take(HexText(hash_) + "\n");
    Flush();
    return status_;
  }

 private:
  void Take(std::string_view piece) {
    bytes_ += piece.size();
    if (!status_.ok()) return;
    if (bytes_ > max_bytes_) {
      status_ = absl::ResourceExhaustedError("it would be longer than " +
                                             std::to_string(max_bytes_) + " bytes");
      return;
    }
    buffer_ += piece;
    if (buffer_.size() >= kBufferBytes) Flush();
  }
  void Flush() {
    std::string_view rest = buffer_;
    while (status_.ok() && !rest.empty()) {
      const ssize_t written = ::write(fd_, rest.data(), rest.size());
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) {
        status_ = absl::UnavailableError(SystemErrorText(written < 0 ? errno : EIO));
      } else {
        rest.remove_prefix(static_cast<size_t>(written));
      }
    }
    buffer_.clear();
  }

  const int fd_;
  const size_t max_bytes_;
  std::string buffer_;
  uint64_t hash_ = HashText({});
  size_t bytes_ = 0;
  absl::Status status_;
};

}  // namespace

uint64_t HashText(std::string_view text, uint64_t before) {
  for (const unsigned char c : text) before = (before ^ c) * 0x100000001b3;
  return before;
}

std::string HexText(uint64_t number) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(number));
  return text;
}

std::optional<uint64_t> ParseHexText(std::string_view text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, 16);
  if (error != std::errc() || text.empty() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::string FrameState(const StateFile::Kind& kind, std::string_view body) {
  std::string text = FirstLine(kind);
  text += body;
  return text + HexText(HashText(text)) + "\n";
}

absl::StatusOr<std::string> UnframeState(const StateFile::Kind& kind, std::string text) {
  const size_t end = text.size() < kTrailerBytes ? 0 : text.size() - kTrailerBytes;
  const std::string_view whole = text;
  if (end == 0 || whole.substr(end) != HexText(HashText(whole.substr(0, end))) + "\n") {
    return absl::DataLossError("its checksum is wrong");
  }
  const std::string first = FirstLine(kind);
  if (!whole.starts_with(first)) {
    return absl::FailedPreconditionError(
        "it begins with '" + text.substr(0, std::min(whole.find('\n'), size_t{40})) +
        "', this version reads '" + first.substr(0, first.size() - 1) + "'");
  }
  text.resize(end);
  text.erase(0, first.size());
  return text;
}

StateFile::StateFile(DataDir& dir, Kind kind)
    : dir_(dir),
      kind_(std::move(kind)),
      path_(dir.path() + "/" + kind_.name),
      failures_(dir.metrics().AddCounter("rosterd_state_write_failures_total",
                                         "Failed attempts to keep state in data_dir, by file.",
                                         {{"file", kind_.name}})) {}

absl::StatusOr<std::optional<std::string>> StateFile::Load() const {
  // Not blocking: whatever stands there under this name, the start must not wait for it.
  const UniqueFd fd(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid() && (errno == ENOENT || errno == ENOTDIR)) return std::nullopt;
  if (!fd.valid()) return Failed("cannot read " + path_, errno);
  struct stat found {};
  if (::fstat(fd.get(), &found) != 0) return Failed("cannot read " + path_, errno);
  const auto unusable = [this](const std::string& why) {
    return absl::DataLossError(path_ + " cannot be used: " + why);
  };
  if (!S_ISREG(found.st_mode)) return unusable("it is not a regular file");
  if (static_cast<size_t>(found.st_size) > kind_.max_bytes) {
    return unusable("it is " + std::to_string(found.st_size) + " bytes long, more than " +
                    std::to_string(kind_.max_bytes));
  }
  std::string text(static_cast<size_t>(found.st_size), '\0');
  size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = ::read(fd.get(), text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Failed("cannot read " + path_, errno);
    if (got == 0) break;
    size += static_cast<size_t>(got);
  }
  text.resize(size);
  auto body = UnframeState(kind_, std::move(text));
  if (!body.ok()) return unusable(std::string(body.status().message()));
  return *std::move(body);
}

absl::Status StateFile::Save(const Produce& produce) {
  const absl::Status saved = Write(produce);
  if (!saved.ok()) failures_.Increment();
  dir_.NoteSave(kind_.name, saved);
  return saved;
}

absl::Status StateFile::Save(std::string_view body) {
  return Save([body](const Append& append) { append(body); });
}

absl::Status StateFile::Write(const Produce& produce) const {
  RETURN_IF_ERROR(dir_.Prepare());
  const std::string aside = path_ + ".new";
  const auto give_up = [&aside](const absl::Status& why) {
    ::unlink(aside.c_str());  // on a full disk its room is wanted
    return why;
  };
  {
    // Not blocking: a pipe under this name must not be waited for.
    const UniqueFd fd(
        ::open(aside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK | O_CLOEXEC, 0640));
    if (!fd.valid()) return Failed("cannot write " + aside, errno);
    Sink sink(fd.get(), kind_.max_bytes);
    sink.Append(FirstLine(kind_));
    produce([&sink](std::string_view piece) { sink.Append(piece); });
    if (const absl::Status written = sink.Finish(); !written.ok()) {
      return give_up(
          absl::UnavailableError("cannot write " + aside + ": " + std::string(written.message())));
    }
    if (::fsync(fd.get()) != 0) return give_up(Failed("cannot write " + aside, errno));
  }
  if (::rename(aside.c_str(), path_.c_str()) != 0) {
    return give_up(Failed("cannot write " + path_, errno));
  }
  // Best effort: without it a power cut may bring back the old file, which is whole as well.
  dir_.Sync();
  return absl::OkStatus();
}

}  // namespace rosterd
