// Each family's own keys, its defaults, and its values out of range.
#include "model/family_config.h"

#include <gtest/gtest.h>

#include <cmath>

#include "model/test_config.h"

namespace pagoda {
namespace {

std::vector<int32_t> windows(const ModelConfig& config) {
  std::vector<int32_t> result;
  for (int32_t l = 0; l < config.num_layers; ++l) result.push_back(config.layer(l).sliding_window);
  return result;
}

using Windows = std::vector<int32_t>;

TEST(FamilyConfig, MistralHasOneWindowWhichOnlyNullTakesAway) {
  const Json json = valid_config("MistralForCausalLM");
  EXPECT_EQ(windows(parsed(with(json, {{"sliding_window", 7}}))), (Windows{7, 7}));
  EXPECT_EQ(windows(parsed(with(json, {{"sliding_window", nullptr}}))), (Windows{0, 0}));
  EXPECT_EQ(windows(parsed(json)), (Windows{4096, 4096})) << "as in Transformers' class";
  EXPECT_EQ(windows(parsed(with(valid_config(), {{"sliding_window", 7}}))), (Windows{0, 0}))
      << "Llama has none";
}

TEST(FamilyConfig, QwenHasAWindowFromALayerOnIfItIsUsed) {
  for (const char* name : {"Qwen2ForCausalLM", "Qwen3ForCausalLM"}) {
    const Json json = with(valid_config(name), {{"sliding_window", 7}, {"max_window_layers", 1}});
    EXPECT_EQ(windows(parsed(json)), (Windows{0, 0}));
    const Json used = with(json, {{"use_sliding_window", true}});
    EXPECT_EQ(windows(parsed(used)), (Windows{0, 7}));
    EXPECT_EQ(
        windows(parsed(with(used, {{"layer_types", {"sliding_attention", "full_attention"}}}))),
        (Windows{7, 0}));
  }
}

TEST(FamilyConfig, QwenDiffersInBiasAndNormsOfHeads) {
  const ModelConfig qwen2 = parsed(valid_config("Qwen2ForCausalLM"));
  EXPECT_TRUE(qwen2.attention_bias);
  EXPECT_FALSE(qwen2.output_bias || qwen2.qk_norm);
  const ModelConfig qwen3 = parsed(valid_config("Qwen3ForCausalLM"));
  EXPECT_FALSE(qwen3.attention_bias);
  EXPECT_TRUE(qwen3.qk_norm);
  EXPECT_EQ(qwen3.head_size, 128);
}

TEST(FamilyConfig, GemmaAlternatesWindowsByItsPattern) {
  const Json json = with(valid_config("Gemma2ForCausalLM"), {{"num_hidden_layers", 4}});
  EXPECT_EQ(windows(parsed(json)), (Windows{4096, 0, 4096, 0}));
  const Json gemma3 = with(json, {{"architectures", {"Gemma3ForCausalLM"}},
                                  {"sliding_window", 9},
                                  {"sliding_window_pattern", 3}});
  EXPECT_EQ(windows(parsed(gemma3)), (Windows{9, 9, 0, 9}));
  EXPECT_EQ(windows(parsed(with(json, {{"architectures", {"Gemma3ForCausalLM"}}}))),
            (Windows{4096, 4096, 4096, 4096}))
      << "every sixth sees all";
}

TEST(FamilyConfig, GemmaHasItsFactorsAndCaps) {
  const ModelConfig gemma2 = parsed(valid_config("Gemma2ForCausalLM"));
  EXPECT_EQ(gemma2.head_size, 256);
  EXPECT_EQ(gemma2.activation, Activation::kGeluTanh);
  EXPECT_EQ(gemma2.embedding_multiplier, 8.0F);
  EXPECT_EQ(gemma2.attention_scale, 1.0 / 16);
  EXPECT_EQ(gemma2.attention_soft_cap, 50.0F);
  EXPECT_EQ(gemma2.logit_soft_cap, 30.0F);
  EXPECT_TRUE(gemma2.unit_offset_norms && gemma2.sandwich_norms && gemma2.tie_word_embeddings);
  EXPECT_FALSE(gemma2.qk_norm);
  const ModelConfig gemma3 = parsed(valid_config("Gemma3ForCausalLM"));
  EXPECT_TRUE(gemma3.qk_norm);
  EXPECT_EQ(gemma3.attention_soft_cap, 0.0F);
  EXPECT_EQ(gemma3.logit_soft_cap, 0.0F);
  EXPECT_EQ(parsed(with(valid_config("Gemma2ForCausalLM"), {{"attn_logit_softcapping", nullptr}}))
                .attention_soft_cap,
            0.0F);
}

// What the published 4B model leaves out of its text_config.
TEST(FamilyConfig, Gemma3FillsInWhatItsFilesLeaveOut) {
  const ModelConfig config = parsed({{"architectures", {"Gemma3ForConditionalGeneration"}},
                                     {"text_config",
                                      {{"hidden_size", 2560},
                                       {"intermediate_size", 10240},
                                       {"num_hidden_layers", 34},
                                       {"rope_scaling", {{"factor", 8.0}, {"rope_type", "linear"}}},
                                       {"sliding_window", 1024}}}});
  EXPECT_EQ(config.vocab_size, 262208);
  EXPECT_EQ(config.num_heads, 8);
  EXPECT_EQ(config.num_kv_heads, 4);
  EXPECT_EQ(config.head_size, 256);
  EXPECT_EQ(config.max_position_embeddings, 131072);
  EXPECT_EQ(config.rope.theta, 1e6);
  EXPECT_EQ(config.rope.factor, 8.0);
  EXPECT_EQ(config.sliding_rope->theta, 1e4);
  EXPECT_EQ(config.sliding_rope->type, RopeType::kDefault);
  EXPECT_EQ(config.layer(5).sliding_window, 0);
  EXPECT_EQ(config.layer(6).sliding_window, 1024);
}

TEST(FamilyConfig, SmolLM3LeavesOutRopeByIntervalOrByList) {
  const Json json = with(valid_config("SmolLM3ForCausalLM"), {{"num_hidden_layers", 5}});
  const auto turning = [](const ModelConfig& config) {
    std::string result;
    for (const LayerConfig& layer : config.layers) result += layer.has_rope ? '1' : '0';
    return result;
  };
  EXPECT_EQ(turning(parsed(json)), "11101");
  EXPECT_EQ(turning(parsed(with(json, {{"no_rope_layers", {1, 0, 0, 1, 1}}}))), "10011");
  EXPECT_EQ(parsed(json).rope.theta, 2e6);
  EXPECT_NE(refusal(with(json, {{"no_rope_layers", {1, 0}}})).find("no_rope_layers"),
            std::string::npos);
}

TEST(FamilyConfig, GraniteHasItsFactors) {
  const ModelConfig config =
      parsed(with(valid_config("GraniteForCausalLM"), {{"embedding_multiplier", 12},
                                                       {"residual_multiplier", 0.22},
                                                       {"attention_multiplier", 0.0078125},
                                                       {"logits_scaling", 8.0}}));
  EXPECT_EQ(config.embedding_multiplier, 12.0F);
  EXPECT_EQ(config.residual_multiplier, 0.22F);
  EXPECT_EQ(config.attention_scale, 0.0078125);
  EXPECT_EQ(config.logit_divisor, 8.0F);
}

TEST(FamilyConfig, RefusesValuesOutOfRangeNamingTheirKeys) {
  struct Case {
    const char* architecture;
    const char* key;
    const char* value;
    ErrorCode code = ErrorCode::kInvalidArgument;
  };
  const Case cases[] = {
      {"MistralForCausalLM", "sliding_window", "0"},
      {"MistralForCausalLM", "sliding_window", "-1"},
      {"MistralForCausalLM", "sliding_window", "16777217"},
      {"Phi3ForCausalLM", "sliding_window", "\"7\""},
      {"Qwen2ForCausalLM", "use_sliding_window", "1"},
      {"Gemma2ForCausalLM", "layer_types", "[]"},
      {"Gemma2ForCausalLM", "layer_types", "7"},
      {"Gemma2ForCausalLM", "layer_types", R"(["full_attention"])"},
      {"Gemma2ForCausalLM", "layer_types", R"(["full_attention", "linear_attention"])",
       ErrorCode::kUnsupported},
      {"Gemma2ForCausalLM", "layer_types", R"(["full_attention", 7])", ErrorCode::kUnsupported},
      {"Gemma2ForCausalLM", "sliding_window", "null"},
      {"Gemma2ForCausalLM", "query_pre_attn_scalar", "0"},
      {"Gemma2ForCausalLM", "final_logit_softcapping", "0"},
      {"Gemma2ForCausalLM", "attn_logit_softcapping", "-1"},
      {"Gemma2ForCausalLM", "hidden_activation", "\"gelu\"", ErrorCode::kUnsupported},
      {"Gemma3ForCausalLM", "sliding_window_pattern", "0"},
      {"Gemma3ForCausalLM", "use_bidirectional_attention", "true", ErrorCode::kUnsupported},
      {"SmolLM3ForCausalLM", "no_rope_layer_interval", "0"},
      {"SmolLM3ForCausalLM", "no_rope_layers", R"([1, 2])"},
      {"GraniteForCausalLM", "embedding_multiplier", "0"},
      {"GraniteForCausalLM", "residual_multiplier", "1e300"},
      {"GraniteForCausalLM", "attention_multiplier", "\"1\""},
      {"GraniteForCausalLM", "logits_scaling", "0"},
  };
  for (const Case& c : cases) {
    const std::string message =
        refusal(with(valid_config(c.architecture), {{c.key, parse_json(c.value).value()}}), c.code);
    EXPECT_NE(message.find(c.key), std::string::npos) << message;
  }
}

TEST(FamilyConfig, UnknownFamiliesHaveNoDefaults) {
  EXPECT_TRUE(family_defaults("Unknown").empty());
  EXPECT_FALSE(family_defaults("Gemma3ForCausalLM").empty());
}

}  // namespace
}  // namespace pagoda
