// The runner's own promises: what it refuses, what it reports, what it computes for whom.
#include "runner/eager_runner.h"

#include <gtest/gtest.h>

#include <functional>

#include "backend/cpu/cpu_backend.h"
#include "model/golden_model.h"
#include "model/registry.h"
#include "runner/memory_use.h"

#pragma GCC diagnostic ignored "-Wmissing-field-initializers"  // parameters left at their defaults

namespace pagoda {
namespace {

class EagerRunnerTest : public testing::Test {
 protected:
  static constexpr int32_t kBlockSize = 16;

  std::unique_ptr<Model> load() {
    const auto checkpoint = Checkpoint::open(golden_.folder);
    return load_model(*checkpoint, golden_.config, {.matrix = DType::kF32}, *backend_).value();
  }

  EagerRunner& runner() {
    if (!runner_) {
      runner_ = EagerRunner::create(load(), *backend_,
                                    {.limits = {.max_num_batched_tokens = 64, .max_num_seqs = 2},
                                     .num_blocks = 8,
                                     .block_size = kBlockSize})
                    .value();
    }
    return *runner_;
  }

  ScheduledSequence sequence(SequenceId id, const SamplingParams* sampling) const {
    return {.id = id,
            .token_ids = tokens_,
            .num_prompt_tokens = 3,
            .num_computed_tokens = 0,
            .num_scheduled_tokens = 3,
            .block_table = blocks_,
            .sampling = sampling};
  }

  GoldenModel golden_ = read_golden_model("base");
  std::unique_ptr<Backend> backend_ = cpu::make_cpu_backend({.num_threads = 2}).value();
  std::unique_ptr<EagerRunner> runner_;
  std::vector<TokenId> tokens_ = {5, 6, 7};
  std::vector<BlockId> blocks_ = {3};
  SamplingParams greedy_ = {.temperature = 0.0F};
};

TEST_F(EagerRunnerTest, ReportsTheGeometryItWasGiven) {
  const KvCacheSpec spec = runner().kv_cache_spec();
  EXPECT_EQ(spec.num_blocks, 8);
  EXPECT_EQ(spec.block_size, kBlockSize);
  EXPECT_EQ(spec.bytes_per_block, kv_bytes_per_block(golden_.config, DType::kBF16, kBlockSize));
  EXPECT_EQ(runner().step_limits().max_num_batched_tokens, 64);
  EXPECT_EQ(runner().step_limits().max_num_seqs, 2);
}

TEST_F(EagerRunnerTest, OnlySequencesThatSampleGetATokenInTheirOrder) {
  SchedulerOutput step = {.sequences = {sequence(11, nullptr), sequence(22, &greedy_)},
                          .num_tokens = 6};
  const std::vector<BlockId> other_block = {4};
  step.sequences[1].block_table = other_block;
  auto output = runner().execute(step);
  ASSERT_TRUE(output.ok());
  ASSERT_EQ(output->tokens.size(), 1U);
  EXPECT_EQ(output->tokens[0].sequence_id, 22U);

  step.sequences[0].sampling = &greedy_;
  output = runner().execute(step);
  ASSERT_EQ(output->tokens.size(), 2U);
  EXPECT_EQ(output->tokens[0].sequence_id, 11U);
  EXPECT_EQ(output->tokens[1].sequence_id, 22U);
  EXPECT_EQ(output->tokens[0].token, output->tokens[1].token);  // the same prompt

  step.sequences[0].sampling = step.sequences[1].sampling = nullptr;
  EXPECT_TRUE(runner().execute(step)->tokens.empty());
}

TEST_F(EagerRunnerTest, TokensOutsideTheVocabularyAreRefusedAndTheRunnerGoesOn) {
  const SchedulerOutput step = {.sequences = {sequence(1, &greedy_)}, .num_tokens = 3};
  const auto want = runner().execute(step);
  ASSERT_TRUE(want.ok());
  for (const TokenId bad : {-1, golden_.config.vocab_size, 1 << 30}) {
    tokens_[1] = bad;
    const auto output = runner().execute(step);
    ASSERT_FALSE(output.ok());
    EXPECT_EQ(output.error().code, ErrorCode::kInvalidArgument);
  }
  tokens_[1] = 6;
  EXPECT_EQ(runner().execute(step)->tokens[0].token, want->tokens[0].token);
}

TEST_F(EagerRunnerTest, AnImpossibleSamplingFailsItsSequenceAlone) {
  const SamplingParams nothing = {.allowed_token_ids = {golden_.config.vocab_size}};
  SchedulerOutput step = {.sequences = {sequence(1, &nothing), sequence(2, &greedy_)},
                          .num_tokens = 6};
  const std::vector<BlockId> other_block = {4};
  step.sequences[1].block_table = other_block;
  const auto output = runner().execute(step);
  ASSERT_TRUE(output.ok());
  ASSERT_EQ(output->tokens.size(), 2U);
  EXPECT_TRUE(output->tokens[0].error.has_value());
  EXPECT_EQ(output->tokens[0].sequence_id, 1U);
  EXPECT_FALSE(output->tokens[1].error.has_value());
}

TEST_F(EagerRunnerTest, StepsThatWouldTouchForeignMemoryStopTheProcess) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // the pool's threads do not survive a fork
  const SchedulerOutput good = {.sequences = {sequence(1, &greedy_)}, .num_tokens = 3};
  ASSERT_TRUE(runner().execute(good).ok());
  const auto dies = [&](const std::function<void(SchedulerOutput&)>& spoil) {
    SchedulerOutput step = good;
    spoil(step);
    EXPECT_DEATH(static_cast<void>(runner().execute(step)), "CHECK failed");
  };
  const std::vector<BlockId> outside = {8};
  dies([](SchedulerOutput& s) { s.num_tokens = 4; });
  dies([](SchedulerOutput& s) { s.sequences.clear(); });
  dies([](SchedulerOutput& s) { s.sequences[0].num_scheduled_tokens = 0; });
  dies([](SchedulerOutput& s) { s.sequences[0].num_computed_tokens = 1; });
  dies([](SchedulerOutput& s) { s.sequences[0].block_table = {}; });
  dies([&](SchedulerOutput& s) { s.sequences[0].block_table = outside; });
}

TEST_F(EagerRunnerTest, RefusesCountsThatAreNotPositive) {
  for (const EagerRunnerOptions& options :
       {EagerRunnerOptions{.limits = {64, 2}, .num_blocks = 0},
        EagerRunnerOptions{.limits = {0, 2}, .num_blocks = 8},
        EagerRunnerOptions{.limits = {64, 0}, .num_blocks = 8},
        EagerRunnerOptions{.limits = {64, 2}, .num_blocks = 8, .block_size = 0}}) {
    EXPECT_FALSE(EagerRunner::create(load(), *backend_, options).ok());
  }
}

TEST_F(EagerRunnerTest, TheLargestStepFitsTheArenaThatWasReserved) {
  tokens_.assign(63, 9);
  blocks_ = {0, 1, 2, 3};
  const std::vector<TokenId> one = {4};
  const std::vector<BlockId> other_block = {5};
  SchedulerOutput step = {.sequences = {sequence(1, &greedy_), sequence(2, &greedy_)},
                          .num_tokens = 64};
  step.sequences[0].num_scheduled_tokens = 63;
  step.sequences[1].token_ids = one;
  step.sequences[1].num_prompt_tokens = 1;
  step.sequences[1].num_scheduled_tokens = 1;
  step.sequences[1].block_table = other_block;
  EXPECT_TRUE(runner().execute(step).ok());
}

}  // namespace
}  // namespace pagoda
