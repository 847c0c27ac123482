// Tests of bench/arrivals.h.
#include "bench/arrivals.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace pagoda {
namespace {

constexpr double kNoEnd = std::numeric_limits<double>::infinity();
constexpr size_t kNoCount = 1'000'000;

TEST(Arrivals, ConstantGapsAreAllTheSame) {
  const auto times = arrival_times({.rate = 4.0, .shape = kConstantGap}, 9, kNoEnd);
  ASSERT_EQ(times.size(), 9U);
  for (size_t i = 0; i < times.size(); ++i)
    EXPECT_NEAR(times[i], 0.25 * static_cast<double>(i), 1e-12);
}

TEST(Arrivals, ACountIsSentAtExactlyTheRateAskedFor) {
  for (const double shape : {0.3, 1.0, 5.0}) {
    const auto times = arrival_times({.rate = 10.0, .shape = shape, .seed = 3}, 501, kNoEnd);
    EXPECT_NEAR(times.back(), 50.0, 1e-9);
    EXPECT_TRUE(std::is_sorted(times.begin(), times.end()));
  }
}

TEST(Arrivals, NothingIsDueAfterTheDuration) {
  const auto times = arrival_times({.rate = 100.0, .seed = 1}, kNoCount, 20.0);
  EXPECT_LT(times.back(), 20.0);
  EXPECT_NEAR(static_cast<double>(times.size()), 2000.0, 5.0 * std::sqrt(2000.0));
}

TEST(Arrivals, GapsSpreadAsTheShapeSays) {
  for (const double shape : {0.25, 1.0, 4.0}) {
    const auto times = arrival_times({.rate = 1.0, .shape = shape, .seed = 9}, 20'001, kNoEnd);
    double sum = 0.0;
    double squares = 0.0;
    for (size_t i = 1; i < times.size(); ++i) {
      const double gap = times[i] - times[i - 1];
      sum += gap;
      squares += gap * gap;
    }
    const auto n = static_cast<double>(times.size() - 1);
    const double variation = (squares / n - sum / n * sum / n) / (sum / n * sum / n);
    EXPECT_NEAR(variation, 1.0 / shape, 0.1 / shape) << shape;
  }
}

TEST(Arrivals, TheRateRisesAlongTheRamp) {
  const auto times =
      arrival_times({.rate = 10.0, .shape = kConstantGap, .ramp_s = 10.0}, kNoCount, 20.0);
  const auto by = [&times](double t) {
    return static_cast<double>(std::lower_bound(times.begin(), times.end(), t) - times.begin());
  };
  EXPECT_NEAR(by(5.0), 12.5, 1.5);  // 10 * 5^2 / (2 * 10)
  EXPECT_NEAR(by(10.0), 50.0, 1.5);
  EXPECT_NEAR(by(20.0), 150.0, 1.5);
}

TEST(Arrivals, TheSameSeedGivesTheSameTimes) {
  const ArrivalPlan plan{.rate = 3.0, .seed = 5};
  EXPECT_EQ(arrival_times(plan, 100, kNoEnd), arrival_times(plan, 100, kNoEnd));
}

TEST(Arrivals, ATraceIsReplayedAsItIs) {
  ArrivalPlan plan;
  plan.trace_s = {0.0, 0.5, 0.5, 7.0};
  EXPECT_EQ(arrival_times(plan, kNoCount, 5.0), (std::vector<double>{0.0, 0.5, 0.5}));
}

}  // namespace
}  // namespace pagoda
