// For tests: a config.json that parses, to be changed.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "base/json.h"
#include "model/model_config.h"

namespace pagoda {

inline Json valid_config(const std::string& architecture = "LlamaForCausalLM") {
  return Json{{"architectures", {architecture}},
              {"vocab_size", 1000},
              {"hidden_size", 64},
              {"num_hidden_layers", 2},
              {"num_attention_heads", 4},
              {"num_key_value_heads", 2},
              {"intermediate_size", 128},
              {"max_position_embeddings", 512},
              {"rms_norm_eps", 1e-5}};
}

inline Json with(Json json, const Json& changes) {
  for (const auto& [key, value] : changes.items()) json[key] = value;
  return json;
}

inline ModelConfig parsed(const Json& json) {
  const auto config = parse_model_config(dump_json(json));
  EXPECT_TRUE(config.ok()) << config.error().message;
  return config.ok() ? *config : ModelConfig{};
}

// The message of a config that must be refused with `code`.
inline std::string refusal(const Json& json, ErrorCode code = ErrorCode::kInvalidArgument) {
  const auto config = parse_model_config(dump_json(json));
  EXPECT_FALSE(config.ok()) << dump_json(json);
  if (config.ok()) return "";
  EXPECT_EQ(config.error().code, code) << config.error().message;
  return config.error().message;
}

}  // namespace pagoda
