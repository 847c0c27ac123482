// Block formats against the `gguf` package of PyPI (tools/make_format_golden.py), bit by bit, and
// the errors of our own encoders.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <fstream>
#include <iterator>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "tensor/dtype.h"
#include "tensor/formats/blocks.h"

namespace pagoda {
namespace {

constexpr DType kBlockFormats[] = {DType::kQ8_0, DType::kQ4_0, DType::kQ4_1, DType::kQ5_0,
                                   DType::kQ5_1, DType::kQ2_K, DType::kQ3_K, DType::kQ4_K,
                                   DType::kQ5_K, DType::kQ6_K, DType::kMXFP4};

std::vector<std::byte> read_golden(std::string_view name) {
  const std::string path = "tests/golden/formats/" + std::string(name);
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.is_open()) << path;
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  std::vector<std::byte> bytes(text.size());
  std::memcpy(bytes.data(), text.data(), text.size());
  return bytes;
}

std::vector<float> as_floats(const std::vector<std::byte>& bytes) {
  std::vector<float> floats(bytes.size() / sizeof(float));
  std::memcpy(floats.data(), bytes.data(), bytes.size());
  return floats;
}

std::vector<float> decode(DType dtype, const std::vector<std::byte>& blocks) {
  const FormatTraits& format = format_traits(dtype);
  const auto count = static_cast<int64_t>(blocks.size()) / format.block_bytes;
  std::vector<float> out(static_cast<size_t>(count * format.block_elements));
  format.decode(blocks.data(), out.data(), count * format.block_elements);
  return out;
}

std::vector<std::byte> encode(DType dtype, const std::vector<float>& values) {
  const auto count = static_cast<int64_t>(values.size());
  std::vector<std::byte> blocks(static_cast<size_t>(dtype_bytes(dtype, count)));
  format_traits(dtype).encode(values.data(), blocks.data(), count);
  return blocks;
}

double rms_error(DType dtype, const std::vector<float>& values) {
  const std::vector<float> back = decode(dtype, encode(dtype, values));
  double sum = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    const auto error = static_cast<double>(back[i]) - static_cast<double>(values[i]);
    sum += error * error;
  }
  return std::sqrt(sum / static_cast<double>(values.size()));
}

// Like the rows of trained matrices: normal, some rows with outliers, some off zero.
std::vector<float> weights_like_values() {
  std::mt19937 generator(11);
  std::normal_distribution<float> normal(0.0F, 0.02F);
  std::vector<float> values(256 * 64);
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = normal(generator) + (i / 256 % 4 == 3 ? 0.02F : 0.0F);
    if (i % 97 == 0) values[i] *= 6.0F;
  }
  return values;
}

TEST(Formats, DecodeToTheBitsOfTheGgufPackage) {
  for (const DType dtype : kBlockFormats) {
    const std::string name(format_traits(dtype).name);
    const std::vector<float> want = as_floats(read_golden(name + ".f32"));
    const std::vector<float> got = decode(dtype, read_golden(name + ".blocks"));
    ASSERT_EQ(got.size(), want.size()) << name;
    ASSERT_GE(got.size(), 768U);
    for (size_t i = 0; i < want.size(); ++i) {
      ASSERT_EQ(std::bit_cast<uint32_t>(got[i]), std::bit_cast<uint32_t>(want[i]))
          << name << " element " << i << ": " << got[i] << " and " << want[i];
    }
  }
}

TEST(Formats, DecodeEveryFp8NumberAsTorchDoes) {
  const std::vector<float> want = as_floats(read_golden("f8_e4m3.f32"));
  const std::vector<float> got = decode(DType::kF8E4M3, read_golden("f8_e4m3.blocks"));
  ASSERT_EQ(got.size(), 256U);
  for (size_t i = 0; i < want.size(); ++i) {
    if (std::isnan(want[i])) {
      EXPECT_TRUE(std::isnan(got[i])) << i;
    } else {
      EXPECT_EQ(std::bit_cast<uint32_t>(got[i]), std::bit_cast<uint32_t>(want[i])) << i;
    }
  }
}

