// SPDX-License-Identifier: Apache-2.0
// Preloaded before libfaketime 0.9.10 by test_clock.py, it mends what that library does not know, so
// that a program sees a moved wall clock as a kernel would show it:
// - it shifts every timerfd; those on CLOCK_BOOTTIME or CLOCK_MONOTONIC must not move;
// - futexes that wait for a moment of CLOCK_REALTIME (abseil's and so gRPC's condition variables)
//   wait by the true clock; here they end when the moved clock reaches it, also when it is moved
//   while they wait.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { kSecond = 1000000000, kSlice = 50000000 };

typedef long (*Syscall)(long, ...);

static Syscall Real(void) {
  static Syscall real;
  if (!real) real = (Syscall)dlsym(RTLD_NEXT, "syscall");
  return real;
}

static long long Nanoseconds(const struct timespec* t) { return t->tv_sec * 1LL * kSecond + t->tv_nsec; }

int timerfd_settime(int fd, int flags, const struct itimerspec* next, struct itimerspec* last) {
  return (int)Real()(SYS_timerfd_settime, fd, flags, next, last);
}

static long WaitByMovedClock(long* a) {
  const long long end = Nanoseconds((const struct timespec*)a[3]);
  for (;;) {
    struct timespec moved, now;
    clock_gettime(CLOCK_REALTIME, &moved);
    const long long left = end - Nanoseconds(&moved);
    if (left <= 0) {
      errno = ETIMEDOUT;
      return -1;
    }
    Real()(SYS_clock_gettime, CLOCK_REALTIME, &now);
    const long long until = Nanoseconds(&now) + (left < kSlice ? left : kSlice);
    const struct timespec slice = {until / kSecond, until % kSecond};
    const long result = Real()(SYS_futex, a[0], a[1], a[2], &slice, a[4], a[5]);
    if (result == 0 || errno != ETIMEDOUT) return result;
  }
}

long syscall(long number, ...) {
  long a[6];
  va_list arguments;
  va_start(arguments, number);
  for (int i = 0; i < 6; ++i) a[i] = va_arg(arguments, long);
  va_end(arguments);
  const int waits = number == SYS_futex && (a[1] & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET;
  if (waits && (a[1] & FUTEX_CLOCK_REALTIME) && a[3]) return WaitByMovedClock(a);
  return Real()(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
