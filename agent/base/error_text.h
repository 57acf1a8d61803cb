// SPDX-License-Identifier: Apache-2.0
// What the system says of an error, so that it reads well in the middle of a sentence. Pure.
#pragma once

#include <string>

namespace rosterd {

// "Connection refused" becomes "connection refused"; "SSL error" stays as it is.
std::string LowerFirst(std::string text);

// Of an errno: "connection refused".
std::string SystemErrorText(int error);

}  // namespace rosterd
