// config.json in all its spellings, and config.json as an attacker writes it.
#include "model/model_config.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "model/test_config.h"

namespace pagoda {
namespace {

TEST(ModelConfig, ReadsWhatIsThereAndDefaultsWhatIsNot) {
  const ModelConfig config = parsed(valid_config());
  EXPECT_EQ(config.architecture, "LlamaForCausalLM");
  EXPECT_EQ(config.vocab_size, 1000);
  EXPECT_EQ(config.num_kv_heads, 2);
  EXPECT_EQ(config.head_size, 16);
  EXPECT_FLOAT_EQ(config.rms_norm_eps, 1e-5F);
  EXPECT_EQ(config.rope.type, RopeType::kDefault);
  EXPECT_EQ(config.rope.theta, 10000.0);
  EXPECT_FALSE(config.tie_word_embeddings || config.attention_bias || config.mlp_bias);
  EXPECT_TRUE(config.eos_token_ids.empty());
  EXPECT_EQ(config.bos_token_id, -1);

  Json json = valid_config();
  json.erase("num_key_value_heads");
  json["rope_scaling"] = nullptr;
  json["head_dim"] = 32;
  EXPECT_EQ(parsed(json).num_kv_heads, 4);
  EXPECT_EQ(parsed(json).head_size, 32);
}

TEST(ModelConfig, ReadsRopeInTheSpellingsOfTransformers4And5) {
  const Json scaling = {{"factor", 8.0},
                        {"low_freq_factor", 1.0},
                        {"high_freq_factor", 4.0},
                        {"original_max_position_embeddings", 64}};
  for (const char* type_key : {"type", "rope_type"}) {
    Json json = valid_config();
    json["rope_theta"] = 500000.0;
    json["rope_scaling"] = scaling;
    json["rope_scaling"][type_key] = "llama3";
    const RopeConfig rope = parsed(json).rope;
    EXPECT_EQ(rope.type, RopeType::kLlama3);
    EXPECT_EQ(rope.theta, 500000.0);
    EXPECT_EQ(rope.factor, 8.0);
    EXPECT_EQ(rope.original_max_position_embeddings, 64);
  }
  Json json = valid_config();
  json["rope_parameters"] = {{"rope_type", "linear"}, {"factor", 2.0}, {"rope_theta", 12345.0}};
  EXPECT_EQ(parsed(json).rope.type, RopeType::kLinear);
  EXPECT_EQ(parsed(json).rope.theta, 12345.0);
  EXPECT_EQ(parsed(json).rope.factor, 2.0);
}

TEST(ModelConfig, ReadsOneOrSeveralEndTokens) {
  Json json = valid_config();
  json["eos_token_id"] = 7;
  EXPECT_EQ(parsed(json).eos_token_ids, (std::vector<int32_t>{7}));
  json["eos_token_id"] = {7, 999};
  json["bos_token_id"] = 3;
  EXPECT_EQ(parsed(json).eos_token_ids, (std::vector<int32_t>{7, 999}));
  EXPECT_EQ(parsed(json).bos_token_id, 3);
}

struct BadValue {
  const char* key;
  const char* value;  // JSON
  ErrorCode code = ErrorCode::kInvalidArgument;
};

TEST(ModelConfig, RefusesEveryValueOutOfRangeNamingItsKey) {
  const BadValue cases[] = {
      {"architectures", "null"},
      {"architectures", "[]"},
      {"architectures", "[1]"},
      {"architectures", R"(["A", "B"])"},
      {"vocab_size", "null"},
      {"vocab_size", "0"},
      {"vocab_size", "-1"},
      {"vocab_size", "\"1000\""},
      {"vocab_size", "1000.5"},
      {"vocab_size", "4194305"},
      {"vocab_size", "18446744073709551615"},
      {"vocab_size", "-9223372036854775808"},
      {"hidden_size", "65537"},
      {"hidden_size", "[64]"},
      {"num_hidden_layers", "0"},
      {"num_hidden_layers", "1025"},
      {"num_attention_heads", "0"},
      {"num_attention_heads", "5"},
      {"num_key_value_heads", "0"},
      {"num_key_value_heads", "3"},
      {"head_dim", "0"},
      {"head_dim", "1025"},
      {"intermediate_size", "1048577"},
      {"max_position_embeddings", "0"},
      {"max_position_embeddings", "16777217"},
      {"rms_norm_eps", "0"},
      {"rms_norm_eps", "-1e-5"},
      {"rms_norm_eps", "2"},
      {"rms_norm_eps", "\"small\""},
      {"rope_theta", "0"},
      {"rope_theta", "1e300"},
      {"rope_scaling", "[]"},
      {"rope_scaling", R"({"type": 1})"},
      {"rope_scaling", R"({"type": "linear", "factor": 0.5})"},
      {"rope_scaling", R"({"type": "linear"})"},
      {"rope_scaling", R"({"type": "dynamic", "factor": 2})", ErrorCode::kUnsupported},
      {"rope_scaling", R"({"type": "longrope", "short_factor": [1], "long_factor": [1]})"},
      {"rope_scaling", R"({"type": "longrope", "short_factor": [1, 1, 1, 1, 1, 1, 1, "1"],
                           "long_factor": [1, 1, 1, 1, 1, 1, 1, 1]})"},
      {"rope_scaling", R"({"type": "longrope", "short_factor": [1, 1, 1, 1, 1, 1, 1, 0],
                           "long_factor": [1, 1, 1, 1, 1, 1, 1, 1]})"},
      {"rope_parameters", R"({"rope_type": "yarn", "factor": 0})"},
      {"rope_parameters", R"({"partial_rotary_factor": 0})"},
      {"rope_parameters", R"({"partial_rotary_factor": 0.2})"},
      {"rope_parameters", R"({"full_attention": 1})"},
      {"rope_parameters", R"({"full_attention": {}, "sliding_attention": []})"},
      {"rope_parameters", R"({"rope_type": "llama3", "factor": 8, "low_freq_factor": 4,
                              "high_freq_factor": 4})"},
      {"eos_token_id", "1000"},
      {"eos_token_id", "-1"},
      {"eos_token_id", "[[1]]"},
      {"bos_token_id", "1000"},
      {"tie_word_embeddings", "1"},
      {"attention_bias", "\"no\""},
      {"hidden_act", "\"gelu\"", ErrorCode::kUnsupported},
      {"hidden_act", "7"},
  };
  for (const BadValue& bad : cases) {
    Json json = valid_config();
    json[bad.key] = parse_json(bad.value).value();
    const auto config = parse_model_config(dump_json(json));
    ASSERT_FALSE(config.ok()) << bad.key << " " << bad.value;
    EXPECT_EQ(config.error().code, bad.code) << bad.key << " " << bad.value;
    EXPECT_NE(config.error().message.find("config.json"), std::string::npos);
  }
}

