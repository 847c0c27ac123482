// Tests of speculation: an Engine whose sequences have guesses at their next tokens computed along.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>

#include "engine/test_world.h"

namespace pagoda {
namespace {

// Output that repeats itself.
Request repeating_request(int32_t num_prompt_tokens, int32_t max_tokens, uint64_t seed = 0) {
  Request request = make_request(num_prompt_tokens, max_tokens, seed);
  request.sampling.allowed_token_ids = {1, 2, 3};
  return request;
}

FakeRunnerConfig with_drafts(int32_t max_num_draft_tokens) {
  return {.num_blocks = 64,
          .block_size = 16,
          .max_num_batched_tokens = 64,
          .max_num_draft_tokens = max_num_draft_tokens};
}

TEST(Speculation, ATextThatRepeatsItselfTakesAFractionOfTheSteps) {
  World world(with_drafts(7));
  const RequestId id = world.submit(repeating_request(10, 80));
  world.run_until_idle();
  world.expect_complete(id);
  const EngineStats stats = world.engine->stats();
  EXPECT_LT(stats.num_steps, 30);
  EXPECT_EQ(stats.num_generation_tokens, 80);
  EXPECT_EQ(stats.num_steps + stats.num_accepted_draft_tokens, 80);
}

TEST(Speculation, WithoutDraftsAllowedEveryTokenTakesAStep) {
  World world(with_drafts(0));
  world.submit(repeating_request(10, 80));
  world.run_until_idle();
  EXPECT_EQ(world.engine->stats().num_steps, 80);
  EXPECT_EQ(world.engine->stats().num_draft_tokens, 0);
}

TEST(Speculation, DraftsTakeNoBlockAndStayWithinTheLimitsOfAStep) {
  World world(with_drafts(7));
  bool had_most = false;
  world.runner.before_step = [&](const SchedulerOutput& step) -> Result<void> {
    int32_t num_decoding = 0;
    int32_t num_drafts = 0;
    for (const ScheduledSequence& s : step.sequences) {
      const int32_t end = s.num_computed_tokens + s.num_scheduled_tokens;
      EXPECT_EQ(static_cast<int32_t>(s.block_table.size()), (end - s.num_draft_tokens + 15) / 16);
      num_decoding += s.num_scheduled_tokens - s.num_draft_tokens == 1 ? 1 : 0;
      num_drafts += s.num_draft_tokens;
    }
    EXPECT_TRUE(num_drafts == 0 || num_decoding + num_drafts <= 8);
    had_most = had_most || (num_decoding > 1 && num_decoding + num_drafts == 8);
    return {};
  };
  for (uint64_t i = 0; i < 5; ++i) {
    world.submit(
        repeating_request(3 + static_cast<int32_t>(i), 40 + 5 * static_cast<int32_t>(i), i));
  }
  world.run_until_idle();
  for (RequestId id = 1; id <= 5; ++id) world.expect_complete(id);
  EXPECT_TRUE(had_most);
}

TEST(Speculation, ARequestEndsAtItsLastTokenWhateverWasGuessedBehindIt) {
  for (int32_t max_tokens = 1; max_tokens <= 40; ++max_tokens) {
    World world(with_drafts(7));
    const RequestId id = world.submit(repeating_request(10, max_tokens));
    world.run_until_idle();
    world.expect_complete(id);
  }
}

TEST(Speculation, AStopTokenAmongTheGuessesEndsTheRequestThere) {
  World world(with_drafts(7));
  Request request = make_request(4, 60);
  request.prompt_token_ids = {1, 1, 2, 1, 1, 2, 1, 1, 2, 1, 1};
  request.sampling.allowed_token_ids = {1, 2};
  request.sampling.stop_token_ids = {2};
  const RequestId id = world.submit(request);
  world.run_until_idle();
  world.expect_complete(id);
}

TEST(Speculation, AGuessedTextLeavesMostOfASmallBudgetToPrompts) {
  World world({.num_blocks = 64,
               .block_size = 16,
               .max_num_batched_tokens = 8,
               .max_num_seqs = 2,
               .max_num_draft_tokens = 7});
  const RequestId first = world.submit(repeating_request(8, 80));
  for (int i = 0; i < 8; ++i) world.step();
  const RequestId second = world.submit(repeating_request(20, 2, 1));
  for (int i = 0; i < 6; ++i) world.step();
  EXPECT_EQ(world.sinks[second]->num_final, 1);
  EXPECT_EQ(world.sinks[first]->num_final, 0);
  world.run_until_idle();
  world.expect_complete(first);
  world.expect_complete(second);
}

TEST(Speculation, ASequenceThatIsPutOffLosesItsGuessesAndNoToken) {
  World world(with_drafts(7));
  int num_deferred = 0;
  world.runner.defer = [&](const ScheduledSequence& s) -> std::optional<TimePoint> {
    if (s.num_draft_tokens == 0 || ++num_deferred % 2 == 0) return std::nullopt;
    return world.clock.time + std::chrono::milliseconds(1);
  };
  const RequestId id = world.submit(repeating_request(10, 60));
  for (int i = 0; i < 200 && world.engine->has_work(); ++i) {
    world.clock.time += std::chrono::milliseconds(1);
    world.step();
  }
  world.expect_complete(id);
  EXPECT_GT(num_deferred, 4);
}

TEST(Speculation, GoingOnBehindAWrongGuessIsAFailedStep) {
  // Gives the guesses back as the tokens, whatever they are worth, and one more.
  class Believer final : public FakeRunner {
   public:
    using FakeRunner::FakeRunner;
    Result<ModelRunnerOutput> execute(const SchedulerOutput& step) override {
      ASSIGN_OR_RETURN(ModelRunnerOutput output, FakeRunner::execute(step));
      if (step.sequences.front().num_draft_tokens == 0) return output;
      const SequenceId id = step.sequences.front().id;
      const TokenId wrong = (step.sequences.front().token_ids.back() + 1) % kVocabSize;
      const auto num_tokens = static_cast<size_t>(step.sequences.front().num_draft_tokens) + 1;
      output.tokens.assign(num_tokens, {.sequence_id = id, .token = wrong});
      return output;
    }
  };
  Believer runner(with_drafts(7));
  Engine engine(runner, {.max_model_len = 100, .vocab_size = kVocabSize});
  const auto sink = std::make_shared<Collected>();
  testing::internal::CaptureStderr();
  engine.add(1, repeating_request(10, 80), sink);
  while (engine.has_work()) engine.step();
  testing::internal::GetCapturedStderr();
  EXPECT_EQ(sink->choices[0].reason, FinishReason::kError);
  ASSERT_TRUE(sink->last.error.has_value());
  EXPECT_THAT(sink->last.error->message, testing::HasSubstr("behind a wrong draft"));
}

}  // namespace
}  // namespace pagoda
