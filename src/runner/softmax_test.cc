// The fast passes against the plain ones.
#include "runner/softmax.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace pagoda {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

TEST(Softmax, WeightsAreExponentials) {
  for (float x = 0.0F; x > -86.9F; x -= 0.00713F) {
    const double want = std::exp(static_cast<double>(x));
    ASSERT_NEAR(softmax_weight(x, 0.0F, 1.0F) / want, 1.0, 0x1p-21) << x;
  }
  EXPECT_EQ(softmax_weight(3.0F, 3.0F, 0.5F), 1.0F);
  EXPECT_EQ(softmax_weight(-kInf, 3.0F, 0.5F), 0.0F);
  EXPECT_EQ(softmax_weight(-88.0F, 0.0F, 1.0F), 0.0F);
  EXPECT_EQ(softmax_weight(-1e30F, 1e30F, 1e-5F), 0.0F);
  EXPECT_NEAR(softmax_weight(1.0F, 3.0F, 2.0F), std::exp(-1.0F), 1e-6F);
}

TEST(Softmax, PassesAgreeAtEveryTailLength) {
  for (size_t count = 1; count < 70; ++count) {
    std::vector<float> values(count);
    for (size_t i = 0; i < count; ++i) {
      values[i] = 5.0F * std::sin(static_cast<float>(i * count));
    }
    const float largest = *std::max_element(values.begin(), values.end());
    std::vector<float> weights(count);
    softmax_weights(values, largest, 0.7F, weights);
    double sum = 0.0;
    for (size_t i = 0; i < count; ++i) {
      EXPECT_EQ(weights[i], softmax_weight(values[i], largest, 0.7F)) << count << " " << i;
      sum += static_cast<double>(weights[i]);
    }
    EXPECT_NEAR(sum_of(weights), sum, 1e-12) << count;
    for (size_t at = 0; at < count; ++at) {
      std::vector<float> peaked(count, -1.0F);
      peaked[at] = 2.0F;
      peaked[count - 1] = 2.0F;
      EXPECT_EQ(index_of_max(peaked), at) << count;
    }
  }
}

TEST(Softmax, OneBadValueAnywhereIsSeen) {
  for (size_t count = 1; count < 50; ++count) {
    std::vector<float> values(count, -std::numeric_limits<float>::max());
    EXPECT_TRUE(all_finite(values));
    for (size_t at = 0; at < count; ++at) {
      for (const float bad : {kInf, -kInf, std::nanf("")}) {
        std::vector<float> spoiled = values;
        spoiled[at] = bad;
        EXPECT_FALSE(all_finite(spoiled)) << count << " " << at;
      }
    }
  }
}

}  // namespace
}  // namespace pagoda
