// ModelConfig: what config.json says of a model, checked.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace pagoda {

enum class RopeType { kDefault, kLinear, kLlama3 };

// Parameters of rotary embeddings; which are used depends on the type (model/rope.h).
struct RopeConfig {
  RopeType type = RopeType::kDefault;
  double theta = 10000.0;
  double factor = 1.0;                              // kLinear, kLlama3
  double low_freq_factor = 1.0;                     // kLlama3
  double high_freq_factor = 4.0;                    // kLlama3
  int32_t original_max_position_embeddings = 8192;  // kLlama3
};

// Plain value. Every number is within the ranges that parse_model_config() checks, so products of
// any two of them fit an int64_t.
struct ModelConfig {
  std::string architecture;             // "LlamaForCausalLM"
  int32_t vocab_size = 0;               // V
  int32_t hidden_size = 0;              // E
  int32_t num_layers = 0;               // L
  int32_t num_heads = 0;                // H, a multiple of K
  int32_t num_kv_heads = 0;             // K
  int32_t head_size = 0;                // D, even
  int32_t intermediate_size = 0;        // F
  int32_t max_position_embeddings = 0;  // tokens of context
  float rms_norm_eps = 0.0F;
  RopeConfig rope = {};
  bool tie_word_embeddings = false;  // the output matrix is the embedding
  bool attention_bias = false;       // q, k, v and o projections have one
  bool mlp_bias = false;             // gate, up and down projections have one

  std::vector<int32_t> eos_token_ids = {};  // none, one or several
  int32_t bos_token_id = -1;                // -1: none
};

// Parses config.json of a Llama-like model, in the spelling of Transformers 4 (rope_theta and
// rope_scaling, with "type" or "rope_type") or 5 (rope_parameters). kInvalidArgument for a missing
// or malformed value and for any number out of range, naming the key, the value and the limits;
// kUnsupported for an activation, rope type or quantization that is not provided. Whether the
// architecture is known is the registry's question.
Result<ModelConfig> parse_model_config(std::string_view json);

}  // namespace pagoda
