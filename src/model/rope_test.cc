// Frequencies against values worked out by hand.
#include "model/rope.h"

#include <gtest/gtest.h>

#include <numbers>

namespace pagoda {
namespace {

TEST(Rope, DefaultFrequenciesAreAGeometricSeries) {
  const RopeTable table = make_rope_table({.theta = 10000.0}, 8);
  ASSERT_EQ(table.inv_freq.size(), 4U);
  EXPECT_FLOAT_EQ(table.inv_freq[0], 1.0F);
  EXPECT_FLOAT_EQ(table.inv_freq[1], 0.1F);
  EXPECT_FLOAT_EQ(table.inv_freq[2], 0.01F);
  EXPECT_FLOAT_EQ(table.inv_freq[3], 0.001F);
  EXPECT_EQ(table.attention_factor, 1.0F);
}

TEST(Rope, LinearScalingDividesEveryFrequency) {
  const RopeTable table =
      make_rope_table({.type = RopeType::kLinear, .theta = 10000.0, .factor = 4.0}, 8);
  EXPECT_FLOAT_EQ(table.inv_freq[0], 0.25F);
  EXPECT_FLOAT_EQ(table.inv_freq[3], 0.00025F);
}

TEST(Rope, Llama3KeepsShortWavesDividesLongOnesAndBlendsBetween) {
  // Wavelengths 2 pi, 20 pi, 200 pi, 2000 pi against bounds of 40 and 160.
  const RopeConfig config = {.type = RopeType::kLlama3,
                             .theta = 10000.0,
                             .factor = 8.0,
                             .low_freq_factor = 1.0,
                             .high_freq_factor = 4.0,
                             .original_max_position_embeddings = 160};
  const RopeTable table = make_rope_table(config, 8);
  EXPECT_FLOAT_EQ(table.inv_freq[0], 1.0F);
  const double smooth = (160.0 / (20.0 * std::numbers::pi) - 1.0) / 3.0;
  EXPECT_FLOAT_EQ(table.inv_freq[1], static_cast<float>((1.0 - smooth) * 0.1 / 8.0 + smooth * 0.1));
  EXPECT_FLOAT_EQ(table.inv_freq[2], 0.01F / 8);
  EXPECT_FLOAT_EQ(table.inv_freq[3], 0.001F / 8);
}

TEST(Rope, OnlyTheRotaryPartOfAHeadHasFrequencies) {
  const RopeTable table = make_rope_table({.theta = 10000.0, .rotary_factor = 0.75}, 16);
  ASSERT_EQ(table.inv_freq.size(), 6U);
  EXPECT_FLOAT_EQ(table.inv_freq[3], 0.01F);
}

// Indices of 10 and of 1 turns within 2000 pi positions: ln(100) and ln(1000) of ln(10000), times
// half of 8, are 2 and 3.
TEST(Rope, YarnKeepsFastWavesDividesSlowOnesAndBlendsBetween) {
  RopeConfig config = {.type = RopeType::kYarn,
                       .theta = 10000.0,
                       .factor = 4.0,
                       .original_max_position_embeddings = 6283,
                       .beta_fast = 10.0,
                       .beta_slow = 1.0,
                       .truncate = false,
                       .attention_factor = 1.5};
  const RopeTable table = make_rope_table(config, 8);
  EXPECT_EQ(table.attention_factor, 1.5F);
  EXPECT_FLOAT_EQ(table.inv_freq[0], 1.0F);
  EXPECT_FLOAT_EQ(table.inv_freq[1], 0.1F);
  EXPECT_NEAR(table.inv_freq[2], 0.01, 1e-5);
  EXPECT_NEAR(table.inv_freq[3], 0.001 / 4, 1e-6);
  config.beta_fast = 100.0;
  EXPECT_NEAR(make_rope_table(config, 8).inv_freq[2], (0.01 + 0.01 / 4) / 2, 1e-5);
}

TEST(Rope, LongropeTakesTheListOfTheLongestSequenceForAll) {
  RopeConfig config = {.type = RopeType::kLongRope,
                       .theta = 10000.0,
                       .original_max_position_embeddings = 100,
                       .attention_factor = 1.25,
                       .short_factors = {1, 2, 2, 2},
                       .long_factors = {1, 4, 8, 8},
                       .longest_sequence = 100};
  EXPECT_FLOAT_EQ(make_rope_table(config, 8).inv_freq[1], 0.05F);
  EXPECT_EQ(make_rope_table(config, 8).attention_factor, 1.25F);
  config.longest_sequence = 101;
  EXPECT_FLOAT_EQ(make_rope_table(config, 8).inv_freq[1], 0.025F);
}

}  // namespace
}  // namespace pagoda
