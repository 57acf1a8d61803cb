// SPDX-License-Identifier: Apache-2.0
#include "base/backoff.h"

#include <algorithm>

namespace rosterd {

Duration RandomUpTo(Duration limit, Random& random) {
  if (limit <= Duration::zero()) return Duration::zero();
  return Duration(std::uniform_int_distribution<Duration::rep>(0, limit.count())(random));
}

Duration Jittered(Duration d, int percent, Random& random) {
  const Duration spread = d / 100 * percent;
  return d - spread + RandomUpTo(2 * spread, random);
}

Duration Backoff::Next(Random& random) {
  Duration limit = base_;
  for (int i = 0; i < failures_ && limit < cap_; ++i) limit *= 2;
  ++failures_;
  return RandomUpTo(std::min(limit, cap_), random);
}

}  // namespace rosterd
