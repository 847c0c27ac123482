// Tests of SimulatedRunner's timetable, words and failures.
#include "runner/simulated_runner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <string>
#include <vector>

namespace pagoda {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using testing::HasSubstr;

struct ManualClock : Clock {
  TimePoint now() const override { return time; }
  TimePoint time{seconds(1000)};
};

Simulation parsed(const std::string& text) {
  return parse_simulation(text).value();
}

// A sequence as the engine would hand it over, step after step.
struct Stream {
  explicit Stream(SequenceId sequence, size_t num_prompt_tokens = 3)
      : id(sequence), tokens(num_prompt_tokens, 1), prompt(num_prompt_tokens) {
    sampling.max_tokens = 1'000'000;
    sampling.eos_token_ids = {90, 91};
  }

  ScheduledSequence scheduled() const {
    const auto length = static_cast<int32_t>(tokens.size());
    return {.id = id,
            .token_ids = tokens,
            .num_prompt_tokens = static_cast<int32_t>(prompt),
            .num_computed_tokens = not_before == TimePoint{} ? 0 : length - 1,
            .num_scheduled_tokens = not_before == TimePoint{} ? length : 1,
            .block_table = {},
            .sampling = &sampling,
            .not_before = not_before};
  }

  SequenceId id;
  std::vector<TokenId> tokens;
  size_t prompt;
  SamplingParams sampling;
  TimePoint not_before{};
  std::vector<TimePoint> came;  // when each token did
};

class SimulatedRunnerTest : public testing::Test {
 protected:
  SimulatedRunner& runner(const std::string& text) {
    runner_.emplace(
        SimulatedRunner::Options{.simulation = parsed(text),
                                 .limits = {1000, 100},
                                 .num_blocks = 10,
                                 .words = {10, 11, 12, 13, 14, 15, 16},
                                 .sleep_until = [this](TimePoint t) { clock_.time = t; }},
        clock_);
    return *runner_;
  }

  SampledToken step(Stream& stream) {
    SchedulerOutput output;
    output.sequences.push_back(stream.scheduled());
    output.num_tokens = output.sequences[0].num_scheduled_tokens;
    const auto result = runner_->execute(output);
    EXPECT_TRUE(result.ok());
    EXPECT_EQ(result->tokens.size(), 1U);
    SampledToken token = result->tokens.at(0);
    EXPECT_EQ(token.sequence_id, stream.id);
    stream.not_before = token.not_before;
    if (!token.deferred && !token.error) {
      stream.tokens.push_back(token.token);
      stream.came.push_back(clock_.time);
    }
    return token;
  }

  // Steps whenever the stream is due, until it has `num_tokens` or fails.
  void run(Stream& stream, size_t num_tokens) {
    while (stream.came.size() < num_tokens) {
      clock_.time = std::max(clock_.time, stream.not_before);
      if (step(stream).error) return;
    }
  }

  std::vector<double> gaps_ms(const Stream& stream) const {
    std::vector<double> gaps;
    for (size_t i = 1; i < stream.came.size(); ++i) {
      gaps.push_back(1e3 * seconds_between(stream.came[i - 1], stream.came[i]));
    }
    return gaps;
  }