TEST(Formats, EncodeToTheBytesOfTheGgufPackage) {
  const std::vector<float> values = as_floats(read_golden("values.f32"));
  for (const DType dtype :
       {DType::kQ8_0, DType::kQ4_0, DType::kQ4_1, DType::kQ5_0, DType::kQ5_1, DType::kMXFP4}) {
    const std::string name(format_traits(dtype).name);
    const std::vector<std::byte> want = read_golden(name + ".encoded");
    const std::vector<std::byte> got = encode(dtype, values);
    ASSERT_EQ(got.size(), want.size()) << name;
    for (size_t i = 0; i < want.size(); ++i) {
      ASSERT_EQ(got[i], want[i]) << name << " byte " << i << " of block "
                                 << i / static_cast<size_t>(format_traits(dtype).block_bytes);
    }
  }
}

TEST(Formats, EncodersOfKBlocksBeatTheSimpleOnesOfTheirSize) {
  const std::vector<float> values = weights_like_values();
  EXPECT_LT(rms_error(DType::kQ4_K, values), 0.9 * rms_error(DType::kQ4_0, values));
  EXPECT_LT(rms_error(DType::kQ4_K, values), 1.0 * rms_error(DType::kQ4_1, values));
  EXPECT_LT(rms_error(DType::kQ6_K, values), 0.5 * rms_error(DType::kQ5_0, values));
}

// The stated bound: a step is at most the group's range (with zero) in 14 parts, 7/8 of a step of
// q4_0 at worst, and no element is farther off than its step.
TEST(Formats, EncodersOfKBlocksKeepEachElementWithinAStep) {
  const std::vector<float> values = weights_like_values();
  const std::vector<float> q4 = decode(DType::kQ4_K, encode(DType::kQ4_K, values));
  const std::vector<float> q6 = decode(DType::kQ6_K, encode(DType::kQ6_K, values));
  for (size_t first = 0; first < values.size(); first += 16) {
    float low = 0;
    float high = 0;
    for (size_t i = first / 32 * 32; i < first / 32 * 32 + 32; ++i) {
      low = std::fmin(low, values[i]);
      high = std::fmax(high, values[i]);
    }
    for (size_t i = first; i < first + 16; ++i) {
      ASSERT_NEAR(q4[i], values[i], (high - low) / 14) << i;
      ASSERT_NEAR(q6[i], values[i], std::fmax(high, -low) / 31) << i;
    }
  }
}

TEST(Formats, EncodersTakeConstantsZerosAndNumbersThatAreNone) {
  for (const DType dtype : {DType::kQ4_0, DType::kQ4_1, DType::kQ5_0, DType::kQ5_1, DType::kQ4_K,
                            DType::kQ6_K, DType::kMXFP4, DType::kQ8_0}) {
    const std::string_view name = format_traits(dtype).name;
    EXPECT_EQ(decode(dtype, encode(dtype, std::vector<float>(256, 0.0F))),
              std::vector<float>(256, 0.0F))
        << name;
    for (const float value : {0.5F, -0.5F}) {
      const std::vector<float> same(256, value);
      for (const float back : decode(dtype, encode(dtype, same))) {
        EXPECT_NEAR(back, value, 0.01F) << name;
      }
    }
    std::vector<float> odd(256, 1.0F);
    odd[3] = std::numeric_limits<float>::quiet_NaN();
    odd[40] = std::numeric_limits<float>::infinity();
    odd[80] = -std::numeric_limits<float>::infinity();
    odd[130] = std::numeric_limits<float>::max();
    odd[131] = std::numeric_limits<float>::lowest();
    odd[200] = std::numeric_limits<float>::denorm_min();
    decode(dtype, encode(dtype, odd));  // the sanitizer is the judge
  }
}

TEST(Formats, ScalesOfKBlocksSurvivePacking) {
  std::mt19937 generator(3);
  for (int round = 0; round < 50; ++round) {
    uint8_t scales[8];
    uint8_t mins[8];
    for (int i = 0; i < 8; ++i) {
      scales[i] = static_cast<uint8_t>(generator() % 64);
      mins[i] = static_cast<uint8_t>(generator() % 64);
    }
    uint8_t packed[12];
    pack_scales(scales, mins, packed);
    uint8_t scales_back[8];
    uint8_t mins_back[8];
    unpack_scales(packed, scales_back, mins_back);
    EXPECT_THAT(scales_back, testing::ElementsAreArray(scales));
    EXPECT_THAT(mins_back, testing::ElementsAreArray(mins));
  }
}

}  // namespace
}  // namespace pagoda
