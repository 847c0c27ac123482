// Configs out of metadata, family by family.
#include "checkpoint/gguf_config.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>

#include "base/json.h"
#include "checkpoint/test_folder.h"
#include "checkpoint/test_gguf.h"

namespace pagoda {
namespace {

constexpr uint32_t kF32 = 0;

// The keys every model has.
TestGguf basic(const std::string& name) {
  TestGguf gguf;
  gguf.text("general.architecture", name);
  gguf.u32(name + ".block_count", 2).u32(name + ".embedding_length", 8);
  gguf.u32(name + ".attention.head_count", 2).u32(name + ".context_length", 512);
  gguf.f32(name + ".attention.layer_norm_rms_epsilon", 0.5F);
  gguf.tensor("token_embd.weight", {8, 3}, kF32, std::string(96, '\0'));
  return gguf;
}

Result<GgufConfig> read(const TestGguf& gguf) {
  const TestFolder folder;
  folder.write("m.gguf", gguf.bytes());
  auto file = GgufFile::open(folder.path("m.gguf"));
  if (!file.ok()) return file.error();
  const GgufFile files[] = {std::move(file).value()};
  return read_gguf_config(files);
}

Json config_of(const TestGguf& gguf) {
  const auto config = read(gguf);
  EXPECT_TRUE(config.ok()) << config.error().message;
  return parse_json(config->json).value();
}

std::string floats(const std::vector<float>& values) {
  std::string bytes;
  for (const float value : values) bytes += le_bytes(value);
  return bytes;
}

TEST(GgufConfig, HasLlamasKeysInTransformersSpelling) {
  TestGguf gguf = basic("llama");
  gguf.u32("llama.attention.head_count_kv", 1).u32("llama.feed_forward_length", 16);
  gguf.f32("llama.rope.freq_base", 500000.0F);
  gguf.u32("tokenizer.ggml.bos_token_id", 0).u32("tokenizer.ggml.eos_token_id", 1);
  gguf.u32("tokenizer.ggml.eot_token_id", 2).u32("tokenizer.ggml.eom_token_id", 1);
  const Json config = config_of(gguf);
  EXPECT_EQ(config, parse_json(R"({"architectures":["LlamaForCausalLM"],"model_type":"llama",
    "hidden_size":8,"num_hidden_layers":2,"num_attention_heads":2,"num_key_value_heads":1,
    "head_dim":4,"max_position_embeddings":512,"intermediate_size":16,"rms_norm_eps":0.5,
    "vocab_size":3,"tie_word_embeddings":true,"attention_bias":false,"mlp_bias":false,
    "rope_theta":500000.0,"bos_token_id":0,"eos_token_id":[1,2]})")
                        .value());
}

TEST(GgufConfig, TensorsTellWhatNoKeySays) {
  TestGguf gguf = basic("llama");
  gguf.tensor("output.weight", {8, 3}, kF32, std::string(96, '\0'));
  gguf.tensor("blk.0.attn_q.bias", {8}, kF32, std::string(32, '\0'));
  const Json config = config_of(gguf);
  EXPECT_EQ(config["tie_word_embeddings"], false);
  EXPECT_EQ(config["attention_bias"], true);
}

TEST(GgufConfig, ArraysAreTakenWhenAllLayersAreEqual) {
  const auto array = [](std::initializer_list<int32_t> values) {
    std::string bytes = le_bytes(uint32_t{5}) + le_bytes(uint64_t{values.size()});
    for (const int32_t value : values) bytes += le_bytes(value);
    return bytes;
  };
  TestGguf equal = basic("llama");
  equal.raw("llama.attention.head_count_kv", GgufType::kArray, array({2, 2}));
  EXPECT_EQ(config_of(equal)["num_key_value_heads"], 2);
  for (const auto& values : {array({2, 1}), array({0, 0}), array({})}) {
    TestGguf other = basic("llama");
    other.raw("llama.attention.head_count_kv", GgufType::kArray, values);
    EXPECT_FALSE(read(other).ok());
  }
}

// Factors as the converter makes them for Llama 3.1: heads of 64, base 500000, factor 8.
std::vector<float> llama3_factors(double factor) {
  std::vector<float> factors;
  for (int i = 0; i < 32; ++i) {
    const double wavelength = 2.0 * std::numbers::pi * std::pow(500000.0, i / 32.0);
    const double smooth = (8192.0 / wavelength - 1.0) / 3.0;
    factors.push_back(static_cast<float>(
        wavelength < 2048.0
            ? 1.0
            : (wavelength > 8192.0 ? factor : 1.0 / ((1.0 - smooth) / factor + smooth))));
  }
  return factors;
}

TEST(GgufConfig, RopeFactorsBecomeLlama3WhereTheyAreItsAndElseAList) {
  const auto with_factors = [](const std::vector<float>& factors) {
    TestGguf gguf = basic("llama");
    gguf.u32("llama.attention.key_length", 64).f32("llama.rope.freq_base", 500000.0F);
    gguf.tensor("rope_freqs.weight", {factors.size()}, kF32, floats(factors));
    return config_of(gguf)["rope_scaling"];
  };
  std::vector<float> factors = llama3_factors(32.0);
  const Json scaling = with_factors(factors);
  EXPECT_EQ(scaling["rope_type"], "llama3");
  EXPECT_EQ(scaling["factor"], 32.0);
  EXPECT_EQ(scaling["original_max_position_embeddings"], 8192);
  factors[20] += 0.1F;
  const Json list = with_factors(factors);
  EXPECT_EQ(list["rope_type"], "longrope");
  EXPECT_EQ(list["short_factor"].get<std::vector<float>>(), factors);
  EXPECT_EQ(list["long_factor"].get<std::vector<float>>(), factors);
  EXPECT_EQ(list["attention_factor"], 1.0);
}

TEST(GgufConfig, RopeFactorsThatAreNoNumbersAreRefused) {
  for (const float bad : {0.0F, -1.0F, std::nanf(""), INFINITY}) {
    TestGguf gguf = basic("llama");
    gguf.tensor("rope_freqs.weight", {2}, kF32, floats({1.0F, bad}));
    EXPECT_FALSE(read(gguf).ok()) << bad;
  }
  TestGguf too_many = basic("llama");
  too_many.tensor("rope_freqs.weight", {64}, kF32, std::string(256, 'a'));
  EXPECT_FALSE(read(too_many).ok());
}

TEST(GgufConfig, ScalingOfRopeKeepsItsKind) {
  TestGguf linear = basic("llama");
  linear.text("llama.rope.scaling.type", "linear").f32("llama.rope.scaling.factor", 4.0F);
  EXPECT_EQ(config_of(linear)["rope_scaling"], (Json{{"rope_type", "linear"}, {"factor", 4.0}}));
  TestGguf yarn = basic("qwen2");
  yarn.text("qwen2.rope.scaling.type", "yarn").f32("qwen2.rope.scaling.factor", 4.0F);
  yarn.u32("qwen2.rope.scaling.original_context_length", 128);
  EXPECT_EQ(config_of(yarn)["rope_scaling"]["original_max_position_embeddings"], 128);
  EXPECT_EQ(config_of(yarn)["rope_scaling"]["beta_fast"], 32.0);
  TestGguf phi = basic("phi3");
  phi.u32("phi3.rope.scaling.original_context_length", 128).u32("phi3.rope.dimension_count", 2);
  phi.tensor("rope_factors_long.weight", {1}, kF32, floats({4.0F}));
  phi.tensor("rope_factors_short.weight", {1}, kF32, floats({2.0F}));
  const Json config = config_of(phi);
  EXPECT_EQ(config["partial_rotary_factor"], 0.5);
  EXPECT_EQ(config["original_max_position_embeddings"], 128);
  EXPECT_EQ(config["rope_scaling"]["long_factor"], Json::array({4.0}));
  TestGguf unknown = basic("llama");
  unknown.text("llama.rope.scaling.type", "other");
  EXPECT_EQ(read(unknown).error().code, ErrorCode::kUnsupported);
}

TEST(GgufConfig, FactorsOfAttentionAreTakenFromTheFile) {
  TestGguf yarn = basic("qwen2");
  yarn.text("qwen2.rope.scaling.type", "yarn").f32("qwen2.rope.scaling.factor", 4.0F);
  EXPECT_FALSE(config_of(yarn)["rope_scaling"].contains("attention_factor"));
  yarn.f32("qwen2.rope.scaling.attn_factor", 0.5F);
  EXPECT_NEAR(config_of(yarn)["rope_scaling"]["attention_factor"], 0.5 * (0.1 * std::log(4.0) + 1),
              1e-12);
  TestGguf phi = basic("phi3");
  phi.f32("phi3.rope.scaling.attn_factor", 1.25F);
  phi.tensor("rope_factors_long.weight", {2}, kF32, floats({4.0F, 4.0F}));
  phi.tensor("rope_factors_short.weight", {2}, kF32, floats({2.0F, 2.0F}));
  EXPECT_EQ(config_of(phi)["rope_scaling"]["attention_factor"], 1.25);
}

// The conversion of Phi-4 writes it for a model without a window.
TEST(GgufConfig, AWindowOfZeroIsNone) {
  TestGguf phi = basic("phi3");
  phi.u32("phi3.attention.sliding_window", 0);
  EXPECT_FALSE(config_of(phi).contains("sliding_window"));
}

TEST(GgufConfig, GemmasPatternOfWindowsIsANumberOrAnArrayOrTheFamilys) {
  const auto types = [](const TestGguf& gguf) {
    const Json config = config_of(gguf);
    std::string letters;
    for (const Json& type : config["layer_types"]) letters += type == "full_attention" ? "f" : "s";
    return letters;
  };
  EXPECT_EQ(types(basic("gemma2")), "sf");
  EXPECT_EQ(types(basic("gemma3")), "ff") << "without a window no layer has one";
  TestGguf usual = basic("gemma3");
  usual.u32("gemma3.attention.sliding_window", 16);
  EXPECT_EQ(types(usual), "ss");
  TestGguf number = usual;
  number.u32("gemma3.attention.sliding_window_pattern", 2);
  EXPECT_EQ(types(number), "sf");
  const auto flags = [](std::string_view values) {
    return le_bytes(static_cast<uint32_t>(GgufType::kBool)) + le_bytes(uint64_t{values.size()}) +
           std::string(values);
  };
  TestGguf array = usual;
  array.raw("gemma3.attention.sliding_window_pattern", GgufType::kArray, flags({"\0\1", 2}));
  EXPECT_EQ(types(array), "fs");
  TestGguf small = usual;
  small.raw("gemma3.attention.sliding_window_pattern", GgufType::kArray, flags({"\0", 1}));
  EXPECT_NE(read(small).error().message.find("1 layers, wanted 2"), std::string::npos);
}

TEST(GgufConfig, FamiliesHaveTheirOwnKeys) {
  TestGguf gemma = basic("gemma3");
  gemma.u32("gemma3.attention.key_length", 16).u32("gemma3.attention.sliding_window", 32);
  Json config = config_of(gemma);
  EXPECT_EQ(config["query_pre_attn_scalar"], 16);
  EXPECT_EQ(config["sliding_window"], 32);
  EXPECT_EQ(config["rope_theta"], 1e6);
  EXPECT_EQ(config["rope_local_base_freq"], 1e4);
  EXPECT_EQ(config["hidden_activation"], "gelu_pytorch_tanh");

  TestGguf granite = basic("granite");
  granite.f32("granite.attention.scale", 0.25F).f32("granite.logit_scale", 8.0F);
  granite.f32("granite.embedding_scale", 12.0F).f32("granite.residual_scale", 0.5F);
  config = config_of(granite);
  EXPECT_EQ(config["attention_multiplier"], 0.25);
  EXPECT_EQ(config["logits_scaling"], 8.0);
  EXPECT_EQ(config["embedding_multiplier"], 12.0);
  EXPECT_EQ(config["residual_multiplier"], 0.5);

  TestGguf qwen = basic("qwen3moe");
  qwen.u32("qwen3moe.expert_count", 4).u32("qwen3moe.expert_used_count", 2);
  EXPECT_NE(read(qwen).error().message.find("qwen3moe.expert_feed_forward_length"),
            std::string::npos);
  qwen.u32("qwen3moe.expert_feed_forward_length", 24);
  config = config_of(qwen);
  EXPECT_EQ(config["num_experts"], 4);
  EXPECT_EQ(config["num_experts_per_tok"], 2);
  EXPECT_EQ(config["moe_intermediate_size"], 24);

  TestGguf mixtral = basic("llama");
  mixtral.u32("llama.expert_count", 8).u32("llama.expert_used_count", 2);
  config = config_of(mixtral);
  EXPECT_EQ(config["architectures"][0], "MixtralForCausalLM");
  EXPECT_EQ(config["num_local_experts"], 8);
}

TEST(GgufConfig, OwnConfigTextIsTakenAsItIs) {
  TestGguf gguf = basic("llama");
  gguf.text(kGgufConfigKey, "{\"mine\": 1}");
  EXPECT_EQ(read(gguf)->json, "{\"mine\": 1}");
}

TEST(GgufConfig, MissingAndWrongKeysAreNamed) {
  const auto error = [](const TestGguf& gguf) { return read(gguf).error().message; };
  EXPECT_NE(error(TestGguf()).find("no metadata \"general.architecture\""), std::string::npos);
  TestGguf unknown;
  unknown.text("general.architecture", "mamba");
  EXPECT_NE(error(unknown).find("\"mamba\" is not known"), std::string::npos);
  TestGguf bare;
  bare.text("general.architecture", "llama");
  EXPECT_NE(error(bare).find("no metadata \"llama.block_count\""), std::string::npos);
  TestGguf wrong = basic("llama");
  wrong.text("llama.feed_forward_length", "many");
  EXPECT_NE(error(wrong).find("\"llama.feed_forward_length\": not an integer"), std::string::npos);
  TestGguf deep;
  deep.text("general.architecture", "llama").u32("llama.block_count", 2000);
  EXPECT_NE(error(deep).find("2000 is not in [1, 1024]"), std::string::npos);
}

TEST(GgufConfig, KeysThatContradictAModelsOwnConfigAreRefusedWithBothValues) {
  struct Case {
    const char* own;
    const char* message;  // nullptr: the same
  };
  for (const Case& c : {
           Case{R"({"num_hidden_layers": 2, "hidden_size": 8, "rms_norm_eps": 0.5})", nullptr},
           {R"({"text_config": {"num_hidden_layers": 2}, "num_hidden_layers": 9})", nullptr},
           {R"({"num_hidden_layers": "two", "hidden_size": null})", nullptr},
           {R"({"rms_norm_eps": 0.50000001})", nullptr},
           {R"({"num_hidden_layers": 3})",
            "\"llama.block_count\" is 2, but \"num_hidden_layers\" in \"pagoda.config_json\" is 3"},
           {R"({"text_config": {"hidden_size": 16}})",
            "\"llama.embedding_length\" is 8, but \"hidden_size\""},
           {R"({"num_attention_heads": 2.5})", "\"num_attention_heads\""},
           {R"({"rms_norm_eps": 0.25})", "is 0.5, but \"rms_norm_eps\""},
           {R"({"max_position_embeddings": 1e400})", nullptr},
       }) {
    TestGguf gguf = basic("llama");
    gguf.text(kGgufConfigKey, c.own);
    const auto config = read(gguf);
    ASSERT_EQ(config.ok(), c.message == nullptr) << c.own;
    if (config.ok()) continue;
    EXPECT_EQ(config.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(config.error().message.find(c.message), std::string::npos) << config.error().message;
  }
}

}  // namespace
}  // namespace pagoda
