// SPDX-License-Identifier: Apache-2.0
#include "yaml/include.h"

#include <fcntl.h>
#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>
#include <utility>

#include "base/unique_fd.h"

namespace rosterd::yaml {
namespace {

absl::Status Unreadable(const std::string& why) { return absl::FailedPreconditionError(why); }

// The folder is no pattern, whatever characters are in it.
std::string Escaped(const std::string& folder) {
  std::string out;
  for (const char c : folder) {
    if (std::string_view("*?[]\\").find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

struct Matches {
  std::vector<std::string> paths;
  bool failed = false;
};

Matches Expand(const std::string& pattern) {
  Matches matches;
  glob_t found{};
  // A folder that is not there holds no matches; one that may not be listed is an error.
  const auto on_error = [](const char*, int error) { return error == ENOENT ? 0 : 1; };
  const int result = glob(pattern.c_str(), GLOB_NOSORT, on_error, &found);
  for (size_t i = 0; i < found.gl_pathc; ++i) matches.paths.emplace_back(found.gl_pathv[i]);
  globfree(&found);
  matches.failed = result != 0 && result != GLOB_NOMATCH;
  std::sort(matches.paths.begin(), matches.paths.end());
  return matches;
}

}  // namespace

absl::StatusOr<std::string> ReadWholeFile(const std::string& path, size_t most, bool any_kind) {
  // Without O_NONBLOCK, opening a named pipe would wait for a writer.
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | (any_kind ? 0 : O_NONBLOCK)));
  if (!fd.valid()) return Unreadable(std::strerror(errno));
  struct stat info {};
  if (fstat(fd.get(), &info) != 0) return Unreadable(std::strerror(errno));
  if (S_ISDIR(info.st_mode)) return Unreadable("it is a folder");
  if (!any_kind && !S_ISREG(info.st_mode)) return Unreadable("it is not a file");
  std::string text;
  constexpr size_t kPiece = size_t{64} << 10;
  while (text.size() <= most) {
    const size_t had = text.size();
    text.resize(std::min(had + kPiece, most + 1));
    const ssize_t got = read(fd.get(), text.data() + had, text.size() - had);
    if (got < 0 && errno == EINTR) {
      text.resize(had);
      continue;
    }
    if (got < 0) return Unreadable(std::strerror(errno));
    text.resize(had + static_cast<size_t>(got));
    if (got == 0) break;
  }
  return text;
}

std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash + 1);
}

std::vector<IncludedFile> FindIncluded(const std::vector<IncludePattern>& patterns,
                                       const SourceFile& including, Problems& problems) {
  std::vector<IncludedFile> files;
  std::set<std::string> seen;
  for (const auto& [pattern, place] : patterns) {
    const bool absolute = pattern.starts_with('/');
    const std::string folder = absolute ? "" : including.folder;
    Matches matches;
    if (pattern.find_first_of("*?[") == std::string::npos) {
      matches.paths = {folder + pattern};
    } else {
      matches = Expand(Escaped(folder) + pattern);
    }
    if (matches.failed) {
      problems.Add(place, "include: a folder of " + Quoted(pattern) +
                              " cannot be listed; make it readable for this user");
    }
    for (std::string& path : matches.paths) {
      std::error_code ignored;
      if (std::filesystem::equivalent(path, including.name, ignored)) {
        problems.Add(place, "include: " + Quoted(pattern) +
                                " names this file itself; keep included files in a folder of "
                                "their own, for example services.d/*.yaml");
      } else if (seen.insert(path).second) {
        files.push_back({std::move(path), place});
      }
    }
  }
  return files;
}

}  // namespace rosterd::yaml
