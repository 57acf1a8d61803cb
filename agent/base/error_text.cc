// SPDX-License-Identifier: Apache-2.0
#include "base/error_text.h"

#include <cctype>
#include <system_error>

namespace rosterd {

std::string LowerFirst(std::string text) {
  if (text.size() > 1 && std::islower(static_cast<unsigned char>(text[1])) != 0) {
    text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
  }
  return text;
}

std::string SystemErrorText(int error) {
  return LowerFirst(std::generic_category().message(error));
}

}  // namespace rosterd
