// SPDX-License-Identifier: Apache-2.0
// What went wrong with an exchange, in words for the person who runs the service. Never shows a
// URL, so never a password. Pure.
#pragma once

#include <string>
#include <string_view>

namespace rosterd {

struct FailedExchange {
  int curl_code = 0;
  int os_error = 0;
  std::string_view detail;    // libcurl's error buffer
  std::string_view tls_name;  // the name that the certificate had to be for
  std::string_view ca_file;
  bool answer_began = false;  // at least one byte of headers was there
};

std::string DescribeFailure(const FailedExchange& failed);

}  // namespace rosterd
