// Tests of bench/statistics.h.
#include "bench/statistics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

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
  const Interval interval = mean_interval(std::vector<double>{1.0, 2.0, 3.0});
  EXPECT_NEAR(interval.low, 2.0 - 4.302653 / std::sqrt(3.0), 1e-6);
  EXPECT_NEAR(interval.high, 2.0 + 4.302653 / std::sqrt(3.0), 1e-6);
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
  const Interval none = ratio_interval(a, same, -1.0);
  EXPECT_LT(none.low, 1.0);
  EXPECT_GT(none.high, 1.0);
  const Interval change = ratio_interval(a, slower, 0.5);
  EXPECT_GT(change.low, 1.05);
  EXPECT_LT(change.high, 1.15);
}

TEST(Statistics, DistributionOfNothingHasNoNumbers) {
  const Distribution none = distribution_of({});
  EXPECT_EQ(none.count, 0U);
  EXPECT_TRUE(std::isnan(none.mean));
  EXPECT_TRUE(std::isnan(none.max));
}

}  // namespace
}  // namespace pagoda
