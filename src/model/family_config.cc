// Families as data: which switches of ModelConfig each one sets.
#include "model/family_config.h"

#include <cmath>
#include <functional>
#include <string>

#include "model/moe_config.h"

namespace pagoda {
namespace {

// Which layers have the window when no "layer_types" says so.
using WindowRule = std::function<bool(int32_t layer)>;

bool is_sliding(Fields& fields, const Json* types, int32_t layer, const WindowRule& rule) {
  if (types == nullptr) return rule(layer);
  const Json& type = (*types)[static_cast<size_t>(layer)];
  if (type == "full_attention") return false;
  if (type == "sliding_attention") return true;
  fields.fail(unsupported("\"layer_types\" has " + dump_json(type).substr(0, 80) +
                          "; supported are \"full_attention\" and \"sliding_attention\""));
  return false;
}

// "layer_types" where it is there, else the family's rule, with one window for all.
void read_windows(Fields& fields, ModelConfig& config, const WindowRule& rule) {
  const int32_t window = fields.count("sliding_window", 1, kMaxPositions, 0);
  const Json* types = member(fields.object(), "layer_types");
  if (types != nullptr &&
      (!types->is_array() || types->size() != static_cast<size_t>(config.num_layers))) {
    fields.fail(bad_value("layer_types", *types,
                          fmt::format("a list of {} layer types", config.num_layers)));
    return;
  }
  for (int32_t l = 0; l < config.num_layers; ++l) {
    if (!is_sliding(fields, types, l, rule)) continue;
    if (window == 0) {
      fields.fail(
          invalid_argument("config.json: layers of sliding attention, but no "
                           "\"sliding_window\""));
    }
    config.layers[static_cast<size_t>(l)].sliding_window = window;
  }
}

// One window for all layers, if any; Transformers' class does not look at "layer_types".
void read_one_window(Fields& fields, ModelConfig& config) {
  const int32_t window = fields.count("sliding_window", 1, kMaxPositions, 0);
  for (LayerConfig& layer : config.layers) layer.sliding_window = window;
}

// Qwen2 and Qwen3: a window for the layers from "max_window_layers" on, if it is used at all.
void read_qwen_windows(Fields& fields, ModelConfig& config) {
  if (!fields.flag("use_sliding_window", false)) return;
  const int32_t first = fields.count("max_window_layers", 0, 1 << 20, 28);
  if (!fields.has("sliding_window")) return;
  read_windows(fields, config, [first](int32_t layer) { return layer >= first; });
}

void read_qwen2(Fields& fields, ModelConfig& config) {
  config.attention_bias = true;
  config.output_bias = false;
  config.mlp_bias = false;
  read_qwen_windows(fields, config);
}

void read_qwen3(Fields& fields, ModelConfig& config) {
  config.qk_norm = true;
  config.mlp_bias = false;
  read_qwen_windows(fields, config);
}

void read_phi3(Fields& fields, ModelConfig& config) {
  config.fused_projections = true;
  config.attention_bias = config.output_bias = config.mlp_bias = false;
  read_one_window(fields, config);
}

void read_mistral(Fields& fields, ModelConfig& config) {
  config.attention_bias = config.output_bias = config.mlp_bias = false;
  read_one_window(fields, config);
}

// "no_rope_layers" has a 1 for each layer with rotary embeddings and a 0 for each without.
void read_smollm3(Fields& fields, ModelConfig& config) {
  const int32_t interval = fields.count("no_rope_layer_interval", 1, 1 << 20, 4);
  const auto length = static_cast<size_t>(config.num_layers);
  const bool listed = fields.has("no_rope_layers");
  const std::vector<double> turns =
      listed ? fields.reals("no_rope_layers", length, 0, 1) : std::vector<double>();
  for (size_t l = 0; l < length; ++l) {
    config.layers[l].has_rope =
        listed ? l < turns.size() && turns[l] != 0.0 : (l + 1) % static_cast<size_t>(interval) != 0;
  }
  if (!fields.flag("use_sliding_window", false) || !fields.has("sliding_window")) return;
  read_windows(fields, config, [&config](int32_t layer) { return !config.layer(layer).has_rope; });
}

void read_granite(Fields& fields, ModelConfig& config) {
  config.embedding_multiplier = fields.positive("embedding_multiplier", 1e-6, 1.0F);
  config.residual_multiplier = fields.positive("residual_multiplier", 1e-6, 1.0F);
  config.attention_scale = fields.real("attention_multiplier", 1e-6, 1e3, 1.0);
  config.logit_divisor = fields.positive("logits_scaling", 1e-6, 1.0F);
}

// Gemma 2 and 3. Transformers in bf16 rounds the embedding's factor to bf16; here, as in its f32,
// it is the root itself.
void read_gemma(Fields& fields, ModelConfig& config) {
  config.unit_offset_norms = true;
  config.sandwich_norms = true;
  config.mlp_bias = false;
  config.embedding_multiplier =
      static_cast<float>(std::sqrt(static_cast<double>(config.hidden_size)));
  config.attention_scale = 1.0 / std::sqrt(fields.real("query_pre_attn_scalar", 1e-3, 1e6));
  if (fields.flag("use_bidirectional_attention", false)) {
    fields.fail(unsupported("\"use_bidirectional_attention\": attention to later tokens"));
  }
}

void read_gemma2(Fields& fields, ModelConfig& config) {
  read_gemma(fields, config);
  config.attention_soft_cap = fields.positive("attn_logit_softcapping", 1e-3, 0.0F);
  config.logit_soft_cap = fields.positive("final_logit_softcapping", 1e-3, 0.0F);
  read_windows(fields, config, [](int32_t layer) { return layer % 2 == 0; });
}

// Scores have no cap here: Transformers reads "attn_logit_softcapping" and does not use it.
void read_gemma3(Fields& fields, ModelConfig& config) {
  read_gemma(fields, config);
  config.qk_norm = true;
  config.logit_soft_cap = fields.positive("final_logit_softcapping", 1e-3, 0.0F);
  const int32_t full_every = fields.count("sliding_window_pattern", 1, 1 << 20, 6);
  read_windows(fields, config,
               [full_every](int32_t layer) { return (layer + 1) % full_every != 0; });
}

void read_mixtral(Fields& fields, ModelConfig& config) {
  read_mistral(fields, config);
  read_mixtral_experts(fields, config);
}

// One window for all layers, if it is used at all.
void read_qwen3_moe(Fields& fields, ModelConfig& config) {
  config.qk_norm = true;
  if (fields.flag("use_sliding_window", false)) read_one_window(fields, config);
  read_qwen3_experts(fields, config);
}

void read_gpt_oss(Fields& fields, ModelConfig& config) {
  read_windows(fields, config, [](int32_t layer) { return layer % 2 == 0; });
  read_gpt_oss_experts(fields, config);
}

struct Family {
  std::string_view architecture;
  std::string_view defaults;  // a JSON object
  void (*read)(Fields& fields, ModelConfig& config);
};

constexpr std::string_view kGemma3Defaults =
    R"({"vocab_size": 262208, "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256,
        "hidden_activation": "gelu_pytorch_tanh", "max_position_embeddings": 131072,
        "tie_word_embeddings": true, "query_pre_attn_scalar": 256, "rope_theta": 1000000.0,
        "rope_local_base_freq": 10000.0, "sliding_window": 4096})";

