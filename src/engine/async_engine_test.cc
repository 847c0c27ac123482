// Tests of AsyncEngine: threads meet at conditions, never at times.
#include "engine/async_engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <map>
#include <mutex>
#include <random>
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
  EXPECT_THAT(registry.render(), HasSubstr("vllm:num_requests_running{model_name=\"demo\"} 1"));
  EXPECT_THAT(registry.render(), HasSubstr("vllm:kv_cache_usage_perc{model_name=\"demo\"} 0.25"));
  gate.open();
  EXPECT_TRUE(engine.wait_idle(kForever));
  EXPECT_THAT(registry.render(), HasSubstr("vllm:num_requests_running{model_name=\"demo\"} 0"));
  EXPECT_THAT(registry.render(), HasSubstr("vllm:kv_cache_usage_perc{model_name=\"demo\"} 0\n"));
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

}  // namespace
}  // namespace pagoda
