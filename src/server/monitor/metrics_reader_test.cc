// The dashboard's numbers are those of /metrics.
#include "server/monitor/metrics_reader.h"

#include <gtest/gtest.h>

namespace pagoda {
namespace {

TEST(MetricsReader, SamplesAddUpToTheMetrics) {
  MetricsRegistry registry;
  const EngineMetrics metrics(&registry, "demo", 4096, 3);
  MetricsReader reader(metrics);
  History history(reader.bounds());
  double sum = 0;
  for (int64_t t = 1; t <= 50; ++t) {
    metrics.generation_tokens_total.add(static_cast<double>(t));
    metrics.requests_ended(RequestEnd::kLength).add(2);
    metrics.requests_ended(RequestEnd::kStepFailed).add();
    metrics.num_requests_running.set(3);
    for (int i = 0; i < 3; ++i) {
      const double seconds = 0.001 * static_cast<double>(t * (i + 1));
      metrics.time_to_first_token.observe(seconds);
      sum += seconds;
    }
    history.add(
        reader.read(t, 1, {.num_refused = 2.0 * static_cast<double>(t), .num_server_errors = 0}));
  }
  const Window all = history.window(50, 3600);
  EXPECT_EQ(all.count(Count::kGenerationTokens), metrics.generation_tokens_total.value());
  EXPECT_EQ(all.count(end_count(RequestEnd::kLength)), 100);
  EXPECT_EQ(all.num_requests(), 150);
  EXPECT_EQ(all.count(Count::kErrors), 50);
  EXPECT_EQ(all.count(Count::kRefused), 100);
  EXPECT_EQ(*all.level(Level::kRunning), 3);
  std::vector<uint64_t> counts;
  EXPECT_NEAR(metrics.time_to_first_token.read(counts), sum, 1e-9);
  ASSERT_EQ(all.buckets(Spread::kTtft).size(), counts.size());
  for (size_t i = 0; i < counts.size(); ++i) EXPECT_EQ(all.buckets(Spread::kTtft)[i], counts[i]);
  EXPECT_NEAR(*all.mean(Spread::kTtft), sum / 150, 1e-9);
}

TEST(MetricsReader, WhatWasCountedBeforeTheFirstSampleIsInIt) {
  MetricsRegistry registry;
  const EngineMetrics metrics(&registry, "demo", 4096, 0);
  metrics.prompt_tokens_total.add(5);
  MetricsReader reader(metrics);
  EXPECT_EQ(reader.read(1, 1, {}).counts[static_cast<size_t>(Count::kPromptTokens)], 5);
  EXPECT_EQ(reader.read(2, 1, {}).counts[static_cast<size_t>(Count::kPromptTokens)], 0);
}

}  // namespace
}  // namespace pagoda
