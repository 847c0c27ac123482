// Tests of Scheduler.
#include "engine/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <list>
#include <map>
#include <random>
#include <utility>

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

struct WorldOptions {
  int32_t max_num_batched_tokens = 64;
  int32_t max_num_seqs = 8;
  int32_t num_blocks = 100;
  int32_t block_size = 4;
  bool enable_prefix_caching = true;
  int32_t max_num_background_seqs = 0;
};

// A scheduler with its pool and requests, and a runner that always answers kToken.
class World {
 public:
  explicit World(const WorldOptions& options)
      : pool_(options.num_blocks, options.block_size),
        scheduler_({.limits = {.max_num_batched_tokens = options.max_num_batched_tokens,
                               .max_num_seqs = options.max_num_seqs},
                    .max_model_len = 1000,
                    .enable_prefix_caching = options.enable_prefix_caching,
                    .max_num_background_seqs = options.max_num_background_seqs},
                   pool_) {}

  // Ids are 1, 2, 3, ... A request of n choices takes n of them, and has the first as its own id.
  // No two prompts begin alike.
  void add(int32_t num_prompt_tokens, SamplingParams sampling = ending_after(1000), int32_t n = 1) {
    add_request({.prompt_token_ids = std::vector<TokenId>(static_cast<size_t>(num_prompt_tokens),
                                                          static_cast<TokenId>(next_id_)),
                 .sampling = std::move(sampling),
                 .n = n});
  }
  void add_request(Request request) {
    requests_.push_back(std::move(request));
    const RequestId request_id = next_id_;
    for (int32_t choice = 0; choice < requests_.back().n; ++choice) {
      scheduler_.add(
          std::make_unique<Sequence>(next_id_++, request_id, requests_.back(), choice, pool_));
    }
  }

