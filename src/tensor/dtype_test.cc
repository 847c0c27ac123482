// The format table: exact conversions, and errors of quantisation within half a step.
#include "tensor/dtype.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

namespace pagoda {
namespace {

TEST(DType, EveryF16SurvivesTheWayThroughFloat) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    const float value = f16_to_float(half);
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(f16_to_float(float_to_f16(value))));
    } else {
      ASSERT_EQ(float_to_f16(value), half) << bits;
    }
  }
}

TEST(DType, F16RoundsToNearestEvenAndOverflowsToInfinity) {
  EXPECT_EQ(float_to_f16(1.0F), 0x3c00);
  EXPECT_EQ(float_to_f16(-2.0F), 0xc000);
  EXPECT_EQ(float_to_f16(65504.0F), 0x7bff);
  EXPECT_EQ(float_to_f16(65519.9F), 0x7bff);
  EXPECT_EQ(float_to_f16(65520.0F), 0x7c00);
  EXPECT_EQ(float_to_f16(0x1p-24F), 0x0001);
  EXPECT_EQ(float_to_f16(0x1p-25F), 0x0000);    // a tie goes to the even zero
  EXPECT_EQ(float_to_f16(0x1.8p-24F), 0x0002);  // and to the even two
  EXPECT_EQ(float_to_f16(1.0F + 0x1p-11F), 0x3c00);
  EXPECT_EQ(float_to_f16(1.0F + 0x1.8p-10F), 0x3c02);
  EXPECT_EQ(float_to_f16(std::numeric_limits<float>::infinity()), 0x7c00);
}

TEST(DType, Bf16RoundsToNearestEvenAndKeepsNan) {
  EXPECT_EQ(float_to_bf16(1.0F), 0x3f80);
  EXPECT_EQ(float_to_bf16(std::bit_cast<float>(0x3f808000U)), 0x3f80);
  EXPECT_EQ(float_to_bf16(std::bit_cast<float>(0x3f808001U)), 0x3f81);
  EXPECT_EQ(float_to_bf16(std::bit_cast<float>(0x3f818000U)), 0x3f82);
  EXPECT_EQ(float_to_bf16(std::numeric_limits<float>::max()), 0x7f80);
  EXPECT_TRUE(std::isnan(bf16_to_float(float_to_bf16(std::bit_cast<float>(0x7f800001U)))));
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const float value = bf16_to_float(static_cast<uint16_t>(bits));
    if (!std::isnan(value)) {
      ASSERT_EQ(float_to_bf16(value), bits);
    }
  }
}

TEST(DType, Q8BlocksAreWithinHalfAStepOfTheValues) {
  std::mt19937 generator(1);
  std::normal_distribution<float> normal;
  std::vector<float> values(320);
  for (float& value : values) value = normal(generator);
  std::fill_n(values.begin(), 32, 0.0F);
  std::vector<std::byte> blocks(static_cast<size_t>(dtype_bytes(DType::kQ8_0, 320)));
  ASSERT_EQ(blocks.size(), 340U);
  const FormatTraits& q8 = format_traits(DType::kQ8_0);
  q8.encode(values.data(), blocks.data(), 320);
  std::vector<float> back(320);
  q8.decode(blocks.data(), back.data(), 320);
  for (size_t block = 0; block < 10; ++block) {
    float max_abs = 0;
    for (size_t i = 0; i < 32; ++i) max_abs = std::fmax(max_abs, std::fabs(values[block * 32 + i]));
    for (size_t i = block * 32; i < block * 32 + 32; ++i) {
      // Half a step, and the rounding of the scale to f16 times at most 127 steps.
      EXPECT_NEAR(back[i], values[i], max_abs / 254 + max_abs * 0x1p-11F);
    }
  }
}

TEST(DType, Q8TakesInfinitiesAndNanWithoutUndefinedBehaviour) {
  std::vector<float> values(32, std::numeric_limits<float>::quiet_NaN());
  values[3] = std::numeric_limits<float>::infinity();
  values[4] = -std::numeric_limits<float>::infinity();
  std::vector<std::byte> block(34);
  format_traits(DType::kQ8_0).encode(values.data(), block.data(), 32);
  std::vector<float> back(32);
  format_traits(DType::kQ8_0).decode(block.data(), back.data(), 32);
  SUCCEED() << "the sanitizer is the judge";
}

TEST(DType, NamesAndTheirSpellingsParse) {
  EXPECT_EQ(*parse_dtype("bf16"), DType::kBF16);
  EXPECT_EQ(*parse_dtype("bfloat16"), DType::kBF16);
  EXPECT_EQ(*parse_dtype("float32"), DType::kF32);
  EXPECT_EQ(*parse_dtype("float16"), DType::kF16);
  EXPECT_EQ(*parse_dtype("q8_0"), DType::kQ8_0);
  const auto unknown = parse_dtype("fp4");
  ASSERT_FALSE(unknown.ok());
  EXPECT_EQ(unknown.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(unknown.error().message, testing::HasSubstr("fp4"));
  EXPECT_THAT(unknown.error().message, testing::HasSubstr("q8_0"));
}

TEST(DType, EveryFormatDecodesWhatItEncodesOfSmallWholeNumbers) {
  for (const DType dtype : {DType::kF32, DType::kBF16, DType::kF16, DType::kQ8_0}) {
    const FormatTraits& format = format_traits(dtype);
    EXPECT_EQ(format.dtype, dtype);
    // With 127 present the scale of q8_0 is 1.
    std::vector<float> values(32);
    for (size_t i = 0; i < 32; ++i) values[i] = static_cast<float>(i) - 16.0F;
    values[0] = 127.0F;
    std::vector<std::byte> bytes(static_cast<size_t>(dtype_bytes(dtype, 32)));
    format.encode(values.data(), bytes.data(), 32);
    std::vector<float> back(32);
    format.decode(bytes.data(), back.data(), 32);
    EXPECT_EQ(back, values) << format.name;
  }
}

}  // namespace
}  // namespace pagoda
