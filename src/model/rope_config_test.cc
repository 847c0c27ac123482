// Rotary parameters in the places where Transformers 4 and 5 have them.
#include "model/rope_config.h"

#include <gtest/gtest.h>

#include <cmath>

#include "model/test_config.h"

namespace pagoda {
namespace {

TEST(RopeConfig, LayerTypesMayHaveTheirOwnParameters) {
  const Json json =
      with(valid_config("Gemma3ForCausalLM"),
           {{"rope_parameters",
             {{"full_attention", {{"rope_type", "linear"}, {"factor", 8.0}, {"rope_theta", 7e5}}},
              {"sliding_attention", {{"rope_type", "default"}, {"rope_theta", 300.0}}}}}});
  const ModelConfig config = parsed(json);
  EXPECT_EQ(config.rope.type, RopeType::kLinear);
  EXPECT_EQ(config.rope.theta, 7e5);
  EXPECT_EQ(config.sliding_rope->type, RopeType::kDefault);
  EXPECT_EQ(config.sliding_rope->theta, 300.0);
}

TEST(RopeConfig, Transformers4HasTheBaseOfWindowsBeside) {
  const Json json = with(valid_config("Gemma3ForCausalLM"), {{"rope_local_base_freq", 400.0}});
  EXPECT_EQ(parsed(json).sliding_rope->theta, 400.0);
  EXPECT_FALSE(parsed(valid_config()).sliding_rope.has_value());
}

TEST(RopeConfig, YarnDerivesWhatItIsNotGiven) {
  Json json = valid_config("Qwen2ForCausalLM");
  json["rope_scaling"] = {
      {"type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 128}};
  const RopeConfig rope = parsed(json).rope;
  EXPECT_EQ(rope.type, RopeType::kYarn);
  EXPECT_EQ(rope.original_max_position_embeddings, 128);
  EXPECT_EQ(rope.beta_fast, 32.0);
  EXPECT_EQ(rope.beta_slow, 1.0);
  EXPECT_TRUE(rope.truncate);
  EXPECT_DOUBLE_EQ(rope.attention_factor, 0.1 * std::log(4.0) + 1.0);
  json["rope_scaling"]["factor"] = nullptr;
  EXPECT_EQ(parsed(json).rope.factor, 4.0) << "512 / 128";
  json["rope_scaling"]["mscale"] = 1.0;
  json["rope_scaling"]["mscale_all_dim"] = 0.5;
  EXPECT_DOUBLE_EQ(parsed(json).rope.attention_factor,
                   (0.1 * std::log(4.0) + 1) / (0.05 * std::log(4.0) + 1));
  json["rope_scaling"]["attention_factor"] = 0.75;
  EXPECT_EQ(parsed(json).rope.attention_factor, 0.75);
}

TEST(RopeConfig, LongropeIsReadFromBothVersionsAndByItsOldNames) {
  const Json factors = {{"short_factor", {1, 1, 1, 1, 1, 1}}, {"long_factor", {1, 2, 3, 4, 5, 6}}};
  const Json phi3 = valid_config("Phi3ForCausalLM");
  const Json version4 =
      with(phi3, {{"partial_rotary_factor", 0.75}, {"original_max_position_embeddings", 128}});
  for (const char* name : {"longrope", "su", "yarn"}) {
    const RopeConfig rope =
        parsed(with(version4, {{"rope_scaling", with(factors, {{"type", name}})}})).rope;
    EXPECT_EQ(rope.type, RopeType::kLongRope) << name;
    EXPECT_EQ(rope.rotary_factor, 0.75);
    EXPECT_EQ(rope.long_factors.back(), 6.0);
    EXPECT_EQ(rope.longest_sequence, 512);
    EXPECT_DOUBLE_EQ(rope.attention_factor, std::sqrt(1 + std::log(4.0) / std::log(128.0)));
  }
  const RopeConfig rope =
      parsed(with(phi3, {{"rope_parameters",
                          with(factors, {{"rope_type", "longrope"},
                                         {"partial_rotary_factor", 0.75},
                                         {"rope_theta", 1234.0},
                                         {"original_max_position_embeddings", 512}})}}))
          .rope;
  EXPECT_EQ(rope.theta, 1234.0);
  EXPECT_EQ(rope.attention_factor, 1.0) << "the context is the original one";
}

TEST(RopeConfig, WhatIsNotProvidedIsRefusedByName) {
  const Json json =
      with(valid_config(), {{"rope_scaling", {{"type", "dynamic"}, {"factor", 2.0}}}});
  const std::string message = refusal(json, ErrorCode::kUnsupported);
  EXPECT_NE(message.find("\"dynamic\""), std::string::npos) << message;
  EXPECT_NE(message.find("yarn"), std::string::npos) << message;
}

}  // namespace
}  // namespace pagoda
