// Tests of bench/statistics.h.
#include "bench/statistics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <random>
#include <vector>

namespace pagoda {
namespace {

TEST(Statistics, PercentilesLieBetweenTheirNeighboursAsInNumpy) {
  const std::vector<double> values = {1.0, 2.0, 4.0, 8.0};
  EXPECT_EQ(percentile(values, 0.0), 1.0);
  EXPECT_EQ(percentile(values, 0.5), 3.0);
  EXPECT_EQ(percentile(values, 0.9), 6.800000000000001);  // numpy.percentile([1,2,4,8], 90)
  EXPECT_EQ(percentile(values, 1.0), 8.0);
  EXPECT_TRUE(std::isnan(percentile({}, 0.5)));
  EXPECT_EQ(percentile(std::vector<double>{3.0}, 0.99), 3.0);
}

TEST(Statistics, DeviationIsThatOfASample) {
  EXPECT_EQ(sample_stddev(std::vector<double>{1.0, 3.0}), std::sqrt(2.0));
  EXPECT_TRUE(std::isnan(sample_stddev(std::vector<double>{1.0})));
}

TEST(Statistics, QuantileIntervalHoldsTheTrueQuantileAsOftenAsItSays) {
  std::mt19937_64 random(1);
  std::exponential_distribution<double> draw(1.0);
  const double median = std::log(2.0);
  int held = 0;
  constexpr int kTrials = 2000;
  for (int i = 0; i < kTrials; ++i) {
    std::vector<double> values(50);
    for (double& value : values) value = draw(random);
    std::sort(values.begin(), values.end());
    const Interval interval = quantile_interval(values, 0.5);
    held += interval.low <= median && median <= interval.high ? 1 : 0;
  }
  EXPECT_GE(held, kTrials * 94 / 100);
}

TEST(Statistics, QuantileIntervalIsUnknownWhereTheValuesCannotTell) {
  const std::vector<double> few = {1.0, 2.0, 3.0};
  EXPECT_TRUE(std::isnan(quantile_interval(few, 0.99).high));
}

TEST(Statistics, MeanIntervalIsStudents) {
  // t(0.975, 2) = 4.302653, deviation 1, n 3.
  const Interval interval = mean_interval(std::vector<double>{11.0, 12.0, 13.0});
  EXPECT_NEAR(interval.low, 12.0 - 4.302653 / std::sqrt(3.0), 1e-6);
  EXPECT_NEAR(interval.high, 12.0 + 4.302653 / std::sqrt(3.0), 1e-6);
}

TEST(Statistics, RankTestAgreesWithThePublishedExample) {
  // The example in SciPy's manual of mannwhitneyu, method "asymptotic".
  const std::vector<double> males = {19, 22, 16, 29, 24};
  const std::vector<double> females = {20, 11, 17, 12};
  EXPECT_NEAR(rank_test_p(males, females), 0.11134688653314041, 1e-12);
}

TEST(Statistics, RatioIntervalFindsAChangeAndClaimsNoneWithoutOne) {
  std::mt19937_64 random(2);
  std::normal_distribution<double> draw(100.0, 5.0);
  std::vector<double> a(200);
  std::vector<double> same(200);
  std::vector<double> slower(200);
  for (double& value : a) value = draw(random);
  for (double& value : same) value = draw(random);
  for (double& value : slower) value = 1.1 * draw(random);
  const double statistics[] = {-1.0, 0.5};
  const Interval none = ratio_intervals(a, same, statistics)[0];
  EXPECT_LT(none.low, 1.0);
  EXPECT_GT(none.high, 1.0);
  const Interval change = ratio_intervals(a, slower, statistics)[1];
  EXPECT_GT(change.low, 1.05);
  EXPECT_LT(change.high, 1.15);
}

// The bootstrap as it is written in books: draw, sort, look.
Interval plain_ratio_interval(std::vector<double> a, std::vector<double> b, double quantile) {
  std::sort(a.begin(), a.end());
  std::sort(b.begin(), b.end());
  std::mt19937_64 random(20260101);
  const auto drawn = [&](const std::vector<double>& values) {
    std::vector<double> out;
    for (size_t i = 0; i < values.size(); ++i) out.push_back(values[random() % values.size()]);
    const double mean = mean_of(out);
    std::sort(out.begin(), out.end());
    return quantile < 0.0 ? mean : percentile(out, quantile);
  };
  std::vector<double> ratios;
  for (int i = 0; i < 2000; ++i) {
    const double of_a = drawn(a);
    const double of_b = drawn(b);
    if (std::isfinite(of_b / of_a)) ratios.push_back(of_b / of_a);
  }
  std::sort(ratios.begin(), ratios.end());
  return {percentile(ratios, (1.0 - 0.95) / 2.0), percentile(ratios, 0.5 + 0.95 / 2.0)};
}

TEST(Statistics, RatioIntervalsAreThoseOfThePlainBootstrap) {
  std::mt19937_64 random(3);
  const double statistics[] = {-1.0, 0.0, 0.25, 0.5, 0.99, 1.0};
  for (const size_t num_a : {size_t{2}, size_t{3}, size_t{17}, size_t{101}}) {
    std::vector<double> a(num_a);
    std::vector<double> b(num_a + num_a / 2);
    // Few different values, so that neighbours are equal now and then; some zeros.
    for (double& value : a) value = static_cast<double>(random() % 20);
    for (double& value : b) value = static_cast<double>(random() % 20) * 1.3;
    const std::vector<Interval> intervals = ratio_intervals(a, b, statistics);
    for (size_t k = 0; k < std::size(statistics); ++k) {
      const Interval plain = plain_ratio_interval(a, b, statistics[k]);
      const auto same = [](double x, double y) {
        return x == y || (std::isnan(x) && std::isnan(y));
      };
      EXPECT_TRUE(same(intervals[k].low, plain.low)) << num_a << " " << statistics[k];
      EXPECT_TRUE(same(intervals[k].high, plain.high)) << num_a << " " << statistics[k];
    }
  }
}

TEST(Statistics, NoIntervalOfLatenciesBeginsBelowNought) {
  const std::vector<double> spread = {0.1, 9.0};
  EXPECT_EQ(mean_interval(spread).low, 0.0);
  EXPECT_GT(mean_interval(spread).high, 9.0);
  EXPECT_EQ(distribution_of(spread).mean_95.low, 0.0);
  // What may be negative may have a negative mean.
  EXPECT_LT(mean_interval(std::vector<double>{-0.1, 9.0}).low, 0.0);
  EXPECT_TRUE(std::isnan(distribution_of({0.1}).mean_95.low));
}

TEST(Statistics, DistributionOfNothingHasNoNumbers) {
  const Distribution none = distribution_of({});
  EXPECT_EQ(none.count, 0U);
  EXPECT_TRUE(std::isnan(none.mean));
  EXPECT_TRUE(std::isnan(none.max));
}

}  // namespace
}  // namespace pagoda