TEST(ModelConfig, ReadsTheLanguageModelWithinAMultimodalOne) {
  Json text = valid_config();
  text.erase("architectures");
  const Json json = {{"architectures", {"Gemma3ForConditionalGeneration"}},
                     {"text_config", text},
                     {"vision_config", {{"hidden_size", 7}}},
                     {"eos_token_id", {1, 106}}};
  const ModelConfig config = parsed(json);
  EXPECT_EQ(config.hidden_size, 64);
  EXPECT_EQ(config.eos_token_ids, (std::vector<int32_t>{1, 106}));
  refusal(with(json, {{"quantization_config", {{"quant_method", "mxfp4"}}}}),
          ErrorCode::kUnsupported);
  refusal(with(json, {{"text_config", 1}}));
}

TEST(ModelConfig, NamesTheKeyTheValueAndTheLimits) {
  Json json = valid_config();
  json["num_hidden_layers"] = 5000;
  const std::string message = parse_model_config(dump_json(json)).error().message;
  EXPECT_NE(message.find("\"num_hidden_layers\" is 5000"), std::string::npos) << message;
  EXPECT_NE(message.find("[1, 1024]"), std::string::npos) << message;
}

TEST(ModelConfig, RefusesWhatIsNoConfig) {
  for (const char* text : {"", "[]", "null", "{", "7"}) {
    EXPECT_FALSE(parse_model_config(text).ok()) << text;
  }
}

}  // namespace
}  // namespace pagoda
