// The sampler against its own rules, against counts of many draws and against hostile logits.
#include "runner/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#pragma GCC diagnostic ignored "-Wmissing-field-initializers"  // parameters left at their defaults

namespace pagoda {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

SampledToken sample(const std::vector<float>& logits, const SamplingParams& params,
                    const std::vector<TokenId>& tokens = {}, int32_t num_prompt_tokens = 0) {
  Sampler sampler(static_cast<int32_t>(logits.size()));
  auto result = sampler.sample({.logits = logits,
                                .token_ids = tokens,
                                .num_prompt_tokens = num_prompt_tokens,
                                .params = &params});
  EXPECT_TRUE(result.ok()) << result.error().message;
  return result.ok() ? *result : SampledToken{.token = -1};
}

// How often each token comes up over many positions of one stream.
std::map<TokenId, double> frequencies(const std::vector<float>& logits,
                                      const SamplingParams& params, size_t num_draws = 20000) {
  Sampler sampler(static_cast<int32_t>(logits.size()));
  std::vector<TokenId> tokens(num_draws);
  std::map<TokenId, double> result;
  for (size_t n = 0; n < num_draws; ++n) {
    const auto token = sampler.sample({.logits = logits,
                                       .token_ids = std::span(tokens).first(n),
                                       .num_prompt_tokens = static_cast<int32_t>(n),
                                       .params = &params});
    result[token->token] += 1.0 / static_cast<double>(num_draws);
  }
  return result;
}

std::vector<float> softmax(const std::vector<float>& logits, float temperature) {
  std::vector<float> probs;
  float sum = 0.0F;
  for (const float logit : logits) sum += probs.emplace_back(std::exp(logit / temperature));
  for (float& p : probs) p /= sum;
  return probs;
}

// Many distinct logits, deterministic.
std::vector<float> wavy_logits(size_t count) {
  std::vector<float> logits(count);
  for (size_t i = 0; i < count; ++i) {
    logits[i] = 8.0F * static_cast<float>(std::sin(static_cast<double>(i) * 1.7));
  }
  return logits;
}

TEST(Philox, GivesThePublishedAnswers) {
  // Random123, kat_vectors, philox4x32 10.
  const auto words = [](PhiloxBlock b) { return std::vector<uint32_t>(b.words, b.words + 4); };
  EXPECT_EQ(words(philox4x32_10({{0, 0, 0, 0}}, 0, 0)),
            (std::vector<uint32_t>{0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8}));
  EXPECT_EQ(words(philox4x32_10({{0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF}}, 0xFFFFFFFF,
                                0xFFFFFFFF)),
            (std::vector<uint32_t>{0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD}));
  EXPECT_EQ(words(philox4x32_10({{0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344}}, 0xA4093822,
                                0x299F31D0)),
            (std::vector<uint32_t>{0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1}));
}

TEST(UniformRandom, DependsOnSeedChoiceAndPositionAndStaysBelowOne) {
  EXPECT_NE(uniform_random(1, 0, 0), uniform_random(2, 0, 0));
  EXPECT_NE(uniform_random(1, 0, 0), uniform_random(uint64_t{1} << 32, 0, 0));
  EXPECT_NE(uniform_random(1, 0, 0), uniform_random(1, 1, 0));
  EXPECT_NE(uniform_random(1, 0, 0), uniform_random(1, 0, 1));
  for (uint32_t i = 0; i < 10000; ++i) {
    const double u = uniform_random(7, 0, i);
    ASSERT_GE(u, 0.0);
    ASSERT_LT(u, 1.0);
  }
}

TEST(Sampler, TemperatureZeroTakesTheLargestAndTheLowestIdAmongEquals) {
  EXPECT_EQ(sample({1, 3, 2}, {.temperature = 0}).token, 1);
  EXPECT_EQ(sample({1, 3, 3, 3}, {.temperature = 0}).token, 1);
  EXPECT_EQ(sample({-5, -5}, {.temperature = 0}).token, 0);
  EXPECT_EQ(sample({1, 3, 2}, {.temperature = 1e-6F, .top_p = 0.5F}).token, 1);
}

TEST(Sampler, DrawsWithTheProbabilitiesOfTheSoftmax) {
  const std::vector<float> logits = {0.0F, 1.0F, 2.0F, -1.0F};
  for (const float temperature : {0.5F, 1.0F, 2.0F}) {
    const std::vector<float> want = softmax(logits, temperature);
    auto got = frequencies(logits, {.temperature = temperature, .seed = 11});
    for (size_t i = 0; i < want.size(); ++i) {
      EXPECT_NEAR(got[static_cast<TokenId>(i)], want[i], 0.015) << temperature << " " << i;
    }
  }
}

TEST(Sampler, TopKKeepsTheKLargestAndBreaksTiesByLowerId) {
  auto got = frequencies({1, 2, 2, 2, 0}, {.top_k = 2});
  EXPECT_EQ(got.size(), 2U);
  EXPECT_NEAR(got[1], 0.5, 0.02);
  EXPECT_NEAR(got[2], 0.5, 0.02);
}

TEST(Sampler, TopPKeepsTheFewestThatReachIt) {
  // Probabilities 0.5, 0.3, 0.2.
  const std::vector<float> logits = {std::log(0.3F), std::log(0.5F), std::log(0.2F)};
  EXPECT_EQ(frequencies(logits, {.top_p = 0.49F}).size(), 1U);
  EXPECT_EQ(frequencies(logits, {.top_p = 0.6F}).size(), 2U);
  auto got = frequencies(logits, {.top_p = 0.79F});
  EXPECT_EQ(got.size(), 2U);
  EXPECT_NEAR(got[1], 0.625, 0.02);
  EXPECT_EQ(frequencies(logits, {.top_p = 0.9F}).size(), 3U);
  EXPECT_EQ(frequencies(logits, {.top_p = 1e-7F}).size(), 1U);
}

TEST(Sampler, TopPCountsWithinWhatTopKKept) {
  // After top_k the first two hold 0.625 and 0.375.
  const std::vector<float> logits = {std::log(0.3F), std::log(0.5F), std::log(0.2F)};
  EXPECT_EQ(frequencies(logits, {.top_p = 0.6F, .top_k = 2}).size(), 1U);
  EXPECT_EQ(frequencies(logits, {.top_p = 0.7F, .top_k = 2}).size(), 2U);
}

TEST(Sampler, MinPKeepsWhatIsLikelyEnoughBesideTheBest) {
  const std::vector<float> logits = {std::log(0.3F), std::log(0.5F), std::log(0.2F)};
  EXPECT_EQ(frequencies(logits, {.min_p = 0.7F}).size(), 1U);
  EXPECT_EQ(frequencies(logits, {.min_p = 0.5F}).size(), 2U);
  EXPECT_EQ(frequencies(logits, {.min_p = 0.5F, .top_k = 3}).size(), 3U - 1U);
  EXPECT_EQ(frequencies(logits, {.min_p = 1.0F}).size(), 1U);
}

// The bounded search must keep what sorting everything would.
TEST(Sampler, TopPOverManyTokensAgreesWithSortingThemAll) {
  const std::vector<float> logits = wavy_logits(5000);
  std::vector<TokenId> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](TokenId a, TokenId b) {
    return logits[static_cast<size_t>(a)] > logits[static_cast<size_t>(b)];
  });
  const std::vector<float> probs = softmax(logits, 2.0F);
  for (const float top_p : {0.1F, 0.5F, 0.9F, 0.999F}) {
    std::vector<bool> kept(logits.size());
    double sum = 0.0;
    size_t num_kept = 0;
    while (sum < static_cast<double>(top_p) - 1e-5) {
      kept[static_cast<size_t>(order[num_kept])] = true;
      sum += static_cast<double>(probs[static_cast<size_t>(order[num_kept++])]);
    }
    const auto got = frequencies(logits, {.temperature = 2.0F, .top_p = top_p}, 300);
    EXPECT_GT(got.size(), std::min<size_t>(num_kept, 200) / 2);
    for (const auto& [token, frequency] : got) {
      // One more than the sum in single precision says may slip in at the edge.
      const bool edge = token == order[std::min(num_kept, order.size() - 1)];
      EXPECT_TRUE(kept[static_cast<size_t>(token)] || edge) << top_p << " " << token;
    }
  }
}

