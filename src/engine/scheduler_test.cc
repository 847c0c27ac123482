// Tests of Scheduler.
#include "engine/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <list>
#include <map>

namespace pagoda {
namespace {

using testing::ElementsAre;
using testing::Pair;

constexpr TokenId kToken = 5;

SamplingParams ending_after(int32_t max_tokens) {
  SamplingParams sampling;
  sampling.max_tokens = max_tokens;
  return sampling;
}

// A scheduler with its pool and requests, and a runner that always answers kToken.
class World {
 public:
  World(const StepLimits& limits, int32_t num_blocks, int32_t block_size = 4)
      : pool_(num_blocks, block_size), scheduler_(limits, 1000, pool_) {}

  // Ids are 1, 2, 3, ... A request of n choices takes n of them, and has the first as its own id.
  void add(int32_t num_prompt_tokens, SamplingParams sampling = ending_after(1000), int32_t n = 1) {
    requests_.push_back(
        {.prompt_token_ids = std::vector<TokenId>(static_cast<size_t>(num_prompt_tokens), 1),
         .sampling = std::move(sampling),
         .n = n,
         .arrival = {}});
    const RequestId request_id = next_id_;
    for (int32_t choice = 0; choice < n; ++choice) {
      scheduler_.add(
          std::make_unique<Sequence>(next_id_++, request_id, requests_.back(), choice, pool_));
    }
  }

  // Schedules; finish() takes in the result.
  const ScheduledStep& schedule() { return step_ = scheduler_.schedule(); }
  std::vector<SequenceNews> finish() {
    ModelRunnerOutput output;
    for (const ScheduledSequence& s : step_.output.sequences) {
      if (s.sampling == nullptr) continue;
      output.tokens.push_back(
          {.sequence_id = s.id, .token = kToken, .logprob = 0.0F, .top_logprobs = {}});
    }
    std::vector<SequenceNews> news = scheduler_.update(step_, std::move(output));
    const Result<void> checked = scheduler_.check_invariants();
    EXPECT_TRUE(checked.ok()) << checked.error().message;
    return news;
  }
  // A whole step: the number of tokens scheduled for each sequence, by id.
  std::map<SequenceId, int32_t> run_step() {
    schedule();
    std::map<SequenceId, int32_t> scheduled;
    for (const auto& s : step_.output.sequences) scheduled[s.id] = s.num_scheduled_tokens;
    finish();
    return scheduled;
  }

  BlockPool& pool() { return pool_; }
  Scheduler& scheduler() { return scheduler_; }

