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

// Between two neighbours; numpy goes from the nearer end, which makes the last digits what they
// are.
double between(double low, double high, double share) {
  const double step = high - low;
  return share < 0.5 ? low + step * share : high - step * (1.0 - share);
}

// Values drawn with replacement, again and again. Draws are counted by the value's rank, so that
// their order is known without sorting them, which is most of what a bootstrap would wait for.
class Resampler {
 public:
  explicit Resampler(std::span<const double> values)
      : sorted_(values.begin(), values.end()), counts_(values.size()) {
    std::sort(sorted_.begin(), sorted_.end());
  }

  void draw(std::mt19937_64& random) {
    const size_t n = sorted_.size();
    std::fill(counts_.begin(), counts_.end(), 0);
    sum_ = 0.0;
    for (size_t i = 0; i < n; ++i) {
      const size_t rank = random() % n;
      ++counts_[rank];
      sum_ += sorted_[rank];
    }
  }

  // percentile() of what was drawn; below 0, its mean.
  double statistic(double quantile) const {
    const size_t n = sorted_.size();
    if (quantile < 0.0) return sum_ / static_cast<double>(n);
    const double place = quantile * static_cast<double>(n - 1);
    const auto below = static_cast<size_t>(place);
    size_t rank = 0;
    size_t num_before = counts_[0];  // drawn up to `rank`
    while (num_before <= below) num_before += counts_[++rank];
    const double low = sorted_[rank];
    if (below + 1 == n) return low;
    while (num_before <= below + 1) num_before += counts_[++rank];
    return between(low, sorted_[rank], place - static_cast<double>(below));
  }

 private:
  std::vector<double> sorted_;
  std::vector<uint32_t> counts_;
  double sum_ = 0.0;
};

}  // namespace

double percentile(std::span<const double> sorted, double quantile) {
  if (sorted.empty()) return kNaN;
  const double place = quantile * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(std::floor(place));
  if (below + 1 >= sorted.size()) return sorted.back();
  return between(sorted[below], sorted[below + 1], place - std::floor(place));
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

namespace {

// The interval mean - reach to mean + reach. What is never below 0 has no mean below it.
Interval around_mean(std::span<const double> values, double mean, double reach) {
  const bool positive =
      std::all_of(values.begin(), values.end(), [](double value) { return value >= 0.0; });
  const double low = mean - reach;
  return {positive && low < 0.0 ? 0.0 : low, mean + reach};
}

}  // namespace

Interval mean_interval(std::span<const double> values) {
  if (values.size() < 2) return {kNaN, kNaN};
  const auto n = static_cast<double>(values.size());
  const boost::math::students_t_distribution<double> t(n - 1.0);
  const double reach =
      boost::math::quantile(t, 0.5 + kConfidence / 2.0) * sample_stddev(values) / std::sqrt(n);
  return around_mean(values, mean_of(values), reach);
}

std::vector<Interval> ratio_intervals(std::span<const double> a, std::span<const double> b,
                                      std::span<const double> quantiles) {
  constexpr size_t kResamples = 2000;
  std::vector<Interval> out(quantiles.size(), {kNaN, kNaN});
  if (a.size() < 2 || b.size() < 2) return out;
  std::mt19937_64 random(20260101);
  Resampler of_a(a);
  Resampler of_b(b);
  std::vector<std::vector<double>> ratios(quantiles.size());
  for (size_t i = 0; i < kResamples; ++i) {
    of_a.draw(random);
    of_b.draw(random);
    for (size_t k = 0; k < quantiles.size(); ++k) {
      const double ratio = of_b.statistic(quantiles[k]) / of_a.statistic(quantiles[k]);
      if (std::isfinite(ratio)) ratios[k].push_back(ratio);
    }
  }
  for (size_t k = 0; k < quantiles.size(); ++k) {
    if (ratios[k].empty()) continue;
    std::sort(ratios[k].begin(), ratios[k].end());
    out[k] = {percentile(ratios[k], (1.0 - kConfidence) / 2.0),
              percentile(ratios[k], 0.5 + kConfidence / 2.0)};
  }
  return out;
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
  out.mean_95 = around_mean(values, out.mean, reach);
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