TEST(Sampler, BiasAndAllowedTokensActBeforeTheChoice) {
  EXPECT_EQ(sample({1, 2, 3}, {.temperature = 0, .logit_bias = {{0, 5.0F}}}).token, 0);
  EXPECT_EQ(sample({1, 2, 3}, {.temperature = 0, .logit_bias = {{2, -100.0F}}}).token, 1);
  EXPECT_EQ(sample({1, 2, 3}, {.temperature = 0, .allowed_token_ids = {0, 1}}).token, 1);
  EXPECT_EQ(frequencies({1, 2, 3}, {.allowed_token_ids = {0, 1}}).count(2), 0U);
  // A bias does not bring back what is not allowed.
  EXPECT_EQ(sample({1, 2, 3},
                   {.temperature = 0, .logit_bias = {{2, 100.0F}}, .allowed_token_ids = {0, 1}})
                .token,
            1);
}

TEST(Sampler, IdsOutsideTheVocabularyHaveNoEffect) {
  EXPECT_EQ(sample({1, 2},
                   {.min_tokens = 3,
                    .temperature = 0,
                    .repetition_penalty = 1.5F,
                    .eos_token_ids = {-1, 2},
                    .stop_token_ids = {1 << 30},
                    .logit_bias = {{-7, 1.0F}, {2, 9.0F}},
                    .allowed_token_ids = {-1, 0, 1, 99}},
                   {5, -3})
                .token,
            1);
}

