// When the requests of an open loop are due.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace pagoda {

struct ArrivalPlan {
  double rate = 1.0;  // requests a second
  // Shape of the gamma distribution of the gaps: 1 is a Poisson process, less is burstier, infinity
  // is a constant gap.
  double shape = 1.0;
  double ramp_s = 0.0;  // the rate rises from zero to `rate` in a straight line for so long
  uint64_t seed = 0;
  std::vector<double> trace_s = {};  // not empty: these times, whatever else is set
};

inline constexpr double kConstantGap = std::numeric_limits<double>::infinity();

// Ascending times in seconds from the start, at most `max_count`, and none at or after
// `duration_s`. When the count ends it and not the duration, the times are stretched so that the
// last falls where the rate says, as vLLM's benchmark has it: the rate asked for is the rate sent.
// REQUIRES: rate > 0, shape > 0.
std::vector<double> arrival_times(const ArrivalPlan& plan, size_t max_count, double duration_s);

}  // namespace pagoda
