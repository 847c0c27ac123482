// Percentiles, deviations and intervals.
#include "bench/statistics.h"

#include <algorithm>
#include <boost/math/distributions/binomial.hpp>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <random>

namespace pagoda {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kConfidence = 0.95;

double statistic(std::vector<double>& values, double quantile) {
  if (quantile < 0.0) return mean_of(values);
  // percentile() looks at two neighbours only: with them in place the rest need not be sorted,
  // which thousands of resamples would wait for.
  const double place = quantile * static_cast<double>(values.size() - 1);
  const auto below = values.begin() + static_cast<std::ptrdiff_t>(place);
  std::nth_element(values.begin(), below, values.end());
  if (below + 1 != values.end()) {
    std::iter_swap(below + 1, std::min_element(below + 1, values.end()));
  }
  return percentile(values, quantile);
}

}  // namespace

double percentile(std::span<const double> sorted, double quantile) {
  if (sorted.empty()) return kNaN;
  const double place = quantile * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(std::floor(place));
  if (below + 1 >= sorted.size()) return sorted.back();
  const double t = place - std::floor(place);
  const double step = sorted[below + 1] - sorted[below];
  // numpy goes from the nearer end, which makes the last digits what they are.
  return t < 0.5 ? sorted[below] + step * t : sorted[below + 1] - step * (1.0 - t);
}

