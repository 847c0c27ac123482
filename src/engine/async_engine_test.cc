// Tests of AsyncEngine: threads meet at conditions, never at times.
#include "engine/async_engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <random>
#include <stdexcept>
#include <thread>

#include "engine/fake_runner.h"

namespace pagoda {
namespace {

using testing::HasSubstr;

constexpr int32_t kVocabSize = 100;
constexpr std::chrono::milliseconds kForever{60000};

// Collects one request's outputs; another thread can wait for the end.
class WaitingSink : public OutputSink {
 public:
  void post(RequestOutput output) override {
    const std::lock_guard lock(mutex_);
    for (const ChoiceOutput& choice : output.choices) {
      for (const SampledToken& token : choice.tokens) tokens_[choice.index].push_back(token.token);
      if (choice.finish_reason) reasons_[choice.index] = *choice.finish_reason;
    }
    num_final_ += output.finished ? 1 : 0;
    error_ = output.error;
    changed_.notify_all();
  }

  void wait_final() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return num_final_ > 0; });
  }
  void wait_tokens(int32_t choice, size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return tokens_[choice].size() >= count; });
  }
  int num_final() {
    const std::lock_guard lock(mutex_);
    return num_final_;
  }
  std::vector<TokenId> tokens(int32_t choice = 0) {
    const std::lock_guard lock(mutex_);
    return tokens_[choice];
  }
  FinishReason reason(int32_t choice = 0) {
    const std::lock_guard lock(mutex_);
    return reasons_.at(choice);
  }
  std::optional<Error> error() {
    const std::lock_guard lock(mutex_);
    return error_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<int32_t, std::vector<TokenId>> tokens_;  // by choice
  std::map<int32_t, FinishReason> reasons_;
  int num_final_ = 0;
  std::optional<Error> error_;
};

// Stops the engine thread inside a step until opened.
class Gate {
 public:
  Result<void> pass() {
    std::unique_lock lock(mutex_);
    ++num_arrived_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
    return {};
  }
  void wait_arrived() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return num_arrived_ > 0; });
  }
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int num_arrived_ = 0;
  bool open_ = false;
};

Request make_request(int32_t num_prompt_tokens, int32_t max_tokens, uint64_t seed = 0) {
  Request request;
  for (int32_t i = 0; i < num_prompt_tokens; ++i) request.prompt_token_ids.push_back(i % 90);
  request.sampling.max_tokens = max_tokens;
  request.sampling.seed = seed;
  return request;
}

std::vector<TokenId> reference(const Request& request, int32_t choice = 0) {
  std::vector<TokenId> tokens = request.prompt_token_ids;
  const auto num_prompt_tokens = static_cast<int32_t>(tokens.size());
  for (int32_t i = 0; i < request.sampling.max_tokens; ++i) {
    tokens.push_back(
        FakeRunner::next_token(tokens, num_prompt_tokens, choice, request.sampling, kVocabSize));
  }
  return {tokens.begin() + num_prompt_tokens, tokens.end()};
}

EngineConfig make_config(int32_t max_num_queued_requests = 1000) {
  return {.max_model_len = 100,
          .max_num_queued_requests = max_num_queued_requests,
          .vocab_size = kVocabSize,
          .check_invariants = true};
}

TEST(AsyncEngine, RunsARequestToItsEnd) {
  FakeRunner runner;
  AsyncEngine engine(runner, make_config(), nullptr, "demo");
  const auto sink = std::make_shared<WaitingSink>();
  const Request request = make_request(10, 20);
  ASSERT_TRUE(engine.submit(request, sink).ok());
  sink->wait_final();
  EXPECT_EQ(sink->tokens(), reference(request));
  EXPECT_TRUE(engine.wait_idle(kForever));
  EXPECT_EQ(engine.stats().num_generation_tokens, 20);
}

