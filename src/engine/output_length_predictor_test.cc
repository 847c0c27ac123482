// Tests of OutputLengthPredictor.
#include "engine/output_length_predictor.h"

#include <gtest/gtest.h>

namespace pagoda {
namespace {

TEST(OutputLengthPredictor, KnowingNothingItExpectsAShortAnswerWithinTheLimit) {
  const OutputLengthPredictor predictor;
  EXPECT_EQ(predictor.predict_remaining(0, 1000), 64);
  EXPECT_EQ(predictor.predict_remaining(0, 10), 10);
  EXPECT_EQ(predictor.predict_remaining(300, 1000), 300);
}

TEST(OutputLengthPredictor, TakesThePercentileOfThoseThatWereLonger) {
  OutputLengthPredictor predictor;
  for (int32_t n = 1; n <= 100; ++n) predictor.observe(n);
  EXPECT_EQ(predictor.predict_remaining(0, 1000), 81);
  EXPECT_EQ(predictor.predict_remaining(90, 1000), 99 - 90);
  EXPECT_EQ(predictor.predict_remaining(0, 50), 50);
}

TEST(OutputLengthPredictor, ForgetsTheOldest) {
  OutputLengthPredictor predictor;
  for (int i = 0; i < 300; ++i) predictor.observe(500);
  for (int i = 0; i < 256; ++i) predictor.observe(3);
  EXPECT_EQ(predictor.predict_remaining(0, 1000), 3);
}

TEST(OutputLengthPredictor, AnOutputThatIsFullHasNothingToCome) {
  const OutputLengthPredictor predictor;
  EXPECT_EQ(predictor.predict_remaining(10, 10), 0);
  EXPECT_EQ(predictor.predict_remaining(9, 10), 1);
}

}  // namespace
}  // namespace pagoda
