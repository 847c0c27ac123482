// Tests of EngineMetrics.
#include "engine/engine_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pagoda {
namespace {

using testing::HasSubstr;

TEST(EngineMetrics, AppearUnderTheNamesDashboardsRead) {
  MetricsRegistry registry;
  const EngineMetrics metrics(&registry, "demo", 4096, 3);
  metrics.num_requests_running.set(2);
  metrics.prompt_tokens_total.add(7);
  metrics.request_success(FinishReason::kLength).add();
  metrics.request_prompt_tokens.observe(30);
  const std::string text = registry.render();
  EXPECT_THAT(text, HasSubstr("vllm:num_requests_running{engine=\"0\",model_name=\"demo\"} 2"));
  EXPECT_THAT(text, HasSubstr("vllm:prompt_tokens_total{engine=\"0\",model_name=\"demo\"} 7"));
  EXPECT_THAT(text, HasSubstr("finished_reason=\"length\""));
  EXPECT_THAT(
      text,
      HasSubstr("vllm:request_prompt_tokens_bucket{engine=\"0\",model_name=\"demo\",le=\"50\"} 1"));
  EXPECT_THAT(
      text,
      HasSubstr("vllm:request_prompt_tokens_bucket{engine=\"0\",model_name=\"demo\",le=\"20\"} 0"));
  for (const char* name : {"vllm:num_requests_waiting", "vllm:kv_cache_usage_perc",
                           "vllm:num_preemptions_total", "vllm:generation_tokens_total",
                           "vllm:iteration_tokens_total", "vllm:time_to_first_token_seconds",
                           "vllm:inter_token_latency_seconds", "vllm:e2e_request_latency_seconds",
                           "vllm:request_queue_time_seconds", "vllm:request_prefill_time_seconds",
                           "vllm:request_decode_time_seconds", "vllm:request_generation_tokens"}) {
    EXPECT_THAT(text, HasSubstr(std::string("# TYPE ") + name + " "));
  }
}

}  // namespace
}  // namespace pagoda
