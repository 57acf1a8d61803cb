// SPDX-License-Identifier: Apache-2.0
#include "health/http_probe.h"

#include <set>
#include <string>
#include <unordered_map>
#include <utility>

#include "base/duration.h"
#include "health/curl_loop.h"
#include "health/http_exchange.h"

namespace rosterd {
namespace {

constexpr size_t kSpareConnections = 32;
constexpr size_t kIdleHandles = 64;
// Turns of reading in a row that brought nothing to us. An endless chunk extension reaches no
// callback of ours and would otherwise keep a core busy until its timeout.
constexpr int kFruitlessReads = 256;
// How long a full queue of events may put off a time-out: the answer may lie in that queue.
constexpr Duration kGrace = seconds(1);

}  // namespace

class HttpProbe::Impl {
 public:
  Impl(const Clock& clock, std::unique_ptr<CurlLoop> loop, std::unique_ptr<LookupBackend> lookup)
      : clock_(clock), loop_(std::move(loop)), lookup_(std::move(lookup)) {}
  ~Impl() {
    for (auto& [id, check] : checks_) {
      if (check->exchange != nullptr) loop_->Remove(check->exchange->easy());
    }
  }

  void Add(CheckId id, const CheckConfig& config);
  void Remove(CheckId id);
  void Start(CheckId id, TimePoint now);
  void Collect(std::vector<ProbeResult>& results);
  void Wait(TimePoint until);
  void Wake() const { loop_->Wake(); }

 private:
  struct Check {
    Check(CheckId id, const CheckConfig& config) : prepared(id, config) {}

    PreparedCheck prepared;
    // Of the run in progress.
    bool running = false;
    bool repeated = false;  // on a fresh connection, after a failure on a kept one
    size_t progress = 0;
    int fruitless_reads = 0;
    TimePoint started;
    TimePoint deadline;
    std::unique_ptr<HttpExchange> exchange;  // null while the name is looked up
  };

  void Launch(Check& check, const std::string& addresses, bool fresh);
  void Continue(Check& check, const NameLookup::Result& found);
  void Ended(Check& check, CURLcode code);
  void Finish(Check& check, ProbeResult result);
  void StopRun(Check& check);
  void WatchProgress();
  void ContinueLookups(TimePoint now);
  void Expire(bool more_to_read);
  std::string Addresses(const Check& check) const;

  const Clock& clock_;
  KeptSockets sockets_;
  const std::unique_ptr<CurlLoop> loop_;
  NameLookup lookup_;
  std::unordered_map<CheckId, std::unique_ptr<Check>> checks_;
  std::set<std::pair<TimePoint, CheckId>> deadlines_;
  std::set<CheckId> looking_up_;
  std::vector<std::unique_ptr<HttpExchange>> idle_;
  std::vector<ProbeResult> results_;
};

void HttpProbe::Impl::Add(CheckId id, const CheckConfig& config) {
  checks_[id] = std::make_unique<Check>(id, config);
  loop_->KeepConnections(checks_.size() + kSpareConnections);
}

void HttpProbe::Impl::Remove(CheckId id) {
  const auto found = checks_.find(id);
  if (found == checks_.end()) return;
  if (found->second->running) StopRun(*found->second);
  checks_.erase(found);
  loop_->KeepConnections(checks_.size() + kSpareConnections);
}

void HttpProbe::Impl::Start(CheckId id, TimePoint now) {
  const auto found = checks_.find(id);
  if (found == checks_.end() || found->second->running) return;
  Check& check = *found->second;
  check.running = true;
  check.repeated = false;
  check.progress = 0;
  check.fruitless_reads = 0;
  check.started = now;
  check.deadline = now + check.prepared.config.timeout;
  deadlines_.emplace(check.deadline, id);
  const auto& request = check.prepared.request;
  if (request.ok() && request->needs_lookup) {
    Continue(check, lookup_.Begin(request->connect_host, now));
  } else {
    Launch(check, "", false);
  }
}

void HttpProbe::Impl::Continue(Check& check, const NameLookup::Result& found) {
  switch (found.state) {
    case NameLookup::State::kPending:
      looking_up_.insert(check.prepared.id);
      return;
    case NameLookup::State::kFound:
      return Launch(check, found.addresses, false);
    case NameLookup::State::kFailed: {
      ProbeResult result;
      result.error = found.error;
      result.own_trouble = found.ours;
      return Finish(check, std::move(result));
    }
  }
}

void HttpProbe::Impl::Launch(Check& check, const std::string& addresses, bool fresh) {
  if (check.exchange == nullptr) {
    if (idle_.empty()) {
      check.exchange = std::make_unique<HttpExchange>(sockets_);
    } else {
      check.exchange = std::move(idle_.back());
      idle_.pop_back();
    }
  }
  ProbeResult result;
  if (check.exchange->easy() == nullptr) {
    check.exchange.reset();
    result.own_trouble = true;
    result.error = "not run: out of memory";
    return Finish(check, std::move(result));
  }
  CURL* easy = check.exchange->easy();
  if (const absl::Status status = check.exchange->Prepare(check.prepared, addresses, fresh);
      !status.ok()) {
    result.error = std::string(status.message());
    return Finish(check, std::move(result));
  }
  curl_easy_setopt(easy, CURLOPT_PRIVATE, &check);
  if (!loop_->Add(easy)) {
    result.own_trouble = true;
    result.error = "not run: libcurl takes no more transfers";
    Finish(check, std::move(result));
  }
}

void HttpProbe::Impl::Ended(Check& check, CURLcode code) {
  ProbeResult result = check.exchange->Judge(code);
  // A kept connection may have been closed, or carry an answer to something else: only what a fresh
  // one says counts against the service.
  if (!result.success && check.exchange->reused() && !check.repeated &&
      code != CURLE_OPERATION_TIMEDOUT && clock_.Now() < check.deadline) {
    loop_->Remove(check.exchange->easy());
    check.repeated = true;
    Launch(check, Addresses(check), true);
    return;
  }
  Finish(check, std::move(result));
}

std::string HttpProbe::Impl::Addresses(const Check& check) const {
  const auto& request = check.prepared.request;
  return request.ok() && request->needs_lookup ? lookup_.Peek(request->connect_host).addresses : "";
}

void HttpProbe::Impl::Finish(Check& check, ProbeResult result) {
  result.id = check.prepared.id;
  result.duration = clock_.Now() - check.started;
  const auto& request = check.prepared.request;
  if (!result.success && request.ok() && request->needs_lookup) {
    lookup_.Doubt(request->connect_host);
  }
  StopRun(check);
  results_.push_back(std::move(result));
}

void HttpProbe::Impl::StopRun(Check& check) {
  check.running = false;
  deadlines_.erase({check.deadline, check.prepared.id});
  looking_up_.erase(check.prepared.id);
  if (check.exchange == nullptr) return;
  loop_->Remove(check.exchange->easy());
  check.exchange->Reset();
  if (idle_.size() < kIdleHandles) idle_.push_back(std::move(check.exchange));
  check.exchange.reset();
}

void HttpProbe::Impl::Collect(std::vector<ProbeResult>& results) {
  for (ProbeResult& result : results_) results.push_back(std::move(result));
  results_.clear();
}

void HttpProbe::Impl::Wait(TimePoint until) {
  const TimePoint now = clock_.Now();
  if (!results_.empty()) until = now;
  if (!deadlines_.empty()) until = std::min(until, deadlines_.begin()->first);
  until = std::min(until, lookup_.NextPoll(now));
  const bool more_to_read = loop_->Turn(until);
  WatchProgress();
  for (const auto& [easy, code] : loop_->TakeDone()) {
    Check* check = nullptr;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &check);
    Ended(*check, code);
  }
  ContinueLookups(clock_.Now());
  Expire(more_to_read);
}