TEST(Sampler, EndTokensWaitForMinTokens) {
  const SamplingParams params = {
      .min_tokens = 2, .temperature = 0, .eos_token_ids = {0}, .stop_token_ids = {1}};
  const std::vector<float> logits = {9, 8, 7};
  EXPECT_EQ(sample(logits, params, {2}, 1).token, 2);        // no output yet
  EXPECT_EQ(sample(logits, params, {2, 2}, 1).token, 2);     // one
  EXPECT_EQ(sample(logits, params, {2, 2, 2}, 1).token, 0);  // two
  SamplingParams ignoring = params;
  ignoring.ignore_eos = true;  // then it ends nothing and may come
  EXPECT_EQ(sample(logits, ignoring, {2}, 1).token, 0);
}

TEST(Sampler, RepetitionPenaltyDividesPositiveAndMultipliesNegativeLogits) {
  const SamplingParams params = {.temperature = 0, .repetition_penalty = 2.0F};
  EXPECT_EQ(sample({3.0F, 2.0F}, params, {0}, 1).token, 1);        // 1.5 against 2
  EXPECT_EQ(sample({3.0F, 1.4F}, params, {0, 0, 0}, 1).token, 0);  // once, however often it came
  EXPECT_EQ(sample({-1.0F, -1.5F}, params, {0}, 0).token, 1);      // -2 against -1.5
}

TEST(Sampler, PresenceAndFrequencyPenaltiesCountOutputTokensOnly) {
  const std::vector<float> logits = {3.0F, 2.0F};
  const SamplingParams presence = {.temperature = 0, .presence_penalty = 1.5F};
  EXPECT_EQ(sample(logits, presence, {0}, 1).token, 0);  // a prompt token
  EXPECT_EQ(sample(logits, presence, {0}, 0).token, 1);  // an output token
  const SamplingParams frequency = {.temperature = 0, .frequency_penalty = 0.4F};
  EXPECT_EQ(sample(logits, frequency, {0, 0}, 0).token, 0);     // 3 - 0.8
  EXPECT_EQ(sample(logits, frequency, {0, 0, 0}, 0).token, 1);  // 3 - 1.2
  const SamplingParams reward = {.temperature = 0, .presence_penalty = -1.5F};
  EXPECT_EQ(sample(logits, reward, {1, 1}, 0).token, 1);  // 2 + 1.5
}

TEST(Sampler, ScratchDoesNotLeakFromOneCallToTheNext) {
  Sampler sampler(4);
  const std::vector<float> logits = {4, 3, 2, 1};
  const std::vector<TokenId> tokens = {0, 0, 1};
  const SamplingParams penal = {.temperature = 0,
                                .presence_penalty = 2.0F,
                                .frequency_penalty = 2.0F,
                                .repetition_penalty = 2.0F};
  const SamplingParams plain = {.temperature = 0};
  const SamplerInput hard = {.logits = logits, .token_ids = tokens, .params = &penal};
  const SamplerInput easy = {.logits = logits, .token_ids = tokens, .params = &plain};
  const TokenId first = sampler.sample(hard)->token;
  EXPECT_EQ(sampler.sample(easy)->token, 0);
  EXPECT_EQ(sampler.sample(hard)->token, first);
  EXPECT_EQ(first, 2);
}