TEST(AsyncEngine, WhileAllThatRunsIsPutOffItRestsAndTakesMail) {
  FakeRunner runner;
  const auto far = std::chrono::hours(24);
  runner.defer = [&](const ScheduledSequence& s) -> std::optional<TimePoint> {
    if (s.id == 1) return real_clock().now() + far;
    return std::nullopt;
  };
  AsyncEngine engine(runner, make_config(), nullptr, "demo");
  const auto late = std::make_shared<WaitingSink>();
  const Result<RequestId> id = engine.submit(make_request(10, 5), late);
  ASSERT_TRUE(id.ok());
  for (int i = 0; i < 3; ++i) {
    const auto sink = std::make_shared<WaitingSink>();
    ASSERT_TRUE(engine.submit(make_request(10, 5), sink).ok());
    sink->wait_final();
  }
  EXPECT_EQ(late->num_final(), 0);
  EXPECT_LE(engine.stats().num_steps, 1 + 3 * 5) << "no step that held nothing";
  engine.abort(*id);
  late->wait_final();
  EXPECT_EQ(late->reason(), FinishReason::kAbort);
}

TEST(AsyncEngine, WhatIsPutOffComesWhenItIsDueAndNotBefore) {
  FakeRunner runner;
  const TimePoint due = real_clock().now() + std::chrono::milliseconds(120);
  runner.defer = [&](const ScheduledSequence& s) -> std::optional<TimePoint> {
    if (s.not_before != TimePoint{}) return std::nullopt;
    return due;
  };
  AsyncEngine engine(runner, make_config(), nullptr, "demo");
  const auto sink = std::make_shared<WaitingSink>();
  const Request request = make_request(10, 5);
  ASSERT_TRUE(engine.submit(request, sink).ok());
  sink->wait_final();
  EXPECT_GE(real_clock().now(), due);
  EXPECT_EQ(sink->tokens(), reference(request));
}

TEST(AsyncEngine, RefusesWhatCannotFitWithoutCountingIt) {
  FakeRunner runner;
  AsyncEngine engine(runner, make_config(), nullptr, "demo");
  const Result<RequestId> id = engine.submit(make_request(100, 1), std::make_shared<WaitingSink>());
  ASSERT_FALSE(id.ok());
  EXPECT_EQ(id.error().code, ErrorCode::kInvalidArgument);
  EXPECT_TRUE(engine.wait_idle(kForever));
  EXPECT_EQ(engine.stats().num_accepted_requests, 0);
}

TEST(AsyncEngine, AFullQueueRefusesAndRunningRequestsAreNotPartOfIt) {
  Gate gate;
  FakeRunner runner;
  runner.before_step = [&](const SchedulerOutput&) { return gate.pass(); };
  AsyncEngine engine(runner, make_config(2), nullptr, "demo");
  const auto sink = std::make_shared<WaitingSink>();
  ASSERT_TRUE(engine.submit(make_request(5, 2), sink).ok());
  gate.wait_arrived();
  EXPECT_EQ(engine.stats().num_running, 1);
  ASSERT_TRUE(engine.submit(make_request(5, 2), sink).ok());
  ASSERT_TRUE(engine.submit(make_request(5, 2), sink).ok());
  const Result<RequestId> refused = engine.submit(make_request(5, 2), sink);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kOverloaded);
  EXPECT_THAT(refused.error().message, HasSubstr("2 requests are queued"));
  gate.open();
  EXPECT_TRUE(engine.wait_idle(kForever));
  EXPECT_EQ(sink->num_final(), 3);
  EXPECT_TRUE(engine.submit(make_request(5, 2), sink).ok());
}

TEST(AsyncEngine, SaysBeforehandWhomItWouldRefuse) {
  Gate gate;
  FakeRunner runner;
  runner.before_step = [&](const SchedulerOutput&) { return gate.pass(); };
  AsyncEngine engine(runner, make_config(2), nullptr, "demo");
  const auto sink = std::make_shared<WaitingSink>();
  ASSERT_TRUE(engine.submit(make_request(5, 2), sink).ok());
  gate.wait_arrived();
  Request request = make_request(5, 2);
  request.priority = Priority::kBackground;
  ASSERT_TRUE(engine.submit(request, sink).ok());
  EXPECT_EQ(engine.check_admission(0, Priority::kBackground).error().code, ErrorCode::kOverloaded);
  EXPECT_TRUE(engine.check_admission(0, Priority::kInteractive).ok());
  engine.stop_accepting();
  EXPECT_EQ(engine.check_admission(0, Priority::kInteractive).error().code,
            ErrorCode::kUnavailable);
  gate.open();
  EXPECT_TRUE(engine.wait_idle(kForever));
}

