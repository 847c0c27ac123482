// "quantization_config" and the shapes it is about.
#include <gtest/gtest.h>

#include "checkpoint/quantized_linear.h"

namespace pagoda {
namespace {

std::string config(const std::string& inside) {
  return R"({"quantization_config": {)" + inside + "}}";
}

std::string error(const std::string& inside, const std::vector<RawTensor>& tensors = {}) {
  const auto found = find_quantized_linears(config(inside), tensors);
  return found.ok() ? "found" : found.error().message;
}

TEST(QuantizationConfig, NothingIsFoundWithoutTheKey) {
  const std::vector<RawTensor> tensors = {{"l.qweight", "I32", {4, 8}}};
  for (const char* text : {"{}", R"({"quantization_config": null})", "no json",
                           R"({"quantization_config": {"quant_method": "mxfp4"}})"}) {
    const auto found = find_quantized_linears(text, tensors);
    ASSERT_TRUE(found.ok()) << text;
    EXPECT_TRUE(found->empty());
  }
}

TEST(QuantizationConfig, WhatIsNotProvidedIsNamed) {
  for (const auto& [inside, what] : {
           std::pair(R"("quant_method": "bitsandbytes")", "\"bitsandbytes\""),
           {R"("other": 1)", "method \"\""},
           {R"("quant_method": "gptq", "bits": 3)", "3 bits"},
           {R"("quant_method": "gptq", "bits": 4, "checkpoint_format": "marlin")", "\"marlin\""},
           {R"("quant_method": "gptq", "bits": 4, "group_size": 0)", "group size of 0"},
           {R"("quant_method": "awq", "bits": 4, "version": "gemv")", "\"gemv\""},
           {R"("quant_method": "awq", "bits": 8)", "8 bits"},
           {R"("quant_method": "compressed-tensors", "format": "marlin-24")", "\"marlin-24\""},
           {R"("quant_method": "compressed-tensors", "format": "int-quantized",
               "transform_config": {"a": 1})",
            "transform_config"},
           {R"("quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups":
               {"g": {"weights": {"num_bits": 3}}})",
            "3 bits in group g"},
       }) {
    EXPECT_NE(error(inside).find(what), std::string::npos) << error(inside);
  }
}

TEST(QuantizationConfig, ShapesThatDoNotFitAreNamed) {
  const std::string gptq = R"("quant_method": "gptq", "bits": 4, "group_size": 32, "sym": false)";
  const RawTensor codes = {"l.qweight", "I32", {4, 8}};
  const RawTensor zeros = {"l.qzeros", "I32", {1, 1}};
  const RawTensor scales = {"l.scales", "F16", {1, 8}};
  EXPECT_EQ(error(gptq, {codes, zeros, scales}), "found");
  EXPECT_NE(error(gptq, {codes, zeros}).find("l.weight has no scales"), std::string::npos);
  EXPECT_NE(error(gptq, {codes, scales}).find("l.weight has no zeros"), std::string::npos);
  for (const RawTensor& wrong : {RawTensor{"l.scales", "F16", {2, 8}},
                                 {"l.scales", "F16", {1, 7}},
                                 {"l.scales", "F16", {8}},
                                 {"l.scales", "I32", {1, 8}}}) {
    EXPECT_NE(error(gptq, {codes, zeros, wrong}).find("tensor l.scales is"), std::string::npos);
  }
  EXPECT_NE(error(gptq, {codes, scales, {"l.qzeros", "I32", {1, 2}}}).find("tensor l.qzeros is"),
            std::string::npos);
  EXPECT_NE(error(gptq, {codes, zeros, scales, {"l.g_idx", "I32", {31}}}).find("l.g_idx is"),
            std::string::npos);
  EXPECT_NE(error(gptq, {{"l.qweight", "I32", {4}}}).find("l.qweight is"), std::string::npos);
  EXPECT_NE(error(gptq, {{"l.qweight", "F32", {4, 8}}}).find("wanted I32"), std::string::npos);
  EXPECT_NE(error(gptq, {{"l.qweight", "I32", {0, 8}}}).find("not empty"), std::string::npos);
  const std::string fp8 = R"("quant_method": "fp8", "weight_block_size": [2, 32])";
  const RawTensor bytes = {"l.weight", "F8_E4M3", {3, 64}};
  EXPECT_EQ(error(fp8, {bytes, {"l.weight_scale_inv", "F32", {2, 2}}}), "found");
  EXPECT_EQ(error(fp8, {bytes, {"l.weight_scale", "F32", {}}}), "found");
  EXPECT_NE(error(fp8, {bytes, {"l.weight_scale_inv", "F32", {2, 3}}}).find("or [2, 2]"),
            std::string::npos);
}

TEST(QuantizationConfig, TheFormatIsOneThatHoldsTheValues) {
  const auto dtype_of = [](const std::string& inside, std::vector<RawTensor> tensors) {
    return find_quantized_linears(config(inside), tensors).value().at(0).dtype;
  };
  const RawTensor codes = {"l.qweight", "I32", {8, 8}};  // [8, 64]
  const std::string gptq = R"("quant_method": "gptq", "bits": 4, "group_size": )";
  EXPECT_EQ(dtype_of(gptq + "64", {codes, {"l.scales", "F16", {1, 8}}}), DType::kQ4_0);
  EXPECT_EQ(dtype_of(gptq + "-1", {codes, {"l.scales", "F16", {1, 8}}}), DType::kQ4_0);
  // Groups that end within a block, or in another order.
  EXPECT_EQ(dtype_of(gptq + "16", {codes, {"l.scales", "F16", {4, 8}}}), DType::kQ8_0);
  EXPECT_EQ(dtype_of(gptq + R"(32, "desc_act": true)",
                     {codes, {"l.scales", "F16", {2, 8}}, {"l.g_idx", "I32", {64}}}),
            DType::kQ8_0);
  EXPECT_EQ(dtype_of(gptq + "-1", {{"l.qweight", "I32", {5, 8}}, {"l.scales", "F16", {1, 8}}}),
            DType::kF32);
}

}  // namespace
}  // namespace pagoda