  // Lets the scheduler see an output of one token, so that it believes in short ones.
  void teach_short_outputs() {
    const SequenceId before = std::exchange(next_id_, 1'000'000);
    add(1, ending_after(1));
    run_step();
    EXPECT_TRUE(scheduler_.empty());
    next_id_ = before;
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
  World world({.max_num_batched_tokens = 8, .max_num_seqs = 4});
  world.add(3);
  EXPECT_THAT(world.run_step(), ElementsAre(Pair(1, 3)));
  world.add(20);
  EXPECT_THAT(world.run_step(), ElementsAre(Pair(1, 1), Pair(2, 7)));
  EXPECT_THAT(world.run_step(), ElementsAre(Pair(1, 1), Pair(2, 7)));
  EXPECT_THAT(world.run_step(), ElementsAre(Pair(1, 1), Pair(2, 6)));
  EXPECT_THAT(world.run_step(), ElementsAre(Pair(1, 1), Pair(2, 1)));
}

TEST(Scheduler, OnlyTheLastChunkOfAPromptAsksForAToken) {
  World world({.max_num_batched_tokens = 8, .max_num_seqs = 4});
  world.add(10);
  EXPECT_EQ(world.schedule().output.sequences[0].sampling, nullptr);
  EXPECT_TRUE(world.finish().empty());
  EXPECT_NE(world.schedule().output.sequences[0].sampling, nullptr);
  EXPECT_EQ(world.finish().size(), 1U);
  EXPECT_EQ(world.scheduler().totals().num_prompt_tokens, 10);
}

TEST(Scheduler, NeverRunsMoreSequencesThanItCanGiveATokenEach) {
  World world({.max_num_batched_tokens = 2});
  for (int i = 0; i < 4; ++i) world.add(1);
  for (int i = 0; i < 5; ++i) {
    EXPECT_THAT(world.run_step(), ElementsAre(Pair(1, 1), Pair(2, 1)));
  }
}

TEST(Scheduler, ASmallRequestDoesNotOvertakeALargeOneThatWaits) {
  World world({.num_blocks = 8});
  world.add(16);  // 4 blocks and a spare one
  world.add(16);
  world.add(1);
  EXPECT_THAT(world.run_step(), ElementsAre(Pair(1, 16)));
  EXPECT_EQ(world.scheduler().num_waiting(), 2);
}

TEST(Scheduler, AdmissionLeavesASpareBlockForEachSequence) {
  World world({.num_blocks = 5});
  world.teach_short_outputs();
  world.add(4);
  world.add(4);
  world.add(4);
  EXPECT_THAT(world.run_step(), ElementsAre(Pair(1, 4), Pair(2, 4)));
}

TEST(Scheduler, AdmissionCountsTheBlocksAnUnfinishedPromptStillNeeds) {
  World world({.max_num_batched_tokens = 12, .num_blocks = 8});
  world.teach_short_outputs();
  world.add(2, ending_after(1000));
  world.add(16, ending_after(1000));  // 10 now and 6 in the next step
  world.add(4, ending_after(1000));   // room in the budget then, not in the pool
  EXPECT_THAT(world.run_step(), ElementsAre(Pair(1, 2), Pair(2, 10)));
  EXPECT_THAT(world.run_step(), ElementsAre(Pair(1, 1), Pair(2, 6)));
}

TEST(Scheduler, TheNewestIsPreemptedAndNobodyIsAdmittedInThatStep) {
  World world({.num_blocks = 6});
  world.teach_short_outputs();
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
  World world({.num_blocks = 6});
  world.teach_short_outputs();
  world.add(8, ending_after(6));
  world.add(8, ending_after(16));
  world.add(1, ending_after(16));
  for (int i = 0; i < 6; ++i) world.run_step();  // the sixth preempts, and ends the first
  EXPECT_EQ(world.scheduler().num_running(), 0);
  // 13 tokens, of which the first took one of three computed blocks.
  EXPECT_THAT(world.run_step(), ElementsAre(Pair(2, 5)));
  EXPECT_EQ(world.scheduler().num_waiting(), 1);
  EXPECT_EQ(world.scheduler().totals().num_prompt_tokens, 1 + 16);  // each counted once
  EXPECT_EQ(world.scheduler().totals().num_cached_prompt_tokens, 0);
  EXPECT_EQ(world.scheduler().totals().num_recomputed_tokens, 4);
}

TEST(Scheduler, ASequenceAloneMayUseTheWholePool) {
  World world({.num_blocks = 3});
  world.add(11, ending_after(2));
  EXPECT_THAT(world.run_step(), ElementsAre(Pair(1, 11)));
  EXPECT_THAT(world.run_step(), ElementsAre(Pair(1, 1)));
  EXPECT_TRUE(world.scheduler().empty());
  EXPECT_EQ(world.pool().num_free_blocks(), 3);
}

TEST(Scheduler, ChoicesShareTheFullBlocksOfTheirPrompt) {
  World world({.num_blocks = 20});
  world.teach_short_outputs();
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
  World world({.num_blocks = 20});
  world.teach_short_outputs();
  world.add(4, ending_after(1000), 3);
  EXPECT_THAT(world.run_step(), ElementsAre(Pair(1, 4), Pair(2, 4), Pair(3, 4)));
}

TEST(Scheduler, ATokenForASequenceRemovedMeanwhileIsDropped) {
  World world({.num_blocks = 20});
  world.add(4, ending_after(8));
  world.add(4, ending_after(8));
  world.schedule();
  world.scheduler().remove(1);
  const std::vector<SequenceNews> news = world.finish();
  ASSERT_EQ(news.size(), 1U);
  EXPECT_EQ(news[0].request_id, 2U);
}

// How a sequence ends whose first token is kToken.
SequenceNews news_of_first_token(const SamplingParams& sampling) {
  World world({.num_blocks = 20});
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
  World world({.max_num_batched_tokens = 2000, .num_blocks = 300});
  world.add(998);
  world.schedule();
  EXPECT_EQ(world.finish()[0].finish_reason, std::nullopt);
  world.schedule();
  EXPECT_EQ(world.finish()[0].finish_reason, FinishReason::kLength);
}

std::vector<TokenId> numbers(int32_t begin, int32_t end) {
  std::vector<TokenId> ids;
  for (int32_t i = begin; i < end; ++i) ids.push_back(i);
  return ids;
}

TEST(Scheduler, ASecondPromptThatBeginsAlikeComputesItsSuffixAndAtMostOneBlock) {
  World world({});
  world.add_request({.prompt_token_ids = numbers(0, 41), .sampling = ending_after(1)});
  EXPECT_THAT(world.run_step(), ElementsAre(Pair(1, 41)));
  std::vector<TokenId> prompt = numbers(0, 39);
  prompt.push_back(500);
  world.add_request({.prompt_token_ids = prompt, .sampling = ending_after(1)});
  EXPECT_THAT(world.run_step(), ElementsAre(Pair(2, 4)));  // nine blocks are found
  world.add_request({.prompt_token_ids = numbers(0, 40), .sampling = ending_after(1)});
  EXPECT_THAT(world.run_step(), ElementsAre(Pair(3, 4)));  // the last token must be computed
  EXPECT_EQ(world.scheduler().totals().num_cached_prompt_tokens, 36 + 36);
  EXPECT_EQ(world.scheduler().totals().num_prompt_tokens, 41 + 4 + 4);
}

TEST(Scheduler, TheNextTurnOfAConversationFindsTheAnswerTooInTheCache) {
  World world({});
  world.add_request({.prompt_token_ids = numbers(0, 10), .sampling = ending_after(7)});
  while (!world.scheduler().empty()) world.run_step();
  std::vector<TokenId> prompt = numbers(0, 10);
  prompt.insert(prompt.end(), 7, kToken);
  prompt.push_back(9);
  world.add_request({.prompt_token_ids = prompt, .sampling = ending_after(1)});
  // 16 of 17 tokens were computed: the last one never was.
  EXPECT_THAT(world.run_step(), ElementsAre(Pair(2, 2)));
}

TEST(Scheduler, AnotherSaltFindsNothing) {
  World world({});
  world.add_request({.prompt_token_ids = numbers(0, 9), .sampling = ending_after(1)});
  world.run_step();
  Request request{.prompt_token_ids = numbers(0, 9), .sampling = ending_after(1)};
  request.cache_salt[31] = 1;
  world.add_request(request);
  EXPECT_THAT(world.run_step(), ElementsAre(Pair(2, 9)));
}

TEST(Scheduler, APromptProfitsFromOneThatIsBeingComputed) {
  World world({.max_num_batched_tokens = 16});
  world.add_request({.prompt_token_ids = numbers(0, 40), .sampling = ending_after(1)});
  world.add_request({.prompt_token_ids = numbers(0, 40), .sampling = ending_after(1)});
  EXPECT_THAT(world.run_step(), ElementsAre(Pair(1, 16)));
  EXPECT_THAT(world.run_step(), ElementsAre(Pair(1, 16)));
  EXPECT_THAT(world.run_step(), ElementsAre(Pair(1, 8), Pair(2, 8)));  // from token 32
  EXPECT_EQ(world.scheduler().totals().num_prompt_tokens, 48);
  EXPECT_TRUE(world.scheduler().empty());
}

TEST(Scheduler, WithoutTheCacheEverythingIsComputed) {
  World world({.enable_prefix_caching = false});
  for (SequenceId id : {1, 2}) {
    world.add_request({.prompt_token_ids = numbers(0, 40), .sampling = ending_after(1)});
    EXPECT_THAT(world.run_step(), ElementsAre(Pair(id, 40)));
  }
  EXPECT_EQ(world.scheduler().num_cached_blocks(), 0);
}

Request background(int32_t num_prompt_tokens, TokenId token, int32_t max_tokens) {
  Request request{
      .prompt_token_ids = std::vector<TokenId>(static_cast<size_t>(num_prompt_tokens), token),
      .sampling = ending_after(max_tokens)};
  request.priority = Priority::kBackground;
  return request;
}

TEST(Scheduler, BackgroundRequestsEvictEachOtherBeforeALiveConversation) {
  World world({.num_blocks = 12});
  world.add_request({.prompt_token_ids = numbers(0, 17), .sampling = ending_after(1)});
  world.run_step();  // five blocks, four of them full
  for (TokenId token = 300; token < 310; ++token) {
    world.add_request(background(17, token, 1));
    world.run_step();
  }
  world.add_request({.prompt_token_ids = numbers(0, 17), .sampling = ending_after(1)});
  EXPECT_THAT(world.run_step(), ElementsAre(Pair(12, 1)));
}

TEST(Scheduler, AnInteractiveRequestGoesBeforeBackgroundOnesThatCameEarlier) {
  World world({.max_num_seqs = 1});
  world.add(4, ending_after(1));
  world.add_request(background(4, 300, 1));
  world.add(4, ending_after(1));
  EXPECT_THAT(world.run_step(), ElementsAre(Pair(1, 4)));
  EXPECT_THAT(world.run_step(), ElementsAre(Pair(3, 4)));
  EXPECT_THAT(world.run_step(), ElementsAre(Pair(2, 4)));
}

TEST(Scheduler, AnInteractivePromptIsComputedBeforeTheRestOfABackgroundPrompt) {
  World world({.max_num_batched_tokens = 8});
  world.add_request(background(40, 300, 8));
  EXPECT_THAT(world.run_step(), ElementsAre(Pair(1, 8)));
  world.add(12, ending_after(8));
  EXPECT_THAT(world.run_step(), ElementsAre(Pair(2, 8)));
  EXPECT_THAT(world.run_step(), ElementsAre(Pair(1, 4), Pair(2, 4)));
}

TEST(Scheduler, ABackgroundSequenceIsDisplacedOnceAndThenRunsToItsEnd) {
  World world({.max_num_seqs = 1});
  world.add_request(background(4, 300, 3));
  EXPECT_THAT(world.run_step(), ElementsAre(Pair(1, 4)));
  world.add(4, ending_after(2));
  EXPECT_THAT(world.schedule().preempted, ElementsAre(1));
  world.finish();
  world.add(4, ending_after(2));
  EXPECT_THAT(world.run_step(), ElementsAre(Pair(2, 1)));
  // It came back as one that arrived when it was displaced, and its block is still cached.
  EXPECT_THAT(world.run_step(), ElementsAre(Pair(1, 1)));
  EXPECT_THAT(world.schedule().preempted, ElementsAre());
  world.finish();
  EXPECT_THAT(world.run_step(), ElementsAre(Pair(3, 4)));
}

TEST(Scheduler, ABackgroundSequenceIsNotDisplacedInVain) {
  World world({.num_blocks = 10});
  world.add(20, ending_after(20));  // needs all ten in the end
  world.run_step();
  world.add_request(background(4, 300, 4));
  world.add(36, ending_after(4));
  world.schedule();
  world.finish();
  const ScheduledStep& step = world.schedule();
  EXPECT_THAT(step.preempted, ElementsAre());
  world.finish();
}

TEST(Scheduler, BackgroundSequencesBeyondTheirLimitWaitAndHoldUpNoOther) {
  World world({.max_num_seqs = 8, .max_num_background_seqs = 2});
  for (TokenId token = 300; token < 304; ++token) world.add_request(background(4, token, 3));
  EXPECT_THAT(world.run_step(), ElementsAre(Pair(1, 4), Pair(2, 4)));
  world.add(4, ending_after(1));
  EXPECT_THAT(world.run_step(), ElementsAre(Pair(1, 1), Pair(2, 1), Pair(5, 4)));
  EXPECT_THAT(world.run_step(), ElementsAre(Pair(1, 1), Pair(2, 1)));
  EXPECT_THAT(world.run_step(), ElementsAre(Pair(3, 4), Pair(4, 4)));
}

TEST(Scheduler, BackgroundSequencesHaveHalfOfThePlacesAtMostAndAtLeastOne) {
  for (const auto& [max_num_seqs, limit] : {std::pair{8, 4}, {3, 1}, {1, 1}}) {
    World world({.max_num_seqs = max_num_seqs});
    for (TokenId token = 300; token < 310; ++token) world.add_request(background(4, token, 3));
    EXPECT_EQ(world.run_step().size(), static_cast<size_t>(limit)) << max_num_seqs;
  }
}

TEST(Scheduler, ABackgroundSequenceThatWasDisplacedCountsAgainWhenItIsBack) {
  World world({.max_num_seqs = 2, .max_num_background_seqs = 1});
  world.add_request(background(4, 300, 30));
  world.run_step();
  world.add(4, ending_after(2));
  world.add(4, ending_after(2));
  world.run_step();
  EXPECT_THAT(world.schedule().preempted, ElementsAre(1));
  world.finish();
  world.add_request(background(4, 301, 30));
  world.run_step();
  world.add(4, ending_after(1));
  EXPECT_THAT(world.run_step(), ElementsAre(Pair(1, 1), Pair(5, 4)));
  EXPECT_EQ(world.scheduler().num_waiting(), 1);
}

TEST(Scheduler, TenantsTakeTurnsByWhatTheyHaveHad) {
  World world({.max_num_seqs = 1});
  const auto ask = [&](TenantId tenant, int32_t num_prompt_tokens, TokenId token) {
    Request request{
        .prompt_token_ids = std::vector<TokenId>(static_cast<size_t>(num_prompt_tokens), token),
        .sampling = ending_after(1)};
    request.tenant = tenant;
    world.add_request(request);
  };
  for (TokenId token = 0; token < 4; ++token) ask(0, 20, token);    // 1 to 4
  for (TokenId token = 10; token < 14; ++token) ask(1, 10, token);  // 5 to 8
  std::vector<SequenceId> order;
  while (!world.scheduler().empty()) order.push_back(world.run_step().begin()->first);
  EXPECT_THAT(order, ElementsAre(1, 5, 6, 2, 7, 8, 3, 4));
}

TEST(Scheduler, AGuaranteedSequenceLetsOthersPassWhileAnotherOneHoldsItsGuarantee) {
  World world({.max_num_batched_tokens = 64, .num_blocks = 12});
  world.teach_short_outputs();
  for (int i = 0; i < 4; ++i) world.add(8, ending_after(40));  // each may come to need all twelve
  std::map<RequestId, int> num_preemptions;
  bool passed = false;
  for (int i = 0; !world.scheduler().empty(); ++i) {
    ASSERT_LT(i, 400);
    if (i % 20 == 19 && i < 200) world.add(4, ending_after(2));
    for (const RequestId id : world.schedule().preempted) ++num_preemptions[id];
    for (const SequenceNews& news : world.finish()) {
      passed = passed || (news.request_id > 4 && world.scheduler().num_waiting() > 0);
    }
  }
  EXPECT_GE(num_preemptions.size(), 2U);
  EXPECT_TRUE(passed);
}

TEST(Scheduler, NoSequenceIsPreemptedTwiceHoweverSmallThePool) {
  for (uint32_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 random(seed);
    World world({.max_num_batched_tokens = 32,
                 .num_blocks = 12,
                 .enable_prefix_caching = false,
                 .max_num_background_seqs = static_cast<int32_t>(seed % 4)});
    world.teach_short_outputs();
    std::map<RequestId, int> num_preemptions;
    int64_t most_recomputed = 0;
    int num_left = 40;
    while (num_left > 0 || !world.scheduler().empty()) {
      if (num_left > 0 && random() % 2 == 0) {
        const auto num_prompt_tokens = static_cast<int32_t>(1 + random() % 16);
        const auto max_tokens = static_cast<int32_t>(1 + random() % 32);
        world.add_request(random() % 3 == 0
                              ? background(num_prompt_tokens, 7 * num_left, max_tokens)
                              : Request{.prompt_token_ids = std::vector<TokenId>(
                                            static_cast<size_t>(num_prompt_tokens), num_left),
                                        .sampling = ending_after(max_tokens)});
        most_recomputed += num_prompt_tokens + max_tokens - 1;
        --num_left;
      }
      if (world.scheduler().empty()) continue;
      for (const RequestId id : world.schedule().preempted) {
        EXPECT_EQ(++num_preemptions[id], 1) << "request " << id;
      }
      world.finish();
    }
    EXPECT_LT(world.scheduler().totals().num_recomputed_tokens, most_recomputed);
  }
}

TEST(Scheduler, OnceOutputsAreKnownToBeLongNobodyIsPreempted) {
  World world({.num_blocks = 24});
  world.add(4, ending_after(40));
  while (!world.scheduler().empty()) world.run_step();
  for (int i = 0; i < 10; ++i) world.add(4, ending_after(40));
  int32_t most_running = 0;
  while (!world.scheduler().empty()) {
    EXPECT_THAT(world.schedule().preempted, ElementsAre());
    most_running = std::max(most_running, world.scheduler().num_running());
    world.finish();
  }
  EXPECT_GE(most_running, 2);  // of eleven blocks each, in a pool of 24
}

}  // namespace
}  // namespace pagoda
