// Clock: monotonic time as an interface, so that tests can set it.
#pragma once

#include <chrono>

namespace pagoda {

using TimePoint = std::chrono::steady_clock::time_point;

inline double seconds_between(TimePoint from, TimePoint to) {
  return std::chrono::duration<double>(to - from).count();
}

// Source of monotonic time. Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimePoint now() const = 0;
};

// The machine's steady clock. Immutable, thread-safe, lives for the whole program.
const Clock& real_clock();

}  // namespace pagoda
