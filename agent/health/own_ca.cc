// SPDX-License-Identifier: Apache-2.0
#include "health/own_ca.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <utility>

#include "base/error_text.h"
#include "health/curl_words.h"

namespace rosterd {
namespace {

// Parsed anew for each connection, so it has to be small; 1,000 certificates are not.
constexpr int64_t kSmall = 32 * 1024;

absl::Status Unreadable(const std::string& file, const std::string& why) {
  return absl::FailedPreconditionError("TLS: the CA file '" + file + "' cannot be read: " + why);
}

}  // namespace

absl::Status OwnCa::Refresh() {
  struct stat info {};
  if (::stat(file_.c_str(), &info) != 0) return Unreadable(file_, SystemErrorText(errno));
  const int64_t now[4] = {static_cast<int64_t>(info.st_dev), static_cast<int64_t>(info.st_ino),
                          static_cast<int64_t>(info.st_size),
                          info.st_ctim.tv_sec * 1'000'000'000 + info.st_ctim.tv_nsec};
  if (std::equal(now, now + 4, seen_)) return absl::OkStatus();
  if (!S_ISREG(info.st_mode)) return Unreadable(file_, "it is no regular file");
  if (info.st_size > kSmall) {
    text_.clear();
  } else {
    std::ifstream in(file_, std::ios::binary);
    std::string text{std::istreambuf_iterator<char>(in), {}};
    if (!in.good() && !in.eof()) return Unreadable(file_, "no permission, or a broken disk");
    if (text.empty()) return Unreadable(file_, "it is empty");
    text_ = std::move(text);
  }
  std::copy(now, now + 4, seen_);
  return absl::OkStatus();
}

}  // namespace rosterd