TEST(AsyncEngine, ShowsItsStateWhileAStepHangs) {
  Gate gate;
  FakeRunner runner;
  runner.before_step = [&](const SchedulerOutput&) { return gate.pass(); };
  AsyncEngine engine(runner, make_config(), nullptr, "demo");
  EXPECT_EQ(engine.state().stats.num_total_blocks, 64);
  EXPECT_LT(engine.state().age_s, 60);
  const auto sink = std::make_shared<WaitingSink>();
  ASSERT_TRUE(engine.submit(make_request(5, 2), sink).ok());
  gate.wait_arrived();
  const EngineState state = engine.state();
  EXPECT_GT(state.step_running_s, 0);
  EXPECT_EQ(state.stats.num_running, 1);
  ASSERT_EQ(state.requests.size(), 1U);
  EXPECT_TRUE(state.requests[0].started);
  EXPECT_EQ(state.requests[0].num_prompt_tokens, 5);
  EXPECT_EQ(state.requests[0].num_running, 1);
  gate.open();
  EXPECT_TRUE(engine.wait_idle(kForever));
  EXPECT_TRUE(engine.state().requests.empty());
  EXPECT_EQ(engine.state().recent_steps.size(), 2U);
  EXPECT_EQ(engine.state().step_running_s, 0);
}

// Its time is what the test says; read by the engine's thread.
struct SharedClock : Clock {
  TimePoint now() const override { return TimePoint{} + std::chrono::seconds(seconds); }
  std::atomic<int64_t> seconds = 1;
};

TEST(AsyncEngine, WhoWaitsTooLongIsToldToComeBack) {
  SharedClock clock;
  FakeRunner runner({.max_num_seqs = 1});
  // Each step takes ten seconds.
  runner.before_step = [&](const SchedulerOutput&) -> Result<void> {
    clock.seconds += 10;
    return {};
  };
  EngineConfig config = make_config();
  config.max_queue_time = std::chrono::seconds(25);
  AsyncEngine engine(runner, config, nullptr, "demo", clock);
  const auto first = std::make_shared<WaitingSink>();
  const auto second = std::make_shared<WaitingSink>();
  ASSERT_TRUE(engine.submit(make_request(5, 30), first).ok());
  ASSERT_TRUE(engine.submit(make_request(5, 30), second).ok());
  first->wait_final();
  second->wait_final();
  EXPECT_EQ(first->reason(), FinishReason::kLength);
  EXPECT_EQ(second->reason(), FinishReason::kAbort);
  EXPECT_EQ(second->error()->code, ErrorCode::kOverloaded);
  EXPECT_GE(second->error()->retry_after_s, 1);
  EXPECT_TRUE(second->tokens().empty());
  EXPECT_EQ(engine.stats().num_expired_requests, 1);
}

TEST(AsyncEngine, AnAbortDuringAStepDropsItsToken) {
  Gate gate;
  FakeRunner runner;
  runner.before_step = [&](const SchedulerOutput&) { return gate.pass(); };
  AsyncEngine engine(runner, make_config(), nullptr, "demo");
  const auto sink = std::make_shared<WaitingSink>();
  const Result<RequestId> id = engine.submit(make_request(5, 50), sink);
  gate.wait_arrived();
  engine.abort(*id);
  gate.open();
  sink->wait_final();
  EXPECT_TRUE(sink->tokens().empty());
  EXPECT_EQ(sink->reason(), FinishReason::kAbort);
  EXPECT_FALSE(sink->error().has_value());
  EXPECT_TRUE(engine.wait_idle(kForever));
  EXPECT_EQ(engine.stats().num_free_blocks, engine.stats().num_total_blocks);
}

