// SPDX-License-Identifier: Apache-2.0
// CurlLoop: a libcurl multi handle on epoll. Drives the transfers it is given and says which are
// done; knows nothing of checks. Runs on the prober thread; Wake() alone may be called from any.
#pragma once

#include <curl/curl.h>

#include <memory>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/unique_fd.h"

namespace rosterd {

// Owned by the prober thread.
class CurlLoop {
 public:
  static absl::StatusOr<std::unique_ptr<CurlLoop>> Create(const Clock& clock);
  ~CurlLoop();
  CurlLoop(const CurlLoop&) = delete;
  CurlLoop& operator=(const CurlLoop&) = delete;

  // The transfer begins at the next Turn. False when libcurl refuses it.
  bool Add(CURL* easy);
  // Ends it at once if it is not done yet.
  void Remove(CURL* easy);
  // How many idle connections are kept.
  void KeepConnections(size_t count);

  // Sleeps until something happens, at most to `until`, and works it off for a bounded time. True
  // when more is ready to be read.
  bool Turn(TimePoint until);
  // Since the last Turn: what is done (still to be removed), and who got bytes, once per read.
  std::vector<std::pair<CURL*, CURLcode>> TakeDone() { return std::exchange(done_, {}); }
  const std::vector<CURL*>& active() const { return active_; }

  void Wake() const;

 private:
  struct MultiFree {
    void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
  };

  explicit CurlLoop(const Clock& clock) : clock_(clock) {}

  static int OnSocket(CURL* easy, curl_socket_t fd, int what, void* self, void* known);
  static int OnTimer(CURLM* multi, long timeout_ms, void* self);
  void RunTimers(TimePoint now);
  void CollectDone();
  void ArmTimer(TimePoint until);

  const Clock& clock_;
  std::unique_ptr<CURLM, MultiFree> multi_;
  UniqueFd epoll_fd_, wake_fd_, timer_fd_;
  TimePoint timer_set_for_ = kNever;
  TimePoint curl_due_ = kNever;
  std::vector<CURL*> users_;  // by descriptor
  std::vector<CURL*> active_;
  std::vector<std::pair<CURL*, CURLcode>> done_;
};

}  // namespace rosterd
