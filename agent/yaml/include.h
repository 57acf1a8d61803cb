// SPDX-License-Identifier: Apache-2.0
// The files of a configuration: reads them, and finds those that `include` names. Runs on the
// thread that reads the configuration, and touches nothing but the disk.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "yaml/problem.h"

namespace rosterd::yaml {

// At most `most` bytes and one more, so that the reader sees that it was too long. A device or a
// pipe is read only where `any_kind`. Error: why not, fit for a message.
absl::StatusOr<std::string> ReadWholeFile(const std::string& path, size_t most, bool any_kind);

// One item of `include`, with the place where it stands.
struct IncludePattern {
  std::string text;
  Place place;
};

struct IncludedFile {
  std::string path;  // as reached from the including file
  Place place;       // of the pattern that named it
};

// Each pattern's files sorted by name, and every file once. Patterns that name no file where they
// have to become problems.
std::vector<IncludedFile> FindIncluded(const std::vector<IncludePattern>& patterns,
                                       const SourceFile& including, Problems& problems);

// "conf/" for "conf/rosterd.yaml"; "" for a file of the working folder.
std::string FolderOf(const std::string& path);

}  // namespace rosterd::yaml
