// Quantized matrices against values computed from the codes before they were packed, and against
// what the packages that made them say they are.
#include "checkpoint/quantized_linear.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "checkpoint/checkpoint.h"
#include "checkpoint/read_only_file.h"

namespace pagoda {
namespace {

struct Decoded {
  DType dtype = DType::kF32;
  std::vector<float> got, want;
};

// The matrix of a folder of tests/golden/quantized, which tools/make_quantized_golden.py and
// make_quantized_peer_golden.py describe.
Decoded read(const std::string& name) {
  Decoded decoded;
  const std::string folder = "tests/golden/quantized/" + name;
  const auto checkpoint = Checkpoint::open(folder);
  EXPECT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  const CheckpointTensor* tensor = checkpoint->find("layer.weight");
  EXPECT_NE(tensor, nullptr);
  Buffer scratch;
  const auto view = checkpoint->read(*tensor, scratch);
  EXPECT_TRUE(view.ok()) << view.error().message;
  decoded.dtype = view->dtype;
  const int64_t count = view->shape.num_elements();
  decoded.got.resize(static_cast<size_t>(count));
  format_traits(view->dtype).decode(view->data, decoded.got.data(), count);
  const std::string bytes = read_text_file(folder + "/expected.f32", 1 << 20).value();
  decoded.want.resize(decoded.got.size());
  EXPECT_EQ(bytes.size(), decoded.want.size() * sizeof(float));
  std::memcpy(decoded.want.data(), bytes.data(), bytes.size());
  return decoded;
}

TEST(QuantizedLinear, CodesOfSymmetricFormatsAreKeptAsTheyAre) {
  for (const auto& [name, dtype] : {std::pair("gptq_symmetric", DType::kQ4_0),
                                    {"gptq_8bit", DType::kQ8_0},
                                    {"packed_symmetric", DType::kQ4_0},
                                    {"packed_8bit", DType::kQ8_0},
                                    {"int8", DType::kQ8_0},
                                    {"autogptq_symmetric", DType::kQ4_0},
                                    {"autogptq_8bit", DType::kQ8_0},
                                    {"compressed_symmetric", DType::kQ4_0},
                                    {"compressed_8bit", DType::kQ8_0},
                                    {"compressed_int8", DType::kQ8_0}}) {
    const Decoded decoded = read(name);
    EXPECT_EQ(decoded.dtype, dtype) << name;
    EXPECT_EQ(decoded.got, decoded.want) << name;
  }
}

TEST(QuantizedLinear, CodesWithZerosAreKeptUpToTheRoundingOfAnOffset) {
  for (const char* name : {"gptq_zeros", "gptq_v2", "awq", "packed_zeros", "autogptq_zeros",
                           "autoawq", "compressed_zeros"}) {
    const Decoded decoded = read(name);
    EXPECT_EQ(decoded.dtype, DType::kQ4_1) << name;
    for (size_t i = 0; i < decoded.want.size(); ++i) {
      // Half a unit in the last place of an f16 of at most 16 * 0.02.
      EXPECT_NEAR(decoded.got[i], decoded.want[i], 0.32F / 2048.0F) << name << " " << i;
    }
  }
}

TEST(QuantizedLinear, OtherValuesAreQuantizedAgainToQ8) {
  for (const char* name : {"gptq_order", "fp8_tensor", "fp8_channel", "fp8_block", "autogptq_order",
                           "autogptq_zeros_order"}) {
    const Decoded decoded = read(name);
    EXPECT_EQ(decoded.dtype, DType::kQ8_0) << name;
    for (size_t block = 0; block < decoded.want.size(); block += 32) {
      float largest = 0.0F;
      for (size_t i = block; i < block + 32; ++i) {
        largest = std::max(largest, std::fabs(decoded.want[i]));
      }
      for (size_t i = block; i < block + 32; ++i) {
        EXPECT_NEAR(decoded.got[i], decoded.want[i], largest / 127.0F * 0.57F) << name << " " << i;
      }
    }
  }
}

TEST(QuantizedLinear, ThePartsAreNoLongerListed) {
  const auto checkpoint = Checkpoint::open("tests/golden/quantized/gptq_symmetric");
  ASSERT_TRUE(checkpoint.ok());
  EXPECT_EQ(checkpoint->tensors().size(), 2U);  // the matrix and its bias
  EXPECT_NE(checkpoint->find("layer.bias"), nullptr);
  EXPECT_EQ(checkpoint->find("layer.qweight"), nullptr);
}

// A symmetric GPTQ matrix of 8 rows and 32 columns.
struct Sample {
  std::vector<RawTensor> tensors = {{"l.qweight", "I32", {4, 8}},
                                    {"l.qzeros", "I32", {1, 1}},
                                    {"l.scales", "F16", {1, 8}},
                                    {"l.g_idx", "I32", {32}}};
  std::string config =
      R"({"quantization_config": {"quant_method": "gptq", "bits": 4, "group_size": 32}})";
  Result<std::vector<QuantizedLinear>> find() const {
    return find_quantized_linears(config, tensors);
  }
};

TEST(QuantizedLinear, ZerosThatContradictTheConfigAreRefused) {
  const auto found = Sample().find();
  ASSERT_TRUE(found.ok()) << found.error().message;
  std::vector<uint32_t> codes(32), zeros = {0x77777777U};
  std::vector<uint16_t> scales(8, float_to_f16(1.0F));
  std::vector<std::byte> out(8 * 18);
  QuantizedData data = {.codes = std::as_bytes(std::span<const uint32_t>(codes)),
                        .scales = std::as_bytes(std::span<const uint16_t>(scales)),
                        .zeros = std::as_bytes(std::span<const uint32_t>(zeros))};
  EXPECT_TRUE(read_quantized_linear(found->front(), data, out).ok());
  zeros[0] = 0x77777776U;
  const auto refused = read_quantized_linear(found->front(), data, out);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("zero 7 of row 0, group 0"), std::string::npos);
}

TEST(QuantizedLinear, GroupsThatDoNotExistAreRefused) {
  Sample sample;
  sample.config =
      R"({"quantization_config": {"quant_method": "gptq", "bits": 4, "group_size": 32,
          "desc_act": true}})";
  const auto found = sample.find();
  ASSERT_TRUE(found.ok());
  std::vector<uint32_t> codes(32), zeros = {0x77777777U};
  std::vector<uint16_t> scales(8, float_to_f16(1.0F));
  for (const int32_t group : {-1, 1, 1 << 30}) {
    std::vector<int32_t> groups(32);
    groups[31] = group;
    std::vector<std::byte> out(8 * 34);
    const QuantizedData data = {.codes = std::as_bytes(std::span<const uint32_t>(codes)),
                                .scales = std::as_bytes(std::span<const uint16_t>(scales)),
                                .zeros = std::as_bytes(std::span<const uint32_t>(zeros)),
                                .group_index = std::as_bytes(std::span<const int32_t>(groups))};
    const auto refused = read_quantized_linear(found->front(), data, out);
    ASSERT_FALSE(refused.ok());
    EXPECT_NE(refused.error().message.find("column 31 is of group"), std::string::npos);
  }
}

}  // namespace
}  // namespace pagoda
