// SPDX-License-Identifier: Apache-2.0
// Descriptors that end the sleep of a loop: an eventfd for wake-ups from other threads, a timerfd
// on CLOCK_BOOTTIME for what is due, so that it is due after a suspend too.
#pragma once

#include "base/clock.h"
#include "base/unique_fd.h"

namespace rosterd {

// Not valid when the system has none left; errno tells.
UniqueFd MakeWakeFd();
UniqueFd MakeBootTimer();

// From any thread.
void Raise(int wake_fd);
// kNever: off. The past: at once.
void ArmBootTimer(int timer_fd, TimePoint when);
// Takes what made either of them readable.
void Drain(int fd);

}  // namespace rosterd
