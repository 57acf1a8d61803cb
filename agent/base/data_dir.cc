// SPDX-License-Identifier: Apache-2.0
#include "base/data_dir.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/error_text.h"
#include "base/status.h"

namespace rosterd {
namespace {

// In NoteSave()'s place for a file, at the start.
constexpr char kItself[] = "";

bool IsStill(int fd, const std::string& path) {
  struct stat open {};
  struct stat there {};
  return ::fstat(fd, &open) == 0 && ::stat(path.c_str(), &there) == 0 &&
         open.st_dev == there.st_dev && open.st_ino == there.st_ino;
}

}  // namespace

absl::StatusOr<std::unique_ptr<DataDir>> DataDir::Open(std::string path, Log& log,
                                                       Metrics& metrics) {
  std::unique_ptr<DataDir> dir(new DataDir(std::move(path), log, metrics));
  const absl::Status ready = dir->Prepare();
  if (absl::IsAlreadyExists(ready)) return ready;
  dir->NoteSave(kItself, ready);
  return dir;
}

absl::Status DataDir::Prepare() {
  std::lock_guard lock(mutex_);
  if (!locked_.valid() || !IsStill(locked_.get(), path_)) RETURN_IF_ERROR(Lock());
  if (::access(path_.c_str(), W_OK) != 0) {
    return absl::UnavailableError("data_dir " + path_ +
                                  " cannot be written: " + SystemErrorText(errno));
  }
  return absl::OkStatus();
}

absl::Status DataDir::Lock() {
  const std::string named = "data_dir " + path_;
  std::error_code error;
  std::filesystem::create_directories(path_, error);
  if (error) {
    return absl::UnavailableError(named + " cannot be made: " + SystemErrorText(error.value()));
  }
  UniqueFd dir(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!dir.valid()) {
    return absl::UnavailableError(named + " cannot be opened: " + SystemErrorText(errno));
  }
  if (::flock(dir.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) {
      return absl::AlreadyExistsError(
          named + " is in use by another rosterd; stop that one or give this one its own");
    }
    return absl::UnavailableError(named + " cannot be locked: " + SystemErrorText(errno));
  }
  locked_ = std::move(dir);
  return absl::OkStatus();
}

void DataDir::Sync() const {
  UniqueFd copy;
  {
    std::lock_guard lock(mutex_);
    if (!locked_.valid()) return;
    copy = UniqueFd(::fcntl(locked_.get(), F_DUPFD_CLOEXEC, 0));
  }
  // Without the lock: it may take as long as the disk likes.
  if (copy.valid()) ::fsync(copy.get());
}

void DataDir::NoteSave(const std::string& file, const absl::Status& saved) {
  std::lock_guard lock(mutex_);
  const bool were_failing = !failing_.empty();
  if (saved.ok()) {
    failing_.erase(file);
    failing_.erase(kItself);
    if (were_failing && failing_.empty()) {
      log_.Info("state is kept on disk again", {{"data_dir", path_}});
    }
    return;
  }
  failing_.insert(file);
  if (were_failing) return;
  log_.Warn(
      "state cannot be kept on disk: the agent goes on without, but after a restart it would not "
      "know its lease, its check states and its catalog; make room, or correct the owner or the "
      "mount; every later save tries again",
      {{"data_dir", path_}, {"error", std::string(saved.message())}});
}

}  // namespace rosterd
