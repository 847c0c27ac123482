// Tests of bench/server_metrics.h.
#include "bench/server_metrics.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace pagoda {
namespace {

TEST(ServerMetrics, SeriesOfOneNameAreAddedUp) {
  const Json read = read_server_metrics(
      "# HELP vllm:num_requests_running Running.\n"
      "vllm:num_requests_running{model_name=\"a b}\",engine=\"0\"} 3\n"
      "vllm:num_requests_running{model_name=\"a b}\",engine=\"1\"} 4.0 1700000000\n"
      "vllm:gpu_cache_usage_perc 0.25\n"
      "vllm:num_requests_running_else 9\n"
      "vllm:prompt_tokens_total{model_name=\"a\"} 1e3");
  EXPECT_EQ(read["running"], 7.0);
  EXPECT_EQ(read["kv_usage"], 0.25);
  EXPECT_EQ(read["prompt_tokens"], 1000.0);
  EXPECT_TRUE(read["waiting"].is_null());
}

TEST(ServerMetrics, AValueUnderItsOldNameTooCountsOnce) {
  const Json read = read_server_metrics(
      "vllm:gpu_cache_usage_perc 0.25\nvllm:kv_cache_usage_perc 0.25\n"
      "vllm:gpu_prefix_cache_hits_total 8\nvllm:prefix_cache_hits_total 9\n");
  EXPECT_EQ(read["kv_usage"], 0.25);
  EXPECT_EQ(read["prefix_hits"], 9.0);
}

TEST(ServerMetrics, TheUseOfSeveralCachesIsTheirMean) {
  const Json read = read_server_metrics(
      "vllm:kv_cache_usage_perc{engine=\"0\"} 0.5\nvllm:kv_cache_usage_perc{engine=\"1\"} 1\n");
  EXPECT_EQ(read["kv_usage"], 0.75);
}

TEST(ServerMetrics, WhatIsNoMetricIsPassedOver) {
  for (const char* text :
       {"", "\n\n", "}", "vllm:num_requests_running", "vllm:num_requests_running x",
        "vllm:num_requests_running NaN", "{} 1", "<html>"}) {
    EXPECT_TRUE(read_server_metrics(text)["running"].is_null()) << text;
  }
}

TEST(ServerMetrics, AServerThatIsNotThereHasNone) {
  ServerMetrics metrics("http://127.0.0.1:1/metrics", {}, std::chrono::steady_clock::now());
  EXPECT_TRUE(metrics.stop().is_null());
}

}  // namespace
}  // namespace pagoda
