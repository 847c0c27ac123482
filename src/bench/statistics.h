// What numbers of a benchmark are summed up by: percentiles, deviations, intervals.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace pagoda {

// The value at `quantile` (0 to 1) of ascending values, between two of them linearly (definition 7
// of Hyndman and Fan 1996, the default of numpy and pandas, with numpy's own arithmetic). NaN when
// there are none.
double percentile(std::span<const double> sorted, double quantile);

double mean_of(std::span<const double> values);  // NaN when there are none
// With n - 1, as pandas has it. NaN for fewer than two.
double sample_stddev(std::span<const double> values);

// A 95 % confidence interval, or two NaN when there are too few values for one.
struct Interval {
  double low = 0.0;
  double high = 0.0;
};

// Of a quantile, from the order statistics: the narrowest pair around it that the binomial
// distribution gives 95 % (Hahn and Meeker, Statistical Intervals, 1991, section 5.2). It assumes
// nothing of the distribution, but that values are independent.
Interval quantile_interval(std::span<const double> sorted, double quantile);

// Of a mean of few independent values, such as one figure of several runs: Student's t. Symmetric
// around the mean, except that of values none of which is negative it begins at 0 at the least:
// few values far apart would claim that a latency may be negative.
Interval mean_interval(std::span<const double> values);

// Of the ratios statistic(b) / statistic(a) for each of `quantiles`, below 0 meaning the mean: by
// resampling both 2,000 times with a fixed seed (percentile bootstrap, Efron 1979). All of them
// from the same draws.
std::vector<Interval> ratio_intervals(std::span<const double> a, std::span<const double> b,
                                      std::span<const double> quantiles);

// Of mean(b) / mean(a), a and b one positive figure of each of few runs: Welch's t on their
// logarithms, so of geometric means. Two NaN with fewer than two of either, or one not above 0.
Interval ratio_of_runs_interval(std::span<const double> a, std::span<const double> b);

// Two-sided p of "a and b have the same distribution": Mann and Whitney 1947, by the normal
// approximation with correction for ties. NaN when either is empty.
double rank_test_p(std::span<const double> a, std::span<const double> b);

// One metric over many requests. Quantiles in the order of kQuantiles.
inline constexpr double kQuantiles[] = {0.25, 0.5, 0.75, 0.9, 0.95, 0.99};
inline constexpr const char* kQuantileNames[] = {"p25", "p50", "p75", "p90", "p95", "p99"};

struct Distribution {
  size_t count = 0;
  double mean = 0.0;
  double stddev = 0.0;  // sample; NaN for one value
  double min = 0.0;
  double max = 0.0;
  double quantiles[std::size(kQuantiles)] = {};
  Interval intervals[std::size(kQuantiles)] = {};
  Interval mean_95 = {};  // by the normal approximation of the mean; from 0 as mean_interval()
};

// All NaN with count 0 when there are none. Takes its values by value: they are sorted.
Distribution distribution_of(std::vector<double> values);

}  // namespace pagoda