TEST(AsyncEngine, StopChoiceEndsOneChoice) {
  FakeRunner runner;
  AsyncEngine engine(runner, make_config(), nullptr, "demo");
  const auto sink = std::make_shared<WaitingSink>();
  Request request = make_request(5, 90);
  request.n = 2;
  const Result<RequestId> id = engine.submit(request, sink);
  sink->wait_tokens(0, 1);
  engine.stop_choice(*id, 0);
  sink->wait_final();
  EXPECT_EQ(sink->tokens(1), reference(request, 1));
  // The step may have been quicker than the message.
  if (sink->tokens(0).size() < 90) {
    EXPECT_EQ(sink->reason(0), FinishReason::kStop);
  }
}

TEST(AsyncEngine, AfterStopAcceptingRunningRequestsGoOn) {
  Gate gate;
  FakeRunner runner;
  runner.before_step = [&](const SchedulerOutput&) { return gate.pass(); };
  AsyncEngine engine(runner, make_config(), nullptr, "demo");
  const auto sink = std::make_shared<WaitingSink>();
  const Request request = make_request(5, 4);
  ASSERT_TRUE(engine.submit(request, sink).ok());
  engine.stop_accepting();
  const Result<RequestId> refused = engine.submit(request, sink);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kUnavailable);
  EXPECT_FALSE(engine.wait_idle(std::chrono::milliseconds(1)));
  gate.open();
  EXPECT_TRUE(engine.wait_idle(kForever));
  EXPECT_EQ(sink->tokens(), reference(request));
}

TEST(AsyncEngine, DestroyingItAbortsWhatIsLeft) {
  Gate gate;
  FakeRunner runner({.max_num_seqs = 1});
  runner.before_step = [&](const SchedulerOutput&) { return gate.pass(); };
  std::vector<std::shared_ptr<WaitingSink>> sinks;
  {
    AsyncEngine engine(runner, make_config(), nullptr, "demo");
    for (int i = 0; i < 5; ++i) {
      sinks.push_back(std::make_shared<WaitingSink>());
      ASSERT_TRUE(engine.submit(make_request(5, 90), sinks.back()).ok());
    }
    gate.wait_arrived();
    gate.open();
  }
  for (const auto& sink : sinks) EXPECT_EQ(sink->num_final(), 1);
  EXPECT_EQ(sinks.back()->reason(), FinishReason::kAbort);
  EXPECT_EQ(sinks.back()->error()->code, ErrorCode::kUnavailable);
}

TEST(AsyncEngine, ShowsARunningStepInItsGauges) {
  Gate gate;
  FakeRunner runner({.max_num_seqs = 1});
  runner.before_step = [&](const SchedulerOutput&) { return gate.pass(); };
  MetricsRegistry registry;
  AsyncEngine engine(runner, make_config(), &registry, "demo");
  const auto sink = std::make_shared<WaitingSink>();
  ASSERT_TRUE(engine.submit(make_request(128 / 2, 2), sink).ok());
  gate.wait_arrived();
  EXPECT_THAT(registry.render(),
              HasSubstr("vllm:num_requests_running{engine=\"0\",model_name=\"demo\"} 1"));
  EXPECT_THAT(registry.render(),
              HasSubstr("vllm:kv_cache_usage_perc{engine=\"0\",model_name=\"demo\"} 0.25"));
  gate.open();
  EXPECT_TRUE(engine.wait_idle(kForever));
  EXPECT_THAT(registry.render(),
              HasSubstr("vllm:num_requests_running{engine=\"0\",model_name=\"demo\"} 0"));
  EXPECT_THAT(registry.render(),
              HasSubstr("vllm:kv_cache_usage_perc{engine=\"0\",model_name=\"demo\"} 0\n"));
}

