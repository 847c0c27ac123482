// Tests of EngineMetrics.
#include "engine/engine_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>

#include "engine/test_world.h"

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

// An engine that keeps metrics, on a clock of ours.
struct Metered {
  explicit Metered(EngineConfig config = {}) {
    config.max_model_len = 100;
    config.vocab_size = kVocabSize;
    metrics = EngineMetrics(&registry, "demo", 100, 0);
    engine = std::make_unique<Engine>(runner, config, metrics, clock);
  }
  double ended(RequestEnd end) const { return metrics.requests_ended(end).value(); }
  std::shared_ptr<Collected> add(RequestId id, Request request) {
    auto sink = std::make_shared<Collected>();
    engine->add(id, std::move(request), sink);
    return sink;
  }
  void run() {
    while (engine->has_work()) engine->step();
  }

  MetricsRegistry registry;
  FakeRunner runner;
  ManualClock clock;
  EngineMetrics metrics;
  std::unique_ptr<Engine> engine;  // before the others go
};

TEST(EngineMetrics, EachWayToEndHasItsCounterAndStandsInTheFinalOutput) {
  Metered world({.max_queue_time = std::chrono::seconds(1)});
  world.clock.time = TimePoint{} + std::chrono::hours(1);
  const auto expect = [&](const std::shared_ptr<Collected>& sink, RequestEnd end) {
    EXPECT_EQ(sink->num_final, 1) << to_string(end);
    EXPECT_EQ(sink->last.end, end) << to_string(end);
    EXPECT_EQ(world.ended(end), 1) << to_string(end);
  };
  const auto length = world.add(1, make_request(5, 2));
  world.run();
  expect(length, RequestEnd::kLength);

  Request stops = make_request(5, 50);
  stops.sampling.stop_token_ids = {reference(stops, 0, 100).tokens[3]};
  const auto stop = world.add(2, stops);
  world.run();
  expect(stop, RequestEnd::kStop);

  const auto by_string = world.add(3, make_request(5, 50));
  world.engine->step();
  world.engine->stop_choice(3, 0);
  expect(by_string, RequestEnd::kStopString);

  const auto left = world.add(4, make_request(5, 50));
  const auto cancelled = world.add(5, make_request(5, 50));
  world.engine->abort(4);
  world.engine->abort(5, RequestEnd::kCancelled);
  expect(left, RequestEnd::kClientLeft);
  expect(cancelled, RequestEnd::kCancelled);

  const auto expired = world.add(6, make_request(5, 50));
  world.clock.time += std::chrono::seconds(2);
  world.engine->step();
  expect(expired, RequestEnd::kExpired);

  world.runner.before_step = [](const SchedulerOutput&) -> Result<void> {
    return Error{ErrorCode::kInternal, "lost"};
  };
  const auto failed = world.add(7, make_request(5, 50));
  world.run();
  expect(failed, RequestEnd::kStepFailed);
  world.runner.before_step = nullptr;

  const auto at_the_end = world.add(8, make_request(5, 50));
  world.engine.reset();
  expect(at_the_end, RequestEnd::kShutdown);
}

TEST(EngineMetrics, EachGapBetweenTokensCountsOnceHoweverManyStreamsShareAStep) {
  Metered world;
  world.clock.time = TimePoint{} + std::chrono::hours(1);
  world.add(1, make_request(5, 6));
  for (int step = 0; step < 8; ++step) {
    if (step == 2) world.add(2, make_request(5, 3));
    world.clock.time += std::chrono::seconds(step + 1);
    world.engine->step();
  }
  EXPECT_FALSE(world.engine->has_work());
  // The first gets its tokens in steps 0 to 5, the second in 2 to 4.
  std::vector<uint64_t> counts;
  EXPECT_DOUBLE_EQ(world.metrics.inter_token_latency.read(counts), (2 + 3 + 4 + 5 + 6) + (4 + 5));
  uint64_t num_gaps = 0;
  for (const uint64_t count : counts) num_gaps += count;
  EXPECT_EQ(num_gaps, 7U);
}

TEST(EngineMetrics, RequestsWithinTheObjectiveAreCounted) {
  Metered world({.slo_ttft_s = 1.5, .slo_tpot_s = 1.5});
  world.clock.time = TimePoint{} + std::chrono::hours(1);
  const auto run_in_steps_of = [&world](RequestId id, int seconds) {
    world.add(id, make_request(5, 4));
    while (world.engine->has_work()) {
      world.clock.time += std::chrono::seconds(seconds);
      world.engine->step();
    }
  };
  run_in_steps_of(1, 1);
  EXPECT_EQ(world.metrics.requests_within_slo_total.value(), 1);
  run_in_steps_of(2, 2);
  EXPECT_EQ(world.metrics.requests_within_slo_total.value(), 1);
  world.add(3, make_request(5, 4));
  world.engine->abort(3);  // fast, and no answer
  EXPECT_EQ(world.metrics.requests_within_slo_total.value(), 1);
  std::vector<uint64_t> counts;
  EXPECT_DOUBLE_EQ(world.metrics.request_time_per_output_token.read(counts), 1 + 2);
}

}  // namespace
}  // namespace pagoda
