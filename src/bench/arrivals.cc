// Draws gaps of unit rate, then bends time so that the rate follows the ramp.
#include "bench/arrivals.h"

#include <algorithm>
#include <cmath>
#include <random>

#include "base/check.h"

namespace pagoda {
namespace {

// How many requests are due by time t, and when so many are due.
double due_by(const ArrivalPlan& plan, double t) {
  if (t < plan.ramp_s) return plan.rate * t * t / (2.0 * plan.ramp_s);
  return plan.rate * (t - plan.ramp_s / 2.0);
}
double time_of(const ArrivalPlan& plan, double due) {
  const double by_end_of_ramp = plan.rate * plan.ramp_s / 2.0;
  if (due < by_end_of_ramp) return std::sqrt(2.0 * plan.ramp_s * due / plan.rate);
  return due / plan.rate + plan.ramp_s / 2.0;
}

}  // namespace

std::vector<double> arrival_times(const ArrivalPlan& plan, size_t max_count, double duration_s) {
  std::vector<double> times;
  if (!plan.trace_s.empty()) {
    for (const double t : plan.trace_s) {
      if (times.size() == max_count || t >= duration_s) break;
      times.push_back(t);
    }
    return times;
  }
  CHECK(plan.rate > 0.0 && plan.shape > 0.0);
  const double end = std::isfinite(duration_s) ? due_by(plan, duration_s)
                                               : std::numeric_limits<double>::infinity();
  std::mt19937_64 random(plan.seed);
  std::gamma_distribution<double> gap(std::isfinite(plan.shape) ? plan.shape : 1.0,
                                      std::isfinite(plan.shape) ? 1.0 / plan.shape : 1.0);
  double due = 0.0;
  while (times.size() < max_count) {
    // The first request is due at once, as a load starts with one.
    if (!times.empty()) due += std::isfinite(plan.shape) ? gap(random) : 1.0;
    if (due >= end) break;
    times.push_back(due);
  }
  if (times.size() == max_count && times.size() > 1 && times.back() > 0.0) {
    const double stretch =
        std::min(static_cast<double>(times.size() - 1), std::nextafter(end, 0.0)) / times.back();
    for (double& t : times) t *= stretch;
  }
  for (double& t : times) t = time_of(plan, t);
  return times;
}

}  // namespace pagoda