TEST(Sampler, TheSameStreamGivesTheSameTokensWhateverWasSampledBetween) {
  const std::vector<float> logits = wavy_logits(300);
  const std::vector<TokenId> tokens = {1, 2, 3};
  for (const SamplingParams& params :
       {SamplingParams{.seed = 5}, SamplingParams{.top_p = 0.9F, .seed = 5},
        SamplingParams{.top_k = 7, .presence_penalty = 1.0F, .seed = 5}}) {
    Sampler fresh(300);
    Sampler used(300);
    const SamplingParams other = {.top_p = 0.5F, .repetition_penalty = 1.3F, .seed = 99};
    const std::vector<TokenId> other_tokens = {250, 7, 7};
    for (int i = 0; i < 3; ++i) {
      ASSERT_TRUE(
          used.sample({.logits = logits, .token_ids = other_tokens, .params = &other}).ok());
    }
    const SamplerInput input = {.logits = logits, .token_ids = tokens, .params = &params};
    EXPECT_EQ(fresh.sample(input)->token, used.sample(input)->token);
  }
}

TEST(Sampler, ChoicesOfOneRequestDiffer) {
  const std::vector<float> logits(1000, 0.0F);
  const SamplingParams params = {.seed = 3};
  Sampler sampler(1000);
  std::map<TokenId, int> seen;
  for (int32_t choice = 0; choice < 8; ++choice) {
    ++seen[sampler.sample({.logits = logits, .choice_index = choice, .params = &params})->token];
  }
  EXPECT_GT(seen.size(), 6U);
}

TEST(Sampler, LogprobsAreThoseOfTheUnmodifiedLogits) {
  const std::vector<float> logits = {std::log(0.2F), std::log(0.5F), std::log(0.3F)};
  const SampledToken got = sample(
      logits, {.temperature = 0.1F, .top_k = 1, .logit_bias = {{0, 100.0F}}, .num_logprobs = 2});
  EXPECT_EQ(got.token, 0);
  EXPECT_NEAR(got.logprob, std::log(0.2), 1e-6);
  ASSERT_EQ(got.top_logprobs.size(), 2U);
  EXPECT_EQ(got.top_logprobs[0].token, 1);
  EXPECT_NEAR(got.top_logprobs[0].logprob, std::log(0.5), 1e-6);
  EXPECT_EQ(got.top_logprobs[1].token, 2);
}

TEST(Sampler, NumLogprobsDecidesHowManyComeBack) {
  EXPECT_TRUE(sample({1, 2}, {.num_logprobs = 0}).top_logprobs.empty());
  EXPECT_NE(sample({1, 2}, {.num_logprobs = 0}).logprob, 0.0F);
  EXPECT_EQ(sample({1, 2}, {.num_logprobs = -1}).logprob, 0.0F);
  EXPECT_EQ(sample({1, 2}, {.num_logprobs = 20}).top_logprobs.size(), 2U);
}

TEST(Sampler, LogitsThatAreNotFiniteAreAnError) {
  for (const float bad : {kInf, -kInf, std::numeric_limits<float>::quiet_NaN()}) {
    for (const float temperature : {0.0F, 1.0F}) {
      const std::vector<float> logits = {1.0F, bad, 2.0F};
      const SamplingParams params = {.temperature = temperature};
      Sampler sampler(3);
      const auto result = sampler.sample({.logits = logits, .params = &params});
      ASSERT_FALSE(result.ok());
      EXPECT_EQ(result.error().code, ErrorCode::kInternal);
    }
  }
}

TEST(Sampler, NothingAllowedIsAnErrorAndExtremesAreNot) {
  const SamplingParams nothing = {.allowed_token_ids = {77}};
  Sampler sampler(2);
  const std::vector<float> logits = {1, 2};
  EXPECT_FALSE(sampler.sample({.logits = logits, .params = &nothing}).ok());

  const float huge = std::numeric_limits<float>::max();
  const std::vector<TokenId> tokens = {0, 1};
  for (const float penalty : {1e-38F, 1e38F}) {
    for (const float top_p : {0.5F, 1.0F}) {
      const SamplingParams params = {.temperature = 1e-4F,
                                     .top_p = top_p,
                                     .presence_penalty = 2,
                                     .repetition_penalty = penalty};
      for (const auto& extreme : {std::vector<float>{huge, -huge}, {-huge, -huge}, {huge, huge}}) {
        const auto result =
            sampler.sample({.logits = extreme, .token_ids = tokens, .params = &params});
        ASSERT_TRUE(result.ok());
        EXPECT_TRUE(result->token == 0 || result->token == 1);
      }
    }
  }
}

}  // namespace
}  // namespace pagoda
