// SPDX-License-Identifier: Apache-2.0
// Backoff: exponential with full jitter, rand(0, min(cap, base * 2^n)). Full jitter, because a
// fleet that lost etcd at one moment must not come back at one moment (etcd #9911, #20717).
#pragma once

#include <random>

#include "base/clock.h"

namespace rosterd {

// The project's random source; passed in, so that a test can fix its seed.
using Random = std::mt19937_64;

// Uniform in [0, limit]; 0 for a limit that is not positive.
Duration RandomUpTo(Duration limit, Random& random);
// d changed by up to +-`percent` of itself: for everything periodic that a fleet would do at once.
Duration Jittered(Duration d, int percent, Random& random);

// Not thread-safe: owned by one worker.
class Backoff {
 public:
  Backoff(Duration base, Duration cap) : base_(base), cap_(cap) {}

  // How long to wait before the next attempt. The first call after Reset() draws from [0, base].
  Duration Next(Random& random);
  void Reset() { failures_ = 0; }

 private:
  const Duration base_;
  const Duration cap_;
  int failures_ = 0;
};

}  // namespace rosterd
