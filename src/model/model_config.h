// ModelConfig: what config.json says of a model, checked.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace pagoda {

enum class RopeType { kDefault, kLinear, kLlama3, kYarn, kLongRope };

// Parameters of rotary embeddings; which are used depends on the type (model/rope.h).
struct RopeConfig {
  RopeType type = RopeType::kDefault;
  double theta = 10000.0;
  double rotary_factor = 1.0;                       // part of each head that turns, (0, 1]
  double factor = 1.0;                              // kLinear, kLlama3, kYarn
  double low_freq_factor = 1.0;                     // kLlama3
  double high_freq_factor = 4.0;                    // kLlama3
  int32_t original_max_position_embeddings = 8192;  // kLlama3, kYarn, kLongRope
  double beta_fast = 32.0;                          // kYarn
  double beta_slow = 1.0;                           // kYarn
  bool truncate = true;                             // kYarn
  double attention_factor = 1.0;                    // kYarn, kLongRope
  std::vector<double> short_factors = {};           // kLongRope: one a frequency
  std::vector<double> long_factors = {};            // kLongRope: one a frequency
  // kLongRope: the longest sequence that will be run, in tokens. Above the original context all
  // sequences get the long factors, otherwise all get the short ones.
  int32_t longest_sequence = 0;
};

enum class Activation { kSilu, kGeluTanh };

// What may differ from layer to layer.
struct LayerConfig {
  int32_t sliding_window = 0;  // tokens that are seen, the token itself among them; 0: all
  bool has_rope = true;        // queries and keys turn by their position
  bool has_experts = false;    // a mixture of experts in place of one feed-forward network
};

// The experts of the layers that have them.
struct MoeConfig {
  int32_t num_experts = 0;        // X; 0: no layer has experts
  int32_t num_chosen = 0;         // experts a token, at most X
  int32_t intermediate_size = 0;  // F of each
  bool renormalise = true;        // the factors of a token's experts add up to 1
  // gpt-oss: biases on router and experts, the clamped activation with these numbers, and gate and
  // up as alternating rows of transposed matrices or of MXFP4 blocks.
  bool gpt_oss = false;
  float swiglu_alpha = 1.702F;
  float swiglu_limit = 7.0F;
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
  std::optional<RopeConfig> sliding_rope = {};  // of layers with a window; none: `rope`
  std::vector<LayerConfig> layers = {};         // [L]; use layer()
  bool tie_word_embeddings = false;             // the output matrix is the embedding
  bool attention_bias = false;                  // q, k and v projections have one
  bool output_bias = false;                     // the o projection has one
  bool mlp_bias = false;                        // gate, up and down projections have one
  bool qk_norm = false;                         // each head of q and k is normed before it turns
  bool attention_sinks = false;                 // each head has a logit that competes with its keys
  MoeConfig moe = {};
  bool fused_projections = false;  // the checkpoint keeps q, k, v and gate, up as one matrix each
  bool sandwich_norms = false;     // attention and feed-forward are normed behind, too
  bool unit_offset_norms = false;  // norm weights are kept less 1
  Activation activation = Activation::kSilu;
  double attention_scale = 0.0;       // of q . k; 0: 1 / sqrt(D)
  float attention_soft_cap = 0.0F;    // 0: none
  float logit_soft_cap = 0.0F;        // 0: none
  float embedding_multiplier = 1.0F;  // of the embeddings
  float residual_multiplier = 1.0F;   // of what each block adds
  float logit_divisor = 1.0F;

  std::vector<int32_t> eos_token_ids = {};  // none, one or several
  int32_t bos_token_id = -1;                // -1: none

  // Of layer `index` in [0, L).
  LayerConfig layer(int32_t index) const {
    const auto i = static_cast<size_t>(index);
    return i < layers.size() ? layers[i] : LayerConfig{};
  }
};

// Parses config.json in the spelling of Transformers 4 (rope_theta and rope_scaling, with "type" or
// "rope_type") or 5 (rope_parameters, by layer type where those differ), of a model or of the
// text_config within that of a multimodal one. Keys that are absent have the values of the family's
// configuration class in Transformers (model/family_config.h). kInvalidArgument for a missing or
// malformed value and for any number out of range, naming the key, the value and the limits;
// kUnsupported for an activation, rope type or layer type that is not provided. Whether the
// architecture is known is the registry's question, and "quantization_config" the checkpoint's.
Result<ModelConfig> parse_model_config(std::string_view json);

}  // namespace pagoda
