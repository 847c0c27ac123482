// Tests of prompt lookup, on texts small enough to see through.
#include "engine/prompt_lookup.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <random>

namespace pagoda {
namespace {

std::vector<TokenId> drafts_for(std::vector<TokenId> tokens, int32_t max_num_drafts) {
  const size_t size = tokens.size();
  const std::vector<TokenId> before = tokens;
  const int32_t count = append_drafts(tokens, max_num_drafts);
  EXPECT_EQ(tokens.size(), size + static_cast<size_t>(count));
  EXPECT_TRUE(std::equal(before.begin(), before.end(), tokens.begin()));
  return {tokens.begin() + static_cast<std::ptrdiff_t>(size), tokens.end()};
}

using Tokens = std::vector<TokenId>;

TEST(PromptLookup, GuessesWhatFollowedTheSameTwoTokens) {
  EXPECT_EQ(drafts_for({1, 2, 3, 4, 5, 1, 2}, 3), (Tokens{3, 4, 5}));
  EXPECT_EQ(drafts_for({1, 2, 3, 4, 5, 1, 2}, 1), (Tokens{3}));
}

TEST(PromptLookup, OneEqualTokenIsNoMatch) {
  EXPECT_EQ(drafts_for({1, 2, 3, 4, 5, 9, 2}, 3), Tokens{});
  EXPECT_EQ(drafts_for({2, 2}, 3), Tokens{});
  EXPECT_EQ(drafts_for({}, 3), Tokens{});
}

TEST(PromptLookup, TheLongestMatchCountsAndOfThoseAlikeTheLatest) {
  EXPECT_EQ(drafts_for({7, 1, 2, 10, 9, 1, 2, 20, 7, 1, 2}, 1), (Tokens{10}));
  EXPECT_EQ(drafts_for({9, 1, 2, 10, 9, 1, 2, 20, 7, 1, 2}, 1), (Tokens{20}));
}

TEST(PromptLookup, ATextThatGoesRoundInCirclesIsTakenToGoOnSo) {
  EXPECT_EQ(drafts_for({1, 2, 3, 1, 2, 3}, 7), (Tokens{1, 2, 3, 1, 2, 3, 1}));
  EXPECT_EQ(drafts_for({5, 5, 5}, 4), (Tokens{5, 5, 5, 5}));
}

TEST(PromptLookup, IsWhatASearchOfAllPlacesFinds) {
  std::mt19937 random(1);
  for (int round = 0; round < 2000; ++round) {
    Tokens tokens(random() % 40);
    for (TokenId& token : tokens) token = static_cast<TokenId>(random() % 3);
    size_t best_length = 1;
    size_t best_end = 0;
    for (size_t end = 1; end < tokens.size(); ++end) {
      size_t length = 0;
      while (length < end && length < 8 &&
             tokens[end - 1 - length] == tokens[tokens.size() - 1 - length]) {
        ++length;
      }
      if (length > 1 && length >= best_length) {
        best_length = length;
        best_end = end;
      }
    }
    const Tokens got = drafts_for(tokens, 1);
    if (best_end == 0) {
      EXPECT_EQ(got, Tokens{});
    } else {
      EXPECT_EQ(got, Tokens{tokens[best_end]});
    }
  }
}

TEST(DraftPacing, DraftsGrowWhileTheyAreRight) {
  DraftPacing pacing;
  EXPECT_EQ(pacing.next_num_drafts(20), 3);
  pacing.note(3, 3);
  EXPECT_EQ(pacing.next_num_drafts(20), 6);
  pacing.note(6, 6);
  EXPECT_EQ(pacing.next_num_drafts(20), 12);
  EXPECT_EQ(pacing.next_num_drafts(4), 4);
  pacing.note(4, 4);
  EXPECT_EQ(pacing.next_num_drafts(20), 12) << "short ones say nothing against long ones";
  pacing.note(12, 2);
  EXPECT_EQ(pacing.next_num_drafts(20), 2);
}

// Steps with drafts out of 1,000, of which every `period`th try is right.
int num_tries(int period) {
  DraftPacing pacing;
  int count = 0;
  for (int step = 0; step < 1000; ++step) {
    const int32_t num_drafts = pacing.next_num_drafts(7);
    if (num_drafts == 0) continue;
    pacing.note(num_drafts, ++count % period == 0 ? 1 : 0);
  }
  return count;
}

TEST(DraftPacing, DraftsThatAreMostlyWrongBecomeRare) {
  EXPECT_GT(num_tries(1000), 10);
  EXPECT_LT(num_tries(1000), 25);
  EXPECT_LT(num_tries(12), 40);
  EXPECT_GT(num_tries(2), 300);
}

TEST(DraftPacing, ATextThatBeginsToRepeatItselfIsNoticed) {
  DraftPacing pacing;
  for (int i = 0; i < 10; ++i) {
    while (pacing.next_num_drafts(7) == 0) {
    }
    pacing.note(1, 0);
  }
  while (pacing.next_num_drafts(7) == 0) {
  }
  for (const int32_t num_drafts : {1, 2, 4}) {
    pacing.note(num_drafts, num_drafts);
    EXPECT_EQ(pacing.next_num_drafts(7), std::min(2 * num_drafts, 7));
  }
}

}  // namespace
}  // namespace pagoda
