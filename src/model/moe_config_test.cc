// The experts that config.json describes, and what is wrong with those that cannot be.
#include "model/moe_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pagoda {
namespace {

using testing::HasSubstr;

std::string config_text(const std::string& architecture, const std::string& more) {
  return R"({"architectures": [")" + architecture + R"("], "vocab_size": 64, "hidden_size": 32,
    "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 48,
    "max_position_embeddings": 128)" +
         (more.empty() ? "}" : ", " + more + "}");
}

ModelConfig parse(const std::string& architecture, const std::string& more) {
  const auto config = parse_model_config(config_text(architecture, more));
  EXPECT_TRUE(config.ok()) << config.error().message;
  return config.ok() ? config.value() : ModelConfig{};
}

std::string error_of(const std::string& architecture, const std::string& more) {
  const auto config = parse_model_config(config_text(architecture, more));
  EXPECT_FALSE(config.ok()) << more;
  return config.ok() ? "" : config.error().message;
}

std::vector<bool> layers_with_experts(const ModelConfig& config) {
  std::vector<bool> layers;
  for (int32_t l = 0; l < config.num_layers; ++l) layers.push_back(config.layer(l).has_experts);
  return layers;
}

TEST(MoeConfig, MixtralHasExpertsOfTheFeedForwardSizeInEveryLayer) {
  const ModelConfig config =
      parse("MixtralForCausalLM", R"("num_local_experts": 8, "num_experts_per_tok": 2)");
  EXPECT_EQ(config.moe.num_experts, 8);
  EXPECT_EQ(config.moe.num_chosen, 2);
  EXPECT_EQ(config.moe.intermediate_size, 48);
  EXPECT_TRUE(config.moe.renormalise);
  EXPECT_EQ(layers_with_experts(config), std::vector<bool>(4, true));
  EXPECT_FALSE(config.attention_sinks);
}

TEST(MoeConfig, Qwen3HasThemInTheLayersThatItsKeysLeave) {
  const std::string experts =
      R"("num_experts": 8, "num_experts_per_tok": 3, "moe_intermediate_size": 16)";
  const ModelConfig plain = parse("Qwen3MoeForCausalLM", experts);
  EXPECT_EQ(plain.moe.intermediate_size, 16);
  EXPECT_FALSE(plain.moe.renormalise);
  EXPECT_EQ(plain.layer(0).sliding_window, 0);
  EXPECT_EQ(layers_with_experts(plain), std::vector<bool>(4, true));
  const ModelConfig some =
      parse("Qwen3MoeForCausalLM", experts + R"(, "decoder_sparse_step": 2, "mlp_only_layers": [3],
                                            "norm_topk_prob": true)");
  EXPECT_EQ(layers_with_experts(some), (std::vector<bool>{false, true, false, false}));
  EXPECT_TRUE(some.moe.renormalise);
}

TEST(MoeConfig, GptOssHasSinksBiasesAndAlternatingWindows) {
  const ModelConfig config =
      parse("GptOssForCausalLM",
            R"("num_local_experts": 4, "num_experts_per_tok": 2, "swiglu_limit": 5.0,
               "quantization_config": {"quant_method": "mxfp4"})");
  EXPECT_TRUE(config.attention_sinks);
  EXPECT_TRUE(config.attention_bias);
  EXPECT_TRUE(config.output_bias);
  EXPECT_TRUE(config.moe.gpt_oss);
  EXPECT_EQ(config.moe.swiglu_limit, 5.0F);
  EXPECT_EQ(config.moe.swiglu_alpha, 1.702F);
  EXPECT_EQ(config.head_size, 64);
  EXPECT_EQ(config.layer(0).sliding_window, 128);
  EXPECT_EQ(config.layer(1).sliding_window, 0);
  EXPECT_EQ(config.rope.type, RopeType::kYarn);
  EXPECT_FALSE(config.rope.truncate);
}

TEST(MoeConfig, NumbersThatCannotBeAreNamed) {
  const char* const mixtral = "MixtralForCausalLM";
  EXPECT_THAT(error_of(mixtral, ""), HasSubstr("num_experts"));
  EXPECT_THAT(error_of(mixtral, R"("num_local_experts": 0)"), HasSubstr("[1, 4096]"));
  EXPECT_THAT(error_of(mixtral, R"("num_local_experts": 8, "num_experts_per_tok": 9)"),
              HasSubstr(R"("num_experts_per_tok" is 9, wanted a whole number in [1, 8])"));
  const std::string qwen =
      R"("num_experts": 8, "num_experts_per_tok": 3, "moe_intermediate_size": 16, )";
  for (const char* list : {"[4]", "[-1]", "[0.5]", "7", "[[]]"}) {
    EXPECT_THAT(error_of("Qwen3MoeForCausalLM", qwen + R"("mlp_only_layers": )" + list),
                HasSubstr("mlp_only_layers"));
  }
  EXPECT_THAT(error_of("Qwen3MoeForCausalLM", qwen + R"("decoder_sparse_step": 0)"),
              HasSubstr("decoder_sparse_step"));
  const std::string oss = R"("num_local_experts": 4, "num_experts_per_tok": 2, )";
  EXPECT_THAT(error_of("GptOssForCausalLM", oss + R"("swiglu_limit": -7)"),
              HasSubstr("swiglu_limit"));
  EXPECT_THAT(
      error_of("GptOssForCausalLM", oss + R"("quantization_config": {"quant_method": "gptq"})"),
      HasSubstr("quantization_config"));
  EXPECT_THAT(error_of(mixtral, R"("num_local_experts": 4, "num_experts_per_tok": 2,
                                   "quantization_config": {"quant_method": "mxfp4"})"),
              HasSubstr("quantization_config"));
}

}  // namespace
}  // namespace pagoda
