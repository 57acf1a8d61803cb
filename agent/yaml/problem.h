// SPDX-License-Identifier: Apache-2.0
// Problem: one thing that is wrong with a configuration, and where. Problems collects all of them,
// so that a person sees every one at once and not only the first.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace rosterd {

struct Problem {
  std::string file;  // as given on the command line; an included one as it was reached from there
  int line = 1;      // 1-based
  int column = 1;    // 1-based, in characters
  std::string text;  // "what is wrong; what would be right"

  // "FILE:LINE:COLUMN: TEXT", always one line.
  std::string Format() const;
  bool operator==(const Problem&) const = default;
};

namespace yaml {

struct SourceFile {
  std::string name;    // as shown
  std::string folder;  // what relative paths in it are relative to; "" is the working folder
  int rank = 0;        // its place in the order of reading
};

struct Place {
  std::shared_ptr<const SourceFile> file;
  int line = 1;
  int column = 1;

  std::string Format() const;  // "FILE:LINE:COLUMN"
};

// 'text' fit for a message: in quotes, shortened, without line breaks and control characters.
std::string Quoted(std::string_view text);

// Owned by the thread that reads the configuration.
class Problems {
 public:
  void Add(const Place& place, std::string text);
  bool empty() const { return found_.empty(); }
  // In the order of the files and of the places in them; each once.
  std::vector<Problem> Take();

 private:
  struct Found {
    int rank;
    Problem problem;
  };
  std::vector<Found> found_;
};

}  // namespace yaml
}  // namespace rosterd