TEST(AsyncEngine, ManyThreadsGetWhatTheyWouldGetAlone) {
  constexpr int kNumThreads = 4;
  constexpr int kRequestsPerThread = 25;
  FakeRunner runner({.num_blocks = 24, .block_size = 4, .max_num_batched_tokens = 16});
  AsyncEngine engine(runner, make_config(), nullptr, "demo");
  const auto client = [&](uint32_t seed) {
    std::mt19937 random(seed);
    for (int i = 0; i < kRequestsPerThread; ++i) {
      const Request request = make_request(1 + static_cast<int32_t>(random() % 20),
                                           1 + static_cast<int32_t>(random() % 20), random());
      const auto sink = std::make_shared<WaitingSink>();
      const Result<RequestId> id = engine.submit(request, sink);
      ASSERT_TRUE(id.ok());
      const bool leaves = random() % 4 == 0;
      if (leaves) engine.abort(*id);
      sink->wait_final();
      EXPECT_EQ(sink->num_final(), 1);
      if (sink->reason() == FinishReason::kLength) {
        EXPECT_EQ(sink->tokens(), reference(request)) << "seed " << seed << " request " << i;
      } else {
        EXPECT_TRUE(leaves);
      }
    }
  };
  std::vector<std::thread> threads;
  for (uint32_t seed = 1; seed <= kNumThreads; ++seed) threads.emplace_back(client, seed);
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(engine.wait_idle(kForever));
  const EngineStats stats = engine.stats();
  EXPECT_EQ(stats.num_finished_requests, kNumThreads * kRequestsPerThread);
  EXPECT_EQ(stats.num_free_blocks, stats.num_total_blocks);
}

TEST(AsyncEngine, EveryAcceptedRequestEndsOnceUnderAbortsFailuresPreemptionAndDrain) {
  testing::internal::CaptureStderr();  // each failed step logs a line
  int64_t num_preemptions = 0;
  for (uint32_t seed = 1; seed <= 5; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    constexpr int kNumThreads = 4;
    FakeRunner runner({.num_blocks = 12, .block_size = 4, .max_num_batched_tokens = 16});
    std::mt19937 step_random(seed);
    runner.before_step = [&](const SchedulerOutput&) -> Result<void> {
      if (step_random() % 40 == 0) return Error{ErrorCode::kInternal, "asked to fail"};
      if (step_random() % 80 == 0) throw std::runtime_error("thrown");
      return {};
    };
    std::vector<std::shared_ptr<WaitingSink>> sinks;
    std::mutex mutex;  // guards sinks
    {
      EngineConfig config = make_config(20);
      config.num_tenants = 3;
      AsyncEngine engine(runner, config, nullptr, "demo");
      const auto client = [&](uint32_t client_seed) {
        std::mt19937 random(client_seed);
        for (int i = 0; i < 60; ++i) {
          Request request = make_request(1 + static_cast<int32_t>(random() % 20),
                                         1 + static_cast<int32_t>(random() % 24), random());
          request.n = 1 + static_cast<int32_t>(random() % 3);
          request.tenant = static_cast<TenantId>(random() % 3);
          request.priority = random() % 2 == 0 ? Priority::kBackground : Priority::kInteractive;
          const auto sink = std::make_shared<WaitingSink>();
          Result<RequestId> id = engine.submit(request, sink);
          // Who is refused comes again: however slow the engine, enough requests finish.
          while (!id.ok() && id.error().code == ErrorCode::kOverloaded) {
            std::this_thread::yield();
            id = engine.submit(request, sink);
          }
          if (!id.ok()) {
            EXPECT_EQ(id.error().code, ErrorCode::kUnavailable) << id.error().message;
            break;
          }
          {
            const std::lock_guard lock(mutex);
            sinks.push_back(sink);
          }
          const auto action = random() % 4;
          if (action == 0) engine.abort(*id);
          if (action == 1) engine.stop_choice(*id, 0);
          if (action == 2) sink->wait_final();
        }
      };
      std::vector<std::thread> threads;
      for (uint32_t t = 1; t <= kNumThreads; ++t) threads.emplace_back(client, 100 * seed + t);
      // Some are refused from the middle on, and some are cut off by the end of the engine.
      while (engine.stats().num_finished_requests < 80) std::this_thread::yield();
      if (seed % 2 == 0) engine.stop_accepting();
      for (std::thread& thread : threads) thread.join();
      EXPECT_EQ(engine.stats().num_accepted_requests, static_cast<int64_t>(sinks.size()));
      num_preemptions += engine.stats().num_preemptions;
    }
    for (const auto& sink : sinks) EXPECT_EQ(sink->num_final(), 1);
  }
  testing::internal::GetCapturedStderr();
  EXPECT_GT(num_preemptions, 0);
}

}  // namespace
}  // namespace pagoda
