// The tables of names. GGUF's are those of gguf-py's constants.py, MODEL_TENSORS and TENSOR_NAMES.
#include "checkpoint/gguf_architecture.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <vector>

namespace pagoda {
namespace {

constexpr std::array<GgufArchitecture, 11> kArchitectures = {{
    {.name = "llama",
     .architecture = "LlamaForCausalLM",
     .model_type = "llama",
     .interleaved_heads = true},
    {.name = "llama",
     .architecture = "MixtralForCausalLM",
     .model_type = "mixtral",
     .interleaved_heads = true},
    {.name = "qwen2", .architecture = "Qwen2ForCausalLM", .model_type = "qwen2"},
    {.name = "qwen3", .architecture = "Qwen3ForCausalLM", .model_type = "qwen3"},
    {.name = "qwen3moe", .architecture = "Qwen3MoeForCausalLM", .model_type = "qwen3_moe"},
    {.name = "phi3", .architecture = "Phi3ForCausalLM", .model_type = "phi3"},
    {.name = "gemma2",
     .architecture = "Gemma2ForCausalLM",
     .model_type = "gemma2",
     .unit_added_norms = true,
     .sandwich_norms = true},
    {.name = "gemma3",
     .architecture = "Gemma3ForCausalLM",
     .model_type = "gemma3_text",
     .unit_added_norms = true,
     .sandwich_norms = true},
    {.name = "granite",
     .architecture = "GraniteForCausalLM",
     .model_type = "granite",
     .interleaved_heads = true},
    {.name = "smollm3",
     .architecture = "SmolLM3ForCausalLM",
     .model_type = "smollm3",
     .interleaved_heads = true},
    {.name = "gpt-oss", .architecture = "GptOssForCausalLM", .model_type = "gpt_oss"},
}};

struct NamePair {
  std::string_view gguf, hugging_face;
};

constexpr std::array<NamePair, 3> kOutside = {{
    {"token_embd.weight", "model.embed_tokens.weight"},
    {"output_norm.weight", "model.norm.weight"},
    {"output.weight", "lm_head.weight"},
}};

// Within a layer, without the ending ".weight" or ".bias".
using Names = std::vector<NamePair>;

Names layer_names(const GgufArchitecture& architecture) {
  Names names = {
      {"attn_norm", "input_layernorm"},       {"attn_q", "self_attn.q_proj"},
      {"attn_k", "self_attn.k_proj"},         {"attn_v", "self_attn.v_proj"},
      {"attn_output", "self_attn.o_proj"},    {"attn_q_norm", "self_attn.q_norm"},
      {"attn_k_norm", "self_attn.k_norm"},    {"ffn_down", "mlp.down_proj"},
      {"ffn_gate_inp", "mlp.gate"},           {"ffn_gate_exps", "mlp.experts.gate_proj"},
      {"ffn_up_exps", "mlp.experts.up_proj"}, {"ffn_down_exps", "mlp.experts.down_proj"},
  };
  if (architecture.model_type == "phi3") {
    names.insert(names.end(), {{"attn_qkv", "self_attn.qkv_proj"}, {"ffn_up", "mlp.gate_up_proj"}});
  } else {
    names.insert(names.end(), {{"ffn_gate", "mlp.gate_proj"}, {"ffn_up", "mlp.up_proj"}});
  }
  if (architecture.sandwich_norms) {
    names.insert(names.end(), {{"post_attention_norm", "post_attention_layernorm"},
                               {"ffn_norm", "pre_feedforward_layernorm"},
                               {"post_ffw_norm", "post_feedforward_layernorm"}});
  } else if (architecture.model_type == "gpt_oss") {
    names.push_back({"post_attention_norm", "post_attention_layernorm"});
  } else {
    names.push_back({"ffn_norm", "post_attention_layernorm"});
  }
  return names;
}

// Parameters that are rows of one tensor, in the order of their rows.
constexpr std::array<NamePair, 5> kPhi3Parts = {{{"attn_qkv", "self_attn.q_proj"},
                                                 {"attn_qkv", "self_attn.k_proj"},
                                                 {"attn_qkv", "self_attn.v_proj"},
                                                 {"ffn_up", "mlp.gate_proj"},
                                                 {"ffn_up", "mlp.up_proj"}}};

GgufFix fix_of(const GgufArchitecture& architecture, std::string_view gguf_name) {
  if (architecture.interleaved_heads) {
    if (gguf_name.find(".attn_q.") != std::string_view::npos) {
      return GgufFix::kInterleavedQueryRows;
    }
    if (gguf_name.find(".attn_k.") != std::string_view::npos) return GgufFix::kInterleavedKeyRows;
  }
  if (architecture.unit_added_norms && gguf_name.ends_with("norm.weight")) {
    return GgufFix::kUnitAdded;
  }
  return GgufFix::kNone;
}

// A layer's number without leading zeros, and what follows its dot.
struct LayerName {
  std::string_view number, rest;
};
std::optional<LayerName> split_layer(std::string_view name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return std::nullopt;
  name.remove_prefix(prefix.size());
  const size_t dot = name.find('.');
  constexpr size_t kMaxDigits = 4;
  if (dot == std::string_view::npos || dot == 0 || dot > kMaxDigits) return std::nullopt;
  const std::string_view number = name.substr(0, dot);
  const bool digits = std::ranges::all_of(number, [](char c) { return c >= '0' && c <= '9'; });
  if (!digits || (number.size() > 1 && number.front() == '0')) return std::nullopt;
  return LayerName{number, name.substr(dot + 1)};
}

// Takes ".weight" or ".bias" off the end.
std::optional<std::string_view> take_ending(std::string_view& name) {
  for (const std::string_view ending : {".weight", ".bias"}) {
    if (name.ends_with(ending)) {
      name.remove_suffix(ending.size());
      return ending;
    }
  }
  return std::nullopt;
}

constexpr std::string_view kGgufLayer = "blk.";
constexpr std::string_view kHuggingFaceLayer = "model.layers.";

// Mixtral files of before 2024 hold each expert as a tensor of its own: "ffn_gate.3".
std::optional<std::string> old_expert_name(std::string_view part) {
  constexpr std::array<NamePair, 3> kParts = {
      {{"ffn_gate.", "w1"}, {"ffn_down.", "w2"}, {"ffn_up.", "w3"}}};
  for (const NamePair& pair : kParts) {
    const auto expert = split_layer(std::string(part) + ".", pair.gguf);
    if (expert) {
      return fmt::format("block_sparse_moe.experts.{}.{}", part.substr(pair.gguf.size()),
                         pair.hugging_face);
    }
  }
  return std::nullopt;
}

}  // namespace

Result<const GgufArchitecture*> find_gguf_architecture(std::string_view name, bool has_experts) {
  std::string known;
  for (const GgufArchitecture& architecture : kArchitectures) {
    const bool mixtral = architecture.model_type == "mixtral";
    if (architecture.name == name && (name != "llama" || mixtral == has_experts)) {
      return &architecture;
    }
    if (!mixtral) known += (known.empty() ? "" : ", ") + std::string(architecture.name);
  }
  return Error{ErrorCode::kUnsupported,
               fmt::format("general.architecture \"{}\" is not known; known are: {}",
                           name.substr(0, 80), known)};
}

const GgufArchitecture* gguf_architecture_of(std::string_view architecture) {
  if (architecture == "MistralForCausalLM") architecture = "LlamaForCausalLM";
  if (architecture == "Gemma3ForConditionalGeneration") architecture = "Gemma3ForCausalLM";
  for (const GgufArchitecture& known : kArchitectures) {
    if (known.architecture == architecture) return &known;
  }
  return nullptr;
}

std::optional<GgufTensorName> from_gguf_name(const GgufArchitecture& architecture,
                                             std::string_view name) {
  const GgufFix fix = fix_of(architecture, name);
  for (const NamePair& pair : kOutside) {
    if (pair.gguf == name) return GgufTensorName{std::string(pair.hugging_face), fix};
  }
  const auto layer = split_layer(name, kGgufLayer);
  if (!layer) return std::nullopt;
  std::string_view part = layer->rest;
  const auto ending = take_ending(part);
  if (!ending) return std::nullopt;
  const auto named = [&](std::string_view inside, std::string_view end) {
    return GgufTensorName{fmt::format("{}{}.{}{}", kHuggingFaceLayer, layer->number, inside, end),
                          fix};
  };
  if (architecture.model_type == "gpt_oss" && layer->rest == "attn_sinks.weight") {
    return named("self_attn.sinks", "");
  }
  for (const NamePair& pair : layer_names(architecture)) {
    if (pair.gguf == part) return named(pair.hugging_face, *ending);
  }
  if (architecture.model_type == "mixtral") {
    const auto expert = old_expert_name(part);
    if (expert) return named(*expert, *ending);
  }
  return std::nullopt;
}

std::optional<GgufTensorName> to_gguf_name(const GgufArchitecture& architecture,
                                           std::string_view name) {
  const auto found = [&](std::string gguf_name) {
    const GgufFix fix = fix_of(architecture, gguf_name);
    return GgufTensorName{std::move(gguf_name), fix};
  };
  for (const NamePair& pair : kOutside) {
    if (pair.hugging_face == name) return found(std::string(pair.gguf));
  }
  const auto layer = split_layer(name, kHuggingFaceLayer);
  if (!layer) return std::nullopt;
  std::string_view part = layer->rest;
  if (architecture.model_type == "gpt_oss" && part == "self_attn.sinks") {
    return found(fmt::format("{}{}.attn_sinks.weight", kGgufLayer, layer->number));
  }
  const auto ending = take_ending(part);
  if (!ending) return std::nullopt;
  Names names = layer_names(architecture);
  if (architecture.model_type == "phi3") {
    names.insert(names.begin(), kPhi3Parts.begin(), kPhi3Parts.end());
  }
  for (const NamePair& pair : names) {
    if (pair.hugging_face == part) {
      return found(fmt::format("{}{}.{}{}", kGgufLayer, layer->number, pair.gguf, *ending));
    }
  }
  return std::nullopt;
}

bool is_gguf_rope_tensor(std::string_view name) {
  return name == "rope_freqs.weight" || name == "rope_factors_long.weight" ||
         name == "rope_factors_short.weight" || name.ends_with(".attn_rot_embd");
}

}  // namespace pagoda
