// Tests of the rings of samples, on made-up time.
#include "server/monitor/history.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "base/metrics.h"

namespace pagoda {
namespace {

SpreadBounds make_bounds() {
  SpreadBounds bounds;
  for (auto& one : bounds) one = log_buckets(0.001, 100, 8);
  return bounds;
}

Sample sample_at(int64_t t, double generation_tokens = 10, double running = 1) {
  Sample sample{.t = t, .seconds = 1, .counts = {}, .levels = {}, .sums = {}, .buckets = {}};
  sample.counts[static_cast<size_t>(Count::kGenerationTokens)] = generation_tokens;
  sample.levels[static_cast<size_t>(Level::kRunning)] = running;
  return sample;
}

void observe(Sample& sample, const SpreadBounds& bounds, Spread what, double value) {
  const auto spread = static_cast<uint16_t>(what);
  const auto& own = bounds[spread];
  const auto index = static_cast<uint16_t>(std::ranges::lower_bound(own, value) - own.begin());
  sample.sums[spread] += value;
  sample.buckets.push_back({spread, index, 1});
}

TEST(History, PointsAddCountsAndAverageLevels) {
  History history(make_bounds());
  for (int64_t t = 1001; t <= 1010; ++t) history.add(sample_at(t, 10, t % 2 == 0 ? 4 : 2));
  const auto points = history.points(1010, 60, 5);
  ASSERT_EQ(points.size(), 2U);
  EXPECT_EQ(points[0].t, 1005);
  EXPECT_EQ(points[1].t, 1010);
  EXPECT_EQ(points[0].window.count(Count::kGenerationTokens), 50);
  EXPECT_EQ(points[0].window.per_second(Count::kGenerationTokens), 10);
  EXPECT_DOUBLE_EQ(*points[1].window.level(Level::kRunning), 3.2);
}

TEST(History, WindowsHoldWhatIsWithinThem) {
  History history(make_bounds());
  for (int64_t t = 1; t <= 100; ++t) history.add(sample_at(t, 1));
  EXPECT_EQ(history.window(100, 60).count(Count::kGenerationTokens), 60);
  EXPECT_EQ(history.window(130, 60).count(Count::kGenerationTokens), 30);
  EXPECT_TRUE(history.window(1000, 60).empty());
  EXPECT_FALSE(history.window(1000, 60).level(Level::kRunning).has_value());
}

TEST(History, QuantilesOfMergedSamplesAreThoseOfAllObservations) {
  const SpreadBounds bounds = make_bounds();
  History history(bounds);
  std::mt19937 random(7);
  std::lognormal_distribution<double> times(-2, 1);
  std::vector<double> all;
  for (int64_t t = 1; t <= 300; ++t) {
    Sample sample = sample_at(t);
    for (int i = 0; i < 20; ++i) {
      all.push_back(times(random));
      observe(sample, bounds, Spread::kTtft, all.back());
    }
    history.add(std::move(sample));
  }
  std::ranges::sort(all);
  const Window window = history.window(300, 300);
  EXPECT_EQ(window.num(Spread::kTtft), all.size());
  for (const double share : {0.01, 0.5, 0.9, 0.95, 0.99}) {
    const double exact = all[static_cast<size_t>(share * static_cast<double>(all.size()))];
    EXPECT_NEAR(*window.quantile(Spread::kTtft, share) / exact, 1.0, 0.1) << share;
  }
  double sum = 0;
  for (const double value : all) sum += value;
  EXPECT_NEAR(*window.mean(Spread::kTtft), sum / static_cast<double>(all.size()), 1e-9);
  EXPECT_FALSE(window.quantile(Spread::kItl, 0.5).has_value());
}

TEST(History, KeepsAnHourFineAndADayCoarseAndNoMore) {
  const SpreadBounds bounds = make_bounds();
  History history(bounds);
  size_t after_a_day = 0;
  constexpr int64_t kDay = 86'400;
  for (int64_t t = 1; t <= 2 * kDay; ++t) {
    Sample sample = sample_at(t, 1);
    for (const double value : {0.01, 0.02, 0.5}) observe(sample, bounds, Spread::kE2e, value);
    history.add(std::move(sample));
    if (t == kDay + 20) after_a_day = history.num_bytes();
  }
  EXPECT_LE(history.num_bytes(), after_a_day + 1000);
  EXPECT_EQ(history.window(2 * kDay, 3600).count(Count::kGenerationTokens), 3600);
  // The last ten seconds may still be under way.
  EXPECT_NEAR(history.window(2 * kDay, kDay).count(Count::kGenerationTokens), kDay, 20);
  EXPECT_EQ(history.window(2 * kDay, 3600).num(Spread::kE2e), 3 * 3600U);
  EXPECT_NEAR(static_cast<double>(history.window(2 * kDay, kDay).num(Spread::kE2e)), 3.0 * kDay,
              60);
}

TEST(History, ObservationsAllOverItsBucketsShortenIt) {
  const SpreadBounds bounds = make_bounds();
  History history(bounds);
  for (int64_t t = 1; t <= 3600; ++t) {
    Sample sample = sample_at(t);
    for (size_t spread = 0; spread < kNumSpreads; ++spread) {
      for (size_t i = 0; i < bounds[spread].size(); ++i) {
        sample.buckets.push_back({static_cast<uint16_t>(spread), static_cast<uint16_t>(i), 1});
      }
    }
    history.add(std::move(sample));
  }
  EXPECT_LE(history.num_bytes(),
            2 * History::kMaxBuckets * sizeof(Sample::Bucket) + 4000 * sizeof(Sample));
  EXPECT_LT(history.window(3600, 3600).seconds(), 3600);
  EXPECT_GT(history.window(3600, 3600).seconds(), 60);
}

TEST(History, StepsAreRoundAndMeetTheNumberOfPoints) {
  EXPECT_EQ(History::choose_step(300, 600), 1);
  EXPECT_EQ(History::choose_step(3600, 600), 10);
  EXPECT_EQ(History::choose_step(3601, 4000), 10);
  EXPECT_EQ(History::choose_step(86'400, 600), 300);
  EXPECT_EQ(History::choose_step(86'400, 10), 10'800);
}

}  // namespace
}  // namespace pagoda