constexpr Family kFamilies[] = {
    {"MistralForCausalLM", R"({"sliding_window": 4096})", read_mistral},
    {"Qwen2ForCausalLM", R"({"sliding_window": 4096})", read_qwen2},
    {"Qwen3ForCausalLM", R"({"sliding_window": 4096, "head_dim": 128})", read_qwen3},
    {"Phi3ForCausalLM", R"({"original_max_position_embeddings": 4096, "rms_norm_eps": 1e-5})",
     read_phi3},
    {"SmolLM3ForCausalLM", R"({"tie_word_embeddings": true, "rope_theta": 2000000.0})",
     read_smollm3},
    {"GraniteForCausalLM", "{}", read_granite},
    {"Gemma2ForCausalLM",
     R"({"head_dim": 256, "hidden_activation": "gelu_pytorch_tanh", "tie_word_embeddings": true,
         "query_pre_attn_scalar": 256, "sliding_window": 4096, "final_logit_softcapping": 30.0,
         "attn_logit_softcapping": 50.0})",
     read_gemma2},
    {"MixtralForCausalLM", R"({"rms_norm_eps": 1e-5, "rope_theta": 1000000.0})", read_mixtral},
    {"Qwen3MoeForCausalLM", R"({"sliding_window": 4096})", read_qwen3_moe},
    {"GptOssForCausalLM",
     R"({"head_dim": 64, "rms_norm_eps": 1e-5, "attention_bias": true, "sliding_window": 128,
         "rope_theta": 150000.0,
         "rope_scaling": {"rope_type": "yarn", "factor": 32.0, "beta_fast": 32.0, "beta_slow": 1.0,
                          "truncate": false, "original_max_position_embeddings": 4096}})",
     read_gpt_oss},
    {"Gemma3ForCausalLM", kGemma3Defaults, read_gemma3},
    {"Gemma3ForConditionalGeneration", kGemma3Defaults, read_gemma3},
};

const Family* find_family(std::string_view architecture) {
  for (const Family& family : kFamilies) {
    if (family.architecture == architecture) return &family;
  }
  return nullptr;
}

}  // namespace

Json family_defaults(std::string_view architecture) {
  const Family* family = find_family(architecture);
  return family == nullptr ? Json::object() : parse_json(family->defaults).value();
}

void read_family(Fields& fields, ModelConfig& config) {
  const Family* family = find_family(config.architecture);
  if (family != nullptr) family->read(fields, config);
}

}  // namespace pagoda
