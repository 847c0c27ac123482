// Tests of the metrics registry.
#include "base/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pagoda {
namespace {

using testing::HasSubstr;
using testing::Pair;
using testing::UnorderedElementsAre;

TEST(Metrics, RendersWhatWasCounted) {
  MetricsRegistry registry;
  registry.counter("vllm:tokens_total", "Tokens.", {{"model_name", "demo"}}).add(3);
  registry.gauge("vllm:running", "Running.").set(2.5);
  registry.histogram("vllm:seconds", "Time.", {0.5, 1.0}).observe(0.75);
  const std::string text = registry.render();
  EXPECT_NE(text.find("vllm:tokens_total{model_name=\"demo\"} 3"), std::string::npos) << text;
  EXPECT_NE(text.find("vllm:running 2.5"), std::string::npos) << text;
  EXPECT_NE(text.find("vllm:seconds_bucket{le=\"0.5\"} 0"), std::string::npos) << text;
  EXPECT_NE(text.find("vllm:seconds_bucket{le=\"1\"} 1"), std::string::npos) << text;
  EXPECT_NE(text.find("vllm:seconds_bucket{le=\"+Inf\"} 1"), std::string::npos) << text;
  EXPECT_NE(text.find("vllm:seconds_sum 0.75"), std::string::npos) << text;
}

TEST(Metrics, SameNameAndLabelsIsTheSameMetric) {
  MetricsRegistry registry;
  registry.counter("requests_total", "Requests.").add();
  registry.counter("requests_total", "Requests.").add();
  EXPECT_NE(registry.render().find("requests_total 2"), std::string::npos);
  registry.histogram("seconds", "Time.", {1.0}, {{"a", "b"}}).observe(0.5);
  registry.histogram("seconds", "Time.", {1.0}, {{"a", "b"}}).observe(2);
  registry.histogram("seconds", "Time.", {1.0}, {{"a", "c"}}).observe(2);
  EXPECT_THAT(registry.render(), HasSubstr("seconds_count{a=\"b\"} 2"));
  EXPECT_THAT(registry.render(), HasSubstr("seconds_count{a=\"c\"} 1"));
}

TEST(Metrics, AnEmptyHandleDoesNothing) {
  Counter().add();
  Gauge().set(1);
  Histogram().observe(1);
  std::vector<uint64_t> counts;
  EXPECT_EQ(Counter().value(), 0);
  EXPECT_EQ(Gauge().value(), 0);
  EXPECT_EQ(Histogram().read(counts), 0);
  EXPECT_THAT(counts, testing::ElementsAre(0));
}

TEST(Metrics, AHistogramSaysTheSameUnderEachOfItsNames) {
  MetricsRegistry registry;
  const Histogram histogram = registry.histogram(
      {{"coarse_seconds", "Time.", {1, 10}}, {"fine_seconds", "Time.", {2, 3}}}, {}, {0.5, 2.5});
  EXPECT_THAT(histogram.bounds(), testing::ElementsAre(0.5, 1, 2, 2.5, 3, 10));
  for (const double value : {0.5, 1.0, 1.5, 2.0, 2.6, 9.0, 50.0}) histogram.observe(value);
  std::vector<uint64_t> counts;
  EXPECT_DOUBLE_EQ(histogram.read(counts), 66.6);
  EXPECT_THAT(counts, testing::ElementsAre(1, 1, 2, 0, 1, 1, 1));
  const std::string text = registry.render();
  for (const char* line :
       {"coarse_seconds_bucket{le=\"1\"} 2\n", "coarse_seconds_bucket{le=\"10\"} 6\n",
        "coarse_seconds_bucket{le=\"+Inf\"} 7\n", "fine_seconds_bucket{le=\"2\"} 4\n",
        "fine_seconds_bucket{le=\"3\"} 5\n", "fine_seconds_count 7\n",
        "# TYPE coarse_seconds histogram\n", "# TYPE fine_seconds histogram\n"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST(Metrics, LogBucketsGrowByAFixedShareUpToTheirEnd) {
  const std::vector<double> buckets = log_buckets(0.25, 1.0, 2);
  ASSERT_EQ(buckets.size(), 5U);
  EXPECT_EQ(buckets.front(), 0.25);
  EXPECT_EQ(buckets.back(), 1.0);
  EXPECT_NEAR(buckets[1] / buckets[0], 1.41421356, 1e-6);
}

TEST(Metrics, CountersAreReadByLabel) {
  MetricsRegistry registry;
  registry.counter("ends_total", "Ends.", {{"reason", "stop"}}).add(3);
  registry.counter("ends_total", "Ends.", {{"reason", "length"}}).add(1);
  registry.counter("else_total", "Else.", {{"reason", "stop"}}).add(7);
  EXPECT_THAT(registry.values_by_label("ends_total", "reason"),
              UnorderedElementsAre(Pair("stop", 3), Pair("length", 1)));
  EXPECT_THAT(registry.values_by_label("none_total", "reason"), testing::IsEmpty());
}

TEST(Metrics, HaveTheProcessAsPrometheusClientsShowIt) {
  const std::string text = MetricsRegistry().render();
  for (const char* name : {"process_resident_memory_bytes ", "process_virtual_memory_bytes ",
                           "process_start_time_seconds ", "process_cpu_seconds_total ",
                           "process_open_fds ", "process_max_fds "}) {
    EXPECT_THAT(text, HasSubstr(std::string("\n") + name));
  }
}

}  // namespace
}  // namespace pagoda