double mean_of(std::span<const double> values) {
  if (values.empty()) return kNaN;
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double sample_stddev(std::span<const double> values) {
  if (values.size() < 2) return kNaN;
  const double mean = mean_of(values);
  double sum = 0.0;
  for (const double value : values) sum += (value - mean) * (value - mean);
  return std::sqrt(sum / static_cast<double>(values.size() - 1));
}

Interval quantile_interval(std::span<const double> sorted, double quantile) {
  const auto n = static_cast<int64_t>(sorted.size());
  if (n < 2 || quantile <= 0.0 || quantile >= 1.0) return {kNaN, kNaN};
  const boost::math::binomial_distribution<double> below(static_cast<double>(n), quantile);
  // The true quantile lies between order statistics i and j (from 1) with probability
  // P(i <= B < j), B the number of values below it.
  auto i = static_cast<int64_t>(std::floor(static_cast<double>(n) * quantile));
  int64_t j = i + 1;
  const auto covered = [&] {
    const double up_to = j > n ? 1.0 : boost::math::cdf(below, static_cast<double>(j - 1));
    const double under = i < 1 ? 0.0 : boost::math::cdf(below, static_cast<double>(i - 1));
    return up_to - under;
  };
  while (covered() < kConfidence && (i >= 1 || j <= n)) {
    if (i >= 1) --i;
    if (j <= n) ++j;
  }
  // Beyond the values there is nothing to say where it ends.
  if (i < 1 || j > n) return {kNaN, kNaN};
  return {sorted[static_cast<size_t>(i - 1)], sorted[static_cast<size_t>(j - 1)]};
}

Interval mean_interval(std::span<const double> values) {
  if (values.size() < 2) return {kNaN, kNaN};
  const auto n = static_cast<double>(values.size());
  const boost::math::students_t_distribution<double> t(n - 1.0);
  const double reach =
      boost::math::quantile(t, 0.5 + kConfidence / 2.0) * sample_stddev(values) / std::sqrt(n);
  const double mean = mean_of(values);
  return {mean - reach, mean + reach};
}

Interval ratio_interval(std::span<const double> a, std::span<const double> b, double quantile) {
  constexpr size_t kResamples = 2000;
  if (a.size() < 2 || b.size() < 2) return {kNaN, kNaN};
  std::mt19937_64 random(20260101);
  const auto resample = [&random](std::span<const double> values, std::vector<double>& out) {
    out.resize(values.size());
    for (double& value : out) value = values[random() % values.size()];
  };
  std::vector<double> ratios;
  std::vector<double> drawn_a;
  std::vector<double> drawn_b;
  for (size_t i = 0; i < kResamples; ++i) {
    resample(a, drawn_a);
    resample(b, drawn_b);
    const double ratio = statistic(drawn_b, quantile) / statistic(drawn_a, quantile);
    if (std::isfinite(ratio)) ratios.push_back(ratio);
  }
  if (ratios.empty()) return {kNaN, kNaN};
  std::sort(ratios.begin(), ratios.end());
  return {percentile(ratios, (1.0 - kConfidence) / 2.0),
          percentile(ratios, 0.5 + kConfidence / 2.0)};
}

Interval ratio_of_runs_interval(std::span<const double> a, std::span<const double> b) {
  if (a.size() < 2 || b.size() < 2) return {kNaN, kNaN};
  std::vector<double> logs_a;
  std::vector<double> logs_b;
  for (const double value : a) logs_a.push_back(std::log(value));
  for (const double value : b) logs_b.push_back(std::log(value));
  const auto error = [](const std::vector<double>& logs) {
    const double deviation = sample_stddev(logs);
    return deviation * deviation / static_cast<double>(logs.size());
  };
  const double error_a = error(logs_a);
  const double error_b = error(logs_b);
  const double difference = mean_of(logs_b) - mean_of(logs_a);
  const double sum = error_a + error_b;
  // Logarithms of what is not above 0 are no numbers.
  if (!std::isfinite(difference) || !std::isfinite(sum)) return {kNaN, kNaN};
  // Equal to the last digit, so nothing to tell how much they would vary.
  if (sum == 0.0) return {kNaN, kNaN};
  const double freedom = sum * sum /
                         (error_a * error_a / static_cast<double>(a.size() - 1) +
                          error_b * error_b / static_cast<double>(b.size() - 1));
  if (!std::isfinite(freedom) || freedom < 1.0) return {kNaN, kNaN};
  const boost::math::students_t_distribution<double> t(freedom);
  const double reach = boost::math::quantile(t, 0.5 + kConfidence / 2.0) * std::sqrt(sum);
  return {std::exp(difference - reach), std::exp(difference + reach)};
}

double rank_test_p(std::span<const double> a, std::span<const double> b) {
  if (a.empty() || b.empty()) return kNaN;
  struct Value {
    double value;
    bool of_a;
  };
  std::vector<Value> all;
  for (const double value : a) all.push_back({value, true});
  for (const double value : b) all.push_back({value, false});
  std::sort(all.begin(), all.end(),
            [](const Value& x, const Value& y) { return x.value < y.value; });
  double rank_sum = 0.0;
  double ties = 0.0;
  for (size_t first = 0; first < all.size();) {
    size_t last = first;
    while (last < all.size() && all[last].value == all[first].value) ++last;
    const auto equal = static_cast<double>(last - first);
    const double rank = static_cast<double>(first + 1 + last) / 2.0;
    for (size_t k = first; k < last; ++k) rank_sum += all[k].of_a ? rank : 0.0;
    ties += equal * equal * equal - equal;
    first = last;
  }
  const auto na = static_cast<double>(a.size());
  const auto nb = static_cast<double>(b.size());
  const double n = na + nb;
  const double u = rank_sum - na * (na + 1.0) / 2.0;
  const double variance = na * nb / 12.0 * ((n + 1.0) - ties / (n * (n - 1.0)));
  if (!(variance > 0.0)) return 1.0;
  const double distance = std::max(0.0, std::fabs(u - na * nb / 2.0) - 0.5);
  return std::erfc(distance / std::sqrt(variance) / std::sqrt(2.0));
}

Distribution distribution_of(std::vector<double> values) {
  Distribution out;
  out.count = values.size();
  // Before sorting, so that sums are in the order of the requests, as pandas has them.
  out.mean = mean_of(values);
  out.stddev = sample_stddev(values);
  const double reach =
      1.959963984540054 * out.stddev / std::sqrt(static_cast<double>(values.size()));
  out.mean_95 = {out.mean - reach, out.mean + reach};
  std::sort(values.begin(), values.end());
  out.min = values.empty() ? kNaN : values.front();
  out.max = values.empty() ? kNaN : values.back();
  for (size_t i = 0; i < std::size(kQuantiles); ++i) {
    out.quantiles[i] = percentile(values, kQuantiles[i]);
    out.intervals[i] = quantile_interval(values, kQuantiles[i]);
  }
  return out;
}

}  // namespace pagoda