 private:
  BlockPool pool_;
  std::list<Request> requests_;
  Scheduler scheduler_;
  ScheduledStep step_;
  SequenceId next_id_ = 1;
};

TEST(Scheduler, NewPromptNeverStallsARunningStream) {
  World world({.max_num_batched_tokens = 8, .max_num_seqs = 4}, 100);
  world.add(3);
  EXPECT_THAT(world.run_step(), ElementsAre(Pair(1, 3)));
  world.add(20);
  EXPECT_THAT(world.run_step(), ElementsAre(Pair(1, 1), Pair(2, 7)));
  EXPECT_THAT(world.run_step(), ElementsAre(Pair(1, 1), Pair(2, 7)));
  EXPECT_THAT(world.run_step(), ElementsAre(Pair(1, 1), Pair(2, 6)));
  EXPECT_THAT(world.run_step(), ElementsAre(Pair(1, 1), Pair(2, 1)));
}

TEST(Scheduler, OnlyTheLastChunkOfAPromptAsksForAToken) {
  World world({.max_num_batched_tokens = 8, .max_num_seqs = 4}, 100);
  world.add(10);
  EXPECT_EQ(world.schedule().output.sequences[0].sampling, nullptr);
  EXPECT_TRUE(world.finish().empty());
  EXPECT_NE(world.schedule().output.sequences[0].sampling, nullptr);
  EXPECT_EQ(world.finish().size(), 1U);
  EXPECT_EQ(world.scheduler().num_computed_prompt_tokens(), 10);
}

TEST(Scheduler, NeverRunsMoreSequencesThanItCanGiveATokenEach) {
  World world({.max_num_batched_tokens = 2, .max_num_seqs = 8}, 100);
  for (int i = 0; i < 4; ++i) world.add(1);
  for (int i = 0; i < 5; ++i) {
    EXPECT_THAT(world.run_step(), ElementsAre(Pair(1, 1), Pair(2, 1)));
  }
}

TEST(Scheduler, ASmallRequestDoesNotOvertakeALargeOneThatWaits) {
  World world({.max_num_batched_tokens = 64, .max_num_seqs = 8}, 8);
  world.add(16);  // 4 blocks and a spare one
  world.add(16);
  world.add(1);
  EXPECT_THAT(world.run_step(), ElementsAre(Pair(1, 16)));
  EXPECT_EQ(world.scheduler().num_waiting(), 2);
}

TEST(Scheduler, AdmissionLeavesASpareBlockForEachSequence) {
  World world({.max_num_batched_tokens = 64, .max_num_seqs = 8}, 5);
  world.add(4);
  world.add(4);
  world.add(4);
  EXPECT_THAT(world.run_step(), ElementsAre(Pair(1, 4), Pair(2, 4)));
}

TEST(Scheduler, AdmissionCountsTheBlocksAnUnfinishedPromptStillNeeds) {
  World world({.max_num_batched_tokens = 12, .max_num_seqs = 8}, 8);
  world.add(2, ending_after(1000));
  world.add(16, ending_after(1000));  // 10 now and 6 in the next step
  world.add(4, ending_after(1000));   // room in the budget then, not in the pool
  EXPECT_THAT(world.run_step(), ElementsAre(Pair(1, 2), Pair(2, 10)));
  EXPECT_THAT(world.run_step(), ElementsAre(Pair(1, 1), Pair(2, 6)));
}

TEST(Scheduler, TheNewestIsPreemptedAndNobodyIsAdmittedInThatStep) {
  World world({.max_num_batched_tokens = 64, .max_num_seqs = 8}, 6);
  world.add(8);
  world.add(8);  // both have 2 blocks and a spare one
  for (int i = 0; i < 5; ++i) EXPECT_EQ(world.run_step().size(), 2U);
  world.add(1);
  // Token 13 of the first needs a fourth block.
  const ScheduledStep& step = world.schedule();
  EXPECT_THAT(step.preempted, ElementsAre(2));
  ASSERT_EQ(step.output.sequences.size(), 1U);
  EXPECT_EQ(step.output.sequences[0].id, 1U);
  world.finish();
  EXPECT_EQ(world.scheduler().num_waiting(), 2);
}

TEST(Scheduler, APreemptedSequenceComesBackFirstAndIsComputedAgain) {
  World world({.max_num_batched_tokens = 64, .max_num_seqs = 8}, 6);
  world.add(8, ending_after(6));
  world.add(8);
  world.add(1);
  for (int i = 0; i < 6; ++i) world.run_step();  // the sixth preempts, and ends the first
  EXPECT_EQ(world.scheduler().num_running(), 0);
  EXPECT_THAT(world.run_step(), ElementsAre(Pair(2, 13)));
  EXPECT_EQ(world.scheduler().num_waiting(), 1);
  EXPECT_EQ(world.scheduler().num_computed_prompt_tokens(), 16);  // each counted once
}

TEST(Scheduler, ASequenceAloneMayUseTheWholePool) {
  World world({.max_num_batched_tokens = 64, .max_num_seqs = 8}, 3);
  world.add(11, ending_after(2));
  EXPECT_THAT(world.run_step(), ElementsAre(Pair(1, 11)));
  EXPECT_THAT(world.run_step(), ElementsAre(Pair(1, 1)));
  EXPECT_TRUE(world.scheduler().empty());
  EXPECT_EQ(world.pool().num_free_blocks(), 3);
}

TEST(Scheduler, ChoicesShareTheFullBlocksOfTheirPrompt) {
  World world({.max_num_batched_tokens = 64, .max_num_seqs = 8}, 20);
  world.add(10, ending_after(1000), 3);
  EXPECT_THAT(world.run_step(), ElementsAre(Pair(1, 10)));
  EXPECT_THAT(world.run_step(), ElementsAre(Pair(1, 1), Pair(2, 2), Pair(3, 2)));
  // Two shared blocks and one of its own for each.
  EXPECT_EQ(world.pool().num_free_blocks(), 20 - 2 - 3);
  world.scheduler().remove(1, 0);
  EXPECT_EQ(world.pool().num_free_blocks(), 20 - 2 - 2);
  EXPECT_THAT(world.run_step(), ElementsAre(Pair(2, 1), Pair(3, 1)));
}

TEST(Scheduler, ChoicesOfAShortPromptDoNotWaitForEachOther) {
  World world({.max_num_batched_tokens = 64, .max_num_seqs = 8}, 20);
  world.add(4, ending_after(1000), 3);
  EXPECT_THAT(world.run_step(), ElementsAre(Pair(1, 4), Pair(2, 4), Pair(3, 4)));
}

TEST(Scheduler, ATokenForASequenceRemovedMeanwhileIsDropped) {
  World world({.max_num_batched_tokens = 64, .max_num_seqs = 8}, 20);
  world.add(4);
  world.add(4);
  world.schedule();
  world.scheduler().remove(1);
  const std::vector<SequenceNews> news = world.finish();
  ASSERT_EQ(news.size(), 1U);
  EXPECT_EQ(news[0].request_id, 2U);
}

// How a sequence ends whose first token is kToken.
SequenceNews news_of_first_token(const SamplingParams& sampling) {
  World world({.max_num_batched_tokens = 64, .max_num_seqs = 8}, 20);
  world.add(4, sampling);
  world.schedule();
  SequenceNews news = world.finish().at(0);
  EXPECT_EQ(world.scheduler().empty(), news.finish_reason.has_value());
  return news;
}

TEST(Scheduler, AnEndTokenStopsEvenAtTheLengthLimit) {
  SamplingParams sampling = ending_after(1);
  sampling.eos_token_ids = {4, kToken};
  const SequenceNews news = news_of_first_token(sampling);
  EXPECT_EQ(news.finish_reason, FinishReason::kStop);
  EXPECT_EQ(news.stop_token_id, kToken);
}

TEST(Scheduler, IgnoreEosSparesTheClientsStopTokens) {
  SamplingParams sampling = ending_after(9);
  sampling.ignore_eos = true;
  sampling.eos_token_ids = {kToken};
  EXPECT_EQ(news_of_first_token(sampling).finish_reason, std::nullopt);
  sampling.stop_token_ids = {kToken};
  EXPECT_EQ(news_of_first_token(sampling).finish_reason, FinishReason::kStop);
}

TEST(Scheduler, MaxTokensEndsWithLength) {
  EXPECT_EQ(news_of_first_token(ending_after(1)).finish_reason, FinishReason::kLength);
  EXPECT_EQ(news_of_first_token(ending_after(1)).stop_token_id, std::nullopt);
  EXPECT_EQ(news_of_first_token(ending_after(2)).finish_reason, std::nullopt);
}

TEST(Scheduler, ASequenceEndsAtTheModelsContext) {
  World world({.max_num_batched_tokens = 2000, .max_num_seqs = 8}, 300);
  world.add(998);
  world.schedule();
  EXPECT_EQ(world.finish()[0].finish_reason, std::nullopt);
  world.schedule();
  EXPECT_EQ(world.finish()[0].finish_reason, FinishReason::kLength);
}

}  // namespace
}  // namespace pagoda