  ManualClock clock_;
  std::optional<SimulatedRunner> runner_;
};

TEST_F(SimulatedRunnerTest, GivesTheFirstTokenAfterTtftAndTheOthersAfterItlEach) {
  runner("ttft=200ms,itl=20ms");
  const TimePoint start = clock_.time;
  Stream stream(1);
  const SampledToken first = step(stream);
  EXPECT_TRUE(first.deferred);
  EXPECT_EQ(first.not_before, start + milliseconds(200));
  run(stream, 50);
  for (size_t i = 0; i < 50; ++i) EXPECT_EQ(stream.came[i], start + milliseconds(200 + 20 * i));
}

TEST_F(SimulatedRunnerTest, ALateStepDoesNotMoveTheTokensAfterIt) {
  runner("ttft=200ms,itl=20ms");
  const TimePoint start = clock_.time;
  Stream stream(1);
  step(stream);
  clock_.time = start + milliseconds(207);
  EXPECT_FALSE(step(stream).deferred);
  EXPECT_EQ(stream.not_before, start + milliseconds(220));
}

TEST_F(SimulatedRunnerTest, PrefillAddsTheTimeOfThePrompt) {
  runner("ttft=200ms,prefill=1000");
  Stream stream(1, 500);
  const TimePoint start = clock_.time;
  EXPECT_EQ(step(stream).not_before, start + milliseconds(700));
}

TEST_F(SimulatedRunnerTest, AStepHoldsSequencesOfEveryAgeAndNoneWaitsForAnother) {
  SimulatedRunner& simulated = runner("ttft=100ms,itl=30ms");
  Stream old(1);
  run(old, 4);
  clock_.time = old.not_before;
  Stream fresh(2);
  Stream chunk(3);
  SchedulerOutput output;
  output.sequences = {old.scheduled(), chunk.scheduled(), fresh.scheduled()};
  output.sequences[1].sampling = nullptr;
  const TimePoint now = clock_.time;
  const auto result = simulated.execute(output);
  ASSERT_TRUE(result.ok());
  ASSERT_EQ(result->tokens.size(), 2U);
  EXPECT_EQ(result->tokens[0].sequence_id, 1U);
  EXPECT_FALSE(result->tokens[0].deferred);
  EXPECT_EQ(result->tokens[0].not_before, now + milliseconds(30));
  EXPECT_EQ(result->tokens[1].sequence_id, 2U);
  EXPECT_TRUE(result->tokens[1].deferred);
  EXPECT_EQ(result->tokens[1].not_before, now + milliseconds(100));
  EXPECT_EQ(clock_.time, now);
}

TEST_F(SimulatedRunnerTest, TimesOfZeroGiveATokenInEachStep) {
  runner("ttft=0,itl=0");
  const TimePoint start = clock_.time;
  Stream stream(1);
  run(stream, 10);
  EXPECT_EQ(clock_.time, start);
  EXPECT_EQ(stream.came.size(), 10U);
}

TEST_F(SimulatedRunnerTest, JitterHasTheMeanAndTheDeviationAskedFor) {
  runner("ttft=0,itl=20ms,jitter=0.25,seed=3");
  Stream stream(1);
  run(stream, 20'001);
  const std::vector<double> gaps = gaps_ms(stream);
  const auto n = static_cast<double>(gaps.size());
  const double mean = std::accumulate(gaps.begin(), gaps.end(), 0.0) / n;
  double squares = 0.0;
  for (const double gap : gaps) squares += (gap - mean) * (gap - mean);
  EXPECT_NEAR(mean, 20.0, 0.15);  // 4 standard errors
  EXPECT_NEAR(std::sqrt(squares / n) / mean, 0.25, 0.01);
  EXPECT_GT(*std::min_element(gaps.begin(), gaps.end()), 0.0);
}

TEST_F(SimulatedRunnerTest, JitterIsTheSameForTheSameSeedAndSequenceOnly) {
  const auto gaps = [&](const char* text, SequenceId id) {
    runner(text);
    Stream stream(id);
    run(stream, 20);
    return gaps_ms(stream);
  };
  const auto first = gaps("jitter=0.1,seed=1", 1);
  EXPECT_EQ(gaps("jitter=0.1,seed=1", 1), first);
  EXPECT_NE(gaps("jitter=0.1,seed=1", 2), first);
  EXPECT_NE(gaps("jitter=0.1,seed=2", 1), first);
}

TEST_F(SimulatedRunnerTest, AStallMovesWhatIsDueInItAndAfterIt) {
  runner("ttft=500ms,itl=1s,stall=2s@10s");
  const TimePoint start = clock_.time;
  Stream stream(1);
  run(stream, 20);
  // Due 9.5 s after the start, then in the middle of what would be the stall.
  EXPECT_EQ(stream.came[9], start + milliseconds(9500));
  EXPECT_EQ(stream.came[10], start + milliseconds(12'500));
  EXPECT_EQ(stream.came[17], start + milliseconds(19'500));
  EXPECT_EQ(stream.came[18], start + milliseconds(22'500));
}

TEST_F(SimulatedRunnerTest, NothingIsDueWithinAStall) {
  runner("ttft=1ms,itl=7ms,jitter=0.5,stall=300ms@1s");
  const TimePoint start = clock_.time;
  Stream stream(1);
  run(stream, 3000);
  for (const TimePoint came : stream.came) {
    const nanoseconds elapsed = came - start;
    EXPECT_TRUE(elapsed < seconds(1) || elapsed % seconds(1) >= milliseconds(300));
  }
}

TEST_F(SimulatedRunnerTest, AStallWithoutAPeriodComesOnce) {
  runner("ttft=0,itl=1s,stall=2s");
  const TimePoint start = clock_.time;
  Stream stream(1);
  run(stream, 100);
  EXPECT_EQ(stream.came[9], start + seconds(9));
  EXPECT_EQ(stream.came[10], start + seconds(12));
  EXPECT_EQ(stream.came[99], start + seconds(101));
}

TEST_F(SimulatedRunnerTest, ARequestThatComesInAStallStartsAtItsEnd) {
  runner("ttft=100ms,itl=20ms,stall=2s@10s");
  const TimePoint start = clock_.time;
  Stream early(1);
  step(early);
  clock_.time = start + milliseconds(20'500);
  Stream late(2);
  EXPECT_EQ(step(late).not_before, start + milliseconds(22'100));
  EXPECT_EQ(clock_.time, start + seconds(22));
}

TEST_F(SimulatedRunnerTest, TokensAreWordsAndDependOnSeedChoiceAndPositionAlone) {
  runner("ttft=0,itl=0");
  Stream first(1), other_sequence(2), other_seed(3);
  other_seed.sampling.seed = 5;
  run(first, 100);
  run(other_sequence, 100);
  run(other_seed, 100);
  for (const TokenId id : std::span(first.tokens).subspan(3)) {
    EXPECT_GE(id, 10);
    EXPECT_LE(id, 16);
  }
  EXPECT_EQ(first.tokens, other_sequence.tokens);
  EXPECT_NE(first.tokens, other_seed.tokens);
}

TEST_F(SimulatedRunnerTest, NoStopTokenIsGivenAndAllowedTokensAreKeptTo) {
  runner("ttft=0,itl=0");
  Stream stream(1);
  stream.sampling.allowed_token_ids = {90, 20, 21};
  stream.sampling.stop_token_ids = {20};
  run(stream, 50);
  for (const TokenId id : std::span(stream.tokens).subspan(3)) EXPECT_EQ(id, 21);
}

TEST_F(SimulatedRunnerTest, OutputEndsTheAnswerWithTheEndToken) {
  runner("ttft=0,itl=0,output=5");
  Stream plain(1), ignoring(2), longer(3);
  ignoring.sampling.ignore_eos = true;
  longer.sampling.min_tokens = 8;
  run(plain, 5);
  run(ignoring, 20);
  run(longer, 9);
  EXPECT_EQ(std::find(plain.tokens.begin(), plain.tokens.end(), 90) - plain.tokens.begin(), 3 + 4);
  EXPECT_EQ(std::count(ignoring.tokens.begin(), ignoring.tokens.end(), 90), 0);
  EXPECT_EQ(std::find(longer.tokens.begin(), longer.tokens.end(), 90) - longer.tokens.begin(),
            3 + 8);
}

TEST_F(SimulatedRunnerTest, TheShareThatFailsDoesSoAtItsToken) {
  runner("ttft=0,itl=0,fail=0.3@4");
  int num_failed = 0;
  for (SequenceId id = 1; id <= 1000; ++id) {
    Stream stream(id);
    run(stream, 10);
    if (stream.came.size() == 10) continue;
    ++num_failed;
    EXPECT_EQ(stream.came.size(), 3U);
  }
  EXPECT_NEAR(num_failed, 300, 58);  // 4 standard deviations
  runner("ttft=0,itl=0,fail=1");
  Stream stream(1);
  EXPECT_THAT(step(stream).error->message, HasSubstr("simulated failure at output token 1"));
}

TEST_F(SimulatedRunnerTest, LogprobsAreAsManyAsAskedFor) {
  runner("ttft=0,itl=0");
  Stream stream(1);
  EXPECT_TRUE(step(stream).top_logprobs.empty());
  stream.sampling.num_logprobs = 20;
  const SampledToken token = step(stream);
  ASSERT_EQ(token.top_logprobs.size(), 20U);
  EXPECT_EQ(token.top_logprobs[0].token, token.token);
  EXPECT_EQ(token.logprob, token.top_logprobs[0].logprob);
  EXPECT_GT(token.top_logprobs[0].logprob, token.top_logprobs[1].logprob);
}

TEST_F(SimulatedRunnerTest, BlocksAreNumbersOnly) {
  SimulatedRunner& simulated = runner("itl=1ms");
  EXPECT_EQ(simulated.kv_cache_spec().num_blocks, 10);
  EXPECT_EQ(simulated.step_limits().max_num_seqs, 100);
  std::byte data[1] = {std::byte{7}};
  simulated.write_block(3, data);
  simulated.read_block(3, data);
  EXPECT_EQ(data[0], std::byte{0});
}

}  // namespace
}  // namespace pagoda
