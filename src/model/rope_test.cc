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

}  // namespace
}  // namespace pagoda
