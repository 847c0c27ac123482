// Tests of ReplayRunner on a runner that gives one token for everything.
#include "runner/replay_runner.h"

#include <gtest/gtest.h>

#include <vector>

namespace pagoda {
namespace {

class Dull final : public ModelRunner {
 public:
  KvCacheSpec kv_cache_spec() const override { return {}; }
  StepLimits step_limits() const override { return {}; }
  Result<ModelRunnerOutput> execute(const SchedulerOutput& step) override {
    if (step.sequences.empty()) return Error{ErrorCode::kInternal, "nothing to do"};
    ModelRunnerOutput output;
    for (const ScheduledSequence& s : step.sequences) {
      if (s.sampling != nullptr) output.tokens.push_back({.sequence_id = s.id, .token = 99});
    }
    return output;
  }
  void read_block(BlockId, std::span<std::byte>) const override {}
  void write_block(BlockId, std::span<const std::byte>) override {}
};

std::vector<TokenId> tokens_after(Replay replay, const std::vector<TokenId>& token_ids,
                                  int32_t num_prompt_tokens, int32_t num_draft_tokens) {
  ReplayRunner runner(std::make_unique<Dull>(), replay);
  const SamplingParams sampling;
  const auto size = static_cast<int32_t>(token_ids.size());
  SchedulerOutput step;
  step.sequences.push_back({.id = 7,
                            .token_ids = token_ids,
                            .num_prompt_tokens = num_prompt_tokens,
                            .num_computed_tokens = size - num_draft_tokens - 1,
                            .num_scheduled_tokens = num_draft_tokens + 1,
                            .block_table = {},
                            .sampling = &sampling,
                            .num_draft_tokens = num_draft_tokens});
  const ModelRunnerOutput output = runner.execute(step).value();
  std::vector<TokenId> tokens;
  for (const SampledToken& token : output.tokens) {
    EXPECT_EQ(token.sequence_id, 7);
    tokens.push_back(token.token);
  }
  return tokens;
}

using Tokens = std::vector<TokenId>;

TEST(ReplayRunner, RepeatsThePromptOverAndOver) {
  EXPECT_EQ(tokens_after(Replay::kRepeat, {4, 5, 6}, 3, 0), (Tokens{4}));
  EXPECT_EQ(tokens_after(Replay::kRepeat, {4, 5, 6, 4, 5}, 3, 0), (Tokens{6}));
}

TEST(ReplayRunner, GoesOnAsLongAsTheDraftsAreRight) {
  EXPECT_EQ(tokens_after(Replay::kRepeat, {4, 5, 6, 4, 5}, 3, 2), (Tokens{4, 5, 6}));
  EXPECT_EQ(tokens_after(Replay::kRepeat, {4, 5, 6, 4, 9}, 3, 2), (Tokens{4, 5}));
  EXPECT_EQ(tokens_after(Replay::kRepeat, {4, 5, 6, 9, 5}, 3, 2), (Tokens{4}));
}

TEST(ReplayRunner, WordsDependOnThePlaceAloneAndDiffer) {
  const Tokens first = tokens_after(Replay::kWords, {4, 5, 6}, 3, 0);
  EXPECT_EQ(tokens_after(Replay::kWords, {1, 1, 1}, 3, 0), first);
  int num_other = 0;
  for (size_t length = 4; length < 40; ++length) {
    const TokenId token = tokens_after(Replay::kWords, Tokens(length), 3, 0).front();
    EXPECT_GE(token, 0);
    EXPECT_LT(token, kNumReplayWords);
    num_other += token != first.front() ? 1 : 0;
  }
  EXPECT_GT(num_other, 20);
}

TEST(ReplayRunner, AFailedStepStaysOne) {
  ReplayRunner runner(std::make_unique<Dull>(), Replay::kRepeat);
  EXPECT_FALSE(runner.execute({}).ok());
}

}  // namespace
}  // namespace pagoda
