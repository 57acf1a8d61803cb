// SPDX-License-Identifier: Apache-2.0
// Latest<T>: the one door between threads. It holds the newest immutable snapshot; readers take a
// shared pointer and never wait for a writer. Loops that sleep elsewhere subscribe a wake-up.
// A mutex on purpose: std::atomic<std::shared_ptr> of g++ 12 is neither lock-free nor clean under
// ThreadSanitizer.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace rosterd {

// Thread-safe.
template <typename T>
class Latest {
 public:
  Latest() = default;
  explicit Latest(std::shared_ptr<const T> first) : value_(std::move(first)) {}
  Latest(const Latest&) = delete;
  Latest& operator=(const Latest&) = delete;

  // Replaces the snapshot, then runs every subscribed wake-up on the calling thread.
  void Publish(std::shared_ptr<const T> value) {
    std::vector<std::function<void()>> wakes;
    {
      std::lock_guard lock(mutex_);
      value_.swap(value);
      wakes = wakes_;
    }
    for (const auto& wake : wakes) wake();
  }

  // The newest snapshot; null until the first Publish.
  std::shared_ptr<const T> Get() const {
    std::lock_guard lock(mutex_);
    return value_;
  }

  // `wake` runs after each Publish, on the publisher's thread: it must be short, must not call back
  // into this object and must stay valid as long as anything publishes here.
  void Subscribe(std::function<void()> wake) {
    std::lock_guard lock(mutex_);
    wakes_.push_back(std::move(wake));
  }

 private:
  mutable std::mutex mutex_;
  // Guarded by mutex_.
  std::shared_ptr<const T> value_;
  std::vector<std::function<void()>> wakes_;
};

}  // namespace rosterd
