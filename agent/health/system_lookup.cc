// SPDX-License-Identifier: Apache-2.0
// The system's resolver behind LookupBackend, by glibc's getaddrinfo_a: its helper threads belong
// to glibc, so a lookup that hangs neither holds the prober nor a stop.
#include <arpa/inet.h>
#include <netdb.h>

#include <map>
#include <memory>
#include <utility>

#include "base/error_text.h"
#include "health/name_lookup.h"

namespace rosterd {
namespace {

struct Request {
  explicit Request(std::string name) : host(std::move(name)) {
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_ADDRCONFIG;
    block.ar_name = host.c_str();
    block.ar_request = &hints;
  }
  ~Request() {
    if (block.ar_result != nullptr) freeaddrinfo(block.ar_result);
  }
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  const std::string host;
  addrinfo hints{};
  gaicb block{};
};

std::string NumericAddress(const addrinfo& info) {
  char text[NI_MAXHOST];
  if (getnameinfo(info.ai_addr, info.ai_addrlen, text, sizeof text, nullptr, 0, NI_NUMERICHOST)) {
    return "";
  }
  return info.ai_family == AF_INET6 ? "[" + std::string(text) + "]" : text;
}

// Owned by the prober thread.
class SystemLookup final : public LookupBackend {
 public:
  ~SystemLookup() override {
    for (auto& [host, request] : requests_) {
      // One that cannot be cancelled still writes to its block: that stays behind.
      if (gai_cancel(&request->block) == EAI_NOTCANCELED) (void)request.release();
    }
  }

  void Start(const std::string& host) override {
    auto request = std::make_unique<Request>(host);
    gaicb* list[] = {&request->block};
    const int error = getaddrinfo_a(GAI_NOWAIT, list, 1, nullptr);
    if (error != 0) {
      refused_.push_back({host, {}, LowerFirst(gai_strerror(error))});
    } else {
      requests_[host] = std::move(request);
    }
  }

  void Collect(std::vector<Answer>& answers) override {
    for (Answer& answer : refused_) answers.push_back(std::move(answer));
    refused_.clear();
    for (auto it = requests_.begin(); it != requests_.end();) {
      Request& request = *it->second;
      const int error = gai_error(&request.block);
      if (error == EAI_INPROGRESS) {
        ++it;
        continue;
      }
      Answer answer{request.host, {}, ""};
      if (error != 0) {
        answer.error = LowerFirst(gai_strerror(error));
      } else {
        for (const addrinfo* info = request.block.ar_result; info; info = info->ai_next) {
          const std::string address = NumericAddress(*info);
          if (!address.empty()) answer.addresses.push_back(address);
        }
        if (answer.addresses.empty()) answer.error = "the name has no address";
      }
      answers.push_back(std::move(answer));
      it = requests_.erase(it);
    }
  }

 private:
  std::map<std::string, std::unique_ptr<Request>> requests_;  // by host
  std::vector<Answer> refused_;
};

}  // namespace

std::unique_ptr<LookupBackend> MakeSystemLookup() { return std::make_unique<SystemLookup>(); }

}  // namespace rosterd