void HttpProbe::Impl::WatchProgress() {
  // By index: ending a run takes its handle out of the list.
  for (size_t i = 0; i < loop_->active().size(); ++i) {
    CURL* easy = loop_->active()[i];
    if (easy == nullptr) continue;
    Check* check = nullptr;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &check);
    const size_t progress = check->exchange->progress();
    const bool fruitless = progress == std::exchange(check->progress, progress);
    check->fruitless_reads = fruitless ? check->fruitless_reads + 1 : 0;
    if (check->fruitless_reads > kFruitlessReads) Finish(*check, check->exchange->JudgeEndless());
  }
}

void HttpProbe::Impl::ContinueLookups(TimePoint now) {
  if (!lookup_.Poll(now)) return;
  for (const CheckId id : std::vector<CheckId>(looking_up_.begin(), looking_up_.end())) {
    Check& check = *checks_[id];
    const NameLookup::Result found = lookup_.Peek(check.prepared.request->connect_host);
    if (found.state == NameLookup::State::kPending) continue;
    looking_up_.erase(id);
    Continue(check, found);
  }
}

void HttpProbe::Impl::Expire(bool more_to_read) {
  const TimePoint now = clock_.Now();
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    if (more_to_read && now < deadlines_.begin()->first + kGrace) return;
    Check& check = *checks_[deadlines_.begin()->second];
    if (check.exchange != nullptr) {
      Finish(check, check.exchange->JudgeTimeout());
      continue;
    }
    ProbeResult result;
    result.error = "timed out after " + FormatDuration(check.prepared.config.timeout) +
                   " looking up '" + check.prepared.request->connect_host + "'";
    Finish(check, std::move(result));
  }
}

absl::StatusOr<std::unique_ptr<HttpProbe>> HttpProbe::Create(
    const Clock& clock, std::unique_ptr<LookupBackend> lookup) {
  auto loop = CurlLoop::Create(clock);
  if (!loop.ok()) return loop.status();
  return std::unique_ptr<HttpProbe>(
      new HttpProbe(std::make_unique<Impl>(clock, std::move(*loop), std::move(lookup))));
}

HttpProbe::HttpProbe(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpProbe::~HttpProbe() = default;

void HttpProbe::Add(CheckId id, const CheckConfig& check) { impl_->Add(id, check); }
void HttpProbe::Remove(CheckId id) { impl_->Remove(id); }
void HttpProbe::Start(CheckId id, TimePoint now) { impl_->Start(id, now); }
void HttpProbe::Collect(std::vector<ProbeResult>& results) { impl_->Collect(results); }
void HttpProbe::Wait(TimePoint until) { impl_->Wait(until); }
void HttpProbe::Wake() { impl_->Wake(); }

}  // namespace rosterd
