// Metrics render under the names they were made with.
#include "base/metrics.h"

#include <gtest/gtest.h>

namespace pagoda {
namespace {

TEST(Metrics, RenderShowsEveryKindWithLabels) {
  MetricsRegistry registry;
  registry.counter("vllm:tokens_total", "Tokens.", {{"model_name", "demo"}}).add(3);
  registry.gauge("vllm:running", "Running.").set(2.5);
  registry.histogram("vllm:seconds", "Time.", {0.5, 1.0}).observe(0.75);
  const std::string text = registry.render();
  EXPECT_NE(text.find("vllm:tokens_total{model_name=\"demo\"} 3"), std::string::npos) << text;
  EXPECT_NE(text.find("vllm:running 2.5"), std::string::npos) << text;
  EXPECT_NE(text.find("vllm:seconds_bucket{le=\"0.5\"} 0"), std::string::npos) << text;
  EXPECT_NE(text.find("vllm:seconds_bucket{le=\"1\"} 1"), std::string::npos) << text;
}

TEST(Metrics, TheSameNameAndLabelsAreTheSameMetric) {
  MetricsRegistry registry;
  registry.counter("hits_total", "Hits.", {{"code", "200"}}).add();
  registry.counter("hits_total", "Hits.", {{"code", "200"}}).add();
  EXPECT_NE(registry.render().find("hits_total{code=\"200\"} 2"), std::string::npos);
}

TEST(Metrics, RenderShowsTheResidentMemoryOfTheMoment) {
  const MetricsRegistry registry;
  const std::string text = registry.render();
  const size_t at = text.find("\nprocess_resident_memory_bytes ");
  ASSERT_NE(at, std::string::npos) << text;
  EXPECT_GT(std::stod(text.substr(at + 31)), 1e5);
}

TEST(Metrics, AnEmptyHandleDoesNothing) {
  Counter().add();
  Gauge().set(1);
  Histogram().observe(1);
}

}  // namespace
}  // namespace pagoda
