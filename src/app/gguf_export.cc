// Metadata for GGUF files.
#include "app/gguf_export.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "app/model_folder.h"
#include "base/json.h"
#include "checkpoint/gguf_config.h"
#include "checkpoint/read_only_file.h"
#include "model/rope.h"
#include "text/tokenizer_gguf.h"

namespace pagoda {
namespace {

constexpr int64_t kMaxTokenizerBytes = int64_t{256} << 20;

// Entries about the file they stand in, which the new file has its own of.
bool is_about_file(std::string_view key) {
  return key.starts_with("split.") || key == "general.alignment" || key == "general.file_type" ||
         key == "general.quantization_version";
}

Result<void> copy_entries(const GgufFile& file, GgufWriter& writer) {
  std::vector<std::byte> bytes;
  for (const GgufEntry& entry : file.entries()) {
    if (is_about_file(entry.key)) continue;
    bytes.resize(static_cast<size_t>(entry.num_bytes));
    RETURN_IF_ERROR(file.file().read_at(entry.offset, bytes));
    writer.add_raw(bytes);
  }
  return {};
}

// Adds keys under an architecture's name. Numbers that parse_model_config() has checked.
class Keys {
 public:
  Keys(std::string_view prefix, GgufWriter& writer) : prefix_(prefix), writer_(writer) {}
  void count(std::string_view key, int32_t value) {
    writer_.add_u32(full(key), static_cast<uint32_t>(value));
  }
  void real(std::string_view key, double value) {
    writer_.add_f32(full(key), static_cast<float>(value));
  }
  void text(std::string_view key, std::string_view value) { writer_.add_string(full(key), value); }
  void flags(std::string_view key, const std::vector<int32_t>& values) {
    writer_.add_bools(full(key), values);
  }

 private:
  std::string full(std::string_view key) const { return fmt::format("{}.{}", prefix_, key); }
  std::string_view prefix_;
  GgufWriter& writer_;
};

void add_sizes(const ModelConfig& c, Keys& keys) {
  keys.count("block_count", c.num_layers);
  keys.count("context_length", c.max_position_embeddings);
  keys.count("embedding_length", c.hidden_size);
  keys.count("feed_forward_length", c.intermediate_size);
  keys.count("attention.head_count", c.num_heads);
  keys.count("attention.head_count_kv", c.num_kv_heads);
  keys.count("attention.key_length", c.head_size);
  keys.count("attention.value_length", c.head_size);
  keys.count("vocab_size", c.vocab_size);
  keys.real("attention.layer_norm_rms_epsilon", double{c.rms_norm_eps});
}

// What llama.cpp multiplies "rope.scaling.attn_factor" with by itself.
double implied_attention_factor(const RopeConfig& rope) {
  return rope.type == RopeType::kYarn ? gguf_yarn_attention_factor(rope.factor) : 1.0;
}

void add_rope(const ModelConfig& c, Keys& keys) {
  const RopeConfig& rope = c.rope;
  keys.count("rope.dimension_count", rotary_size(rope, c.head_size));
  keys.real("rope.freq_base", rope.theta);
  if (c.sliding_rope) keys.real("rope.freq_base_swa", c.sliding_rope->theta);
  if (rope.type == RopeType::kLinear || rope.type == RopeType::kYarn) {
    keys.text("rope.scaling.type", rope.type == RopeType::kLinear ? "linear" : "yarn");
    keys.real("rope.scaling.factor", rope.factor);
  }
  if (rope.type == RopeType::kYarn) {
    keys.real("rope.scaling.yarn_beta_fast", rope.beta_fast);
    keys.real("rope.scaling.yarn_beta_slow", rope.beta_slow);
  }
  if (rope.type == RopeType::kLongRope) keys.text("rope.scaling.type", "longrope");
  if (rope.type == RopeType::kYarn || rope.type == RopeType::kLongRope) {
    keys.count("rope.scaling.original_context_length", rope.original_max_position_embeddings);
    const double factor = rope.attention_factor / implied_attention_factor(rope);
    if (std::fabs(factor - 1.0) > 1e-6) keys.real("rope.scaling.attn_factor", factor);
  }
}

// The window, where layers have one, and which of them do.
void add_windows(std::string_view prefix, const ModelConfig& c, Keys& keys) {
  int32_t window = 0;
  std::vector<int32_t> has_window;
  for (int32_t l = 0; l < c.num_layers; ++l) {
    window = std::max(window, c.layer(l).sliding_window);
    has_window.push_back(c.layer(l).sliding_window > 0 ? 1 : 0);
  }
  if (window == 0) return;
  keys.count("attention.sliding_window", window);
  // For these two a reading program has a pattern of its own where the file has none.
  const int32_t full_every = prefix == "gemma2" ? 2 : prefix == "gemma3" ? 6 : 0;
  if (full_every == 0) return;
  for (int32_t l = 0; l < c.num_layers; ++l) {
    const bool usual = (l + 1) % full_every != 0;
    if (usual != (has_window[static_cast<size_t>(l)] == 1)) {
      return keys.flags("attention.sliding_window_pattern", has_window);
    }
  }
}

// What single families have, under the names that llama.cpp's converter gives it.
void add_family(const GgufArchitecture& architecture, const ModelConfig& c, Keys& keys) {
  const std::string_view type = architecture.model_type;
  const auto cap = [&](std::string_view key, float value) {
    if (value > 0.0F) keys.real(key, double{value});
  };
  cap("attn_logit_softcapping", c.attention_soft_cap);
  cap("final_logit_softcapping", c.logit_soft_cap);
  if (type == "granite") {
    keys.real("attention.scale", c.attention_scale);
    keys.real("embedding_scale", double{c.embedding_multiplier});
    keys.real("residual_scale", double{c.residual_multiplier});
    keys.real("logit_scale", double{c.logit_divisor});
  }
  if (c.moe.num_experts == 0) return;
  keys.count("expert_count", c.moe.num_experts);
  keys.count("expert_used_count", c.moe.num_chosen);
  if (type != "mixtral") keys.count("expert_feed_forward_length", c.moe.intermediate_size);
}

// The name that GGUF has for the way this vocabulary is split; "" when it has none.
std::string pre_tokenizer_name(const TokenizerData& data) {
  for (const char* name : {"llama-bpe", "qwen2", "gpt-2"}) {
    const auto known = tokenizer_from_gguf({.model = "gpt2", .pre = name, .tokens = {"a"}});
    if (known.ok() && known->model == data.model && known->splits == data.splits &&
        known->normalizers == data.normalizers) {
      return name;
    }
  }
  return "";
}

// Byte-level BPE in GGUF's lists, for other programs. Ids without a token become unused ones.
void add_lists(const Json& tokenizer, const std::string& pre, int32_t vocab_size,
               GgufWriter& writer) {
  std::vector<std::string> tokens;
  for (int32_t id = 0; id < vocab_size; ++id) tokens.push_back(fmt::format("[PAD{}]", id));
  std::vector<int32_t> types(tokens.size(), static_cast<int32_t>(GgufTokenType::kUnused));
  const auto place = [&](const Json& id, const std::string& text, GgufTokenType type) {
    if (!id.is_number_unsigned() || id.get<uint64_t>() >= tokens.size()) return;
    tokens[id.get<size_t>()] = text;
    types[id.get<size_t>()] = static_cast<int32_t>(type);
  };
  const Json& model = tokenizer["model"];
  for (const auto& [text, id] : model["vocab"].items()) place(id, text, GgufTokenType::kNormal);
  if (tokenizer.contains("added_tokens")) {
    for (const Json& added : tokenizer["added_tokens"]) {
      const bool special = added.value("special", false);
      place(added["id"], added["content"].get<std::string>(),
            special ? GgufTokenType::kControl : GgufTokenType::kUserDefined);
    }
  }
  std::vector<std::string> merges;
  for (const Json& merge : model["merges"]) {
    merges.push_back(merge.is_string()
                         ? merge.get<std::string>()
                         : merge[0].get<std::string>() + " " + merge[1].get<std::string>());
  }
  writer.add_string("tokenizer.ggml.model", "gpt2");
  writer.add_string("tokenizer.ggml.pre", pre);
  writer.add_strings("tokenizer.ggml.tokens", tokens);
  writer.add_i32s("tokenizer.ggml.token_type", types);
  writer.add_strings("tokenizer.ggml.merges", merges);
}

Result<void> add_tokenizer(const std::string& path, const ModelFolder& files, int32_t vocab_size,
                           GgufWriter& writer) {
  ASSIGN_OR_RETURN(const std::string text, read_text_file(path, kMaxTokenizerBytes));
  ASSIGN_OR_RETURN(const TokenizerData data, parse_tokenizer_json(text));
  const std::string pre = pre_tokenizer_name(data);
  if (!pre.empty()) {
    ASSIGN_OR_RETURN(const Json json, parse_json(text));
    add_lists(json, pre, vocab_size, writer);
  }
  writer.add_string("tokenizer.huggingface.json", text);
  const auto add_id = [&](const char* key, const std::string& spelling) {
    const int32_t id = spelling.empty() ? -1 : files.tokenizer->token_id(spelling);
    if (id >= 0) writer.add_u32(key, static_cast<uint32_t>(id));
  };
  add_id("tokenizer.ggml.bos_token_id", files.bos_token);
  add_id("tokenizer.ggml.eos_token_id", files.eos_token);
  writer.add_bool("tokenizer.ggml.add_bos_token", !files.tokenizer->prefix_ids().empty());
  if (files.chat_template != nullptr) {
    writer.add_string("tokenizer.chat_template", files.chat_template->source());
  }
  return {};
}

void add_sampling(const SamplingParams& sampling, GgufWriter& writer) {
  const SamplingParams usual;
  const auto add = [&](const char* key, float value, float other) {
    if (value != other) writer.add_f32(key, value);
  };
  add("general.sampling.temp", sampling.temperature, usual.temperature);
  add("general.sampling.top_p", sampling.top_p, usual.top_p);
  add("general.sampling.min_p", sampling.min_p, usual.min_p);
  add("general.sampling.penalty_repeat", sampling.repetition_penalty, usual.repetition_penalty);
  if (sampling.top_k != usual.top_k) {
    writer.add_u32("general.sampling.top_k", static_cast<uint32_t>(sampling.top_k));
  }
}

bool is_near(double a, double b) {
  return std::fabs(a - b) <= 1e-5 * std::max(std::fabs(a), std::fabs(b));
}

double score_scale(const ModelConfig& c) {
  return c.attention_scale > 0.0 ? c.attention_scale : 1.0 / std::sqrt(c.head_size);
}

bool turn_alike(const RopeConfig& a, const RopeConfig& b, int32_t head_size) {
  const RopeTable left = make_rope_table(a, head_size), right = make_rope_table(b, head_size);
  return is_near(left.attention_factor, right.attention_factor) &&
         std::equal(left.inv_freq.begin(), left.inv_freq.end(), right.inv_freq.begin(),
                    right.inv_freq.end(), is_near);
}

template <typename T>
bool layers_alike(const ModelConfig& a, const ModelConfig& b, T LayerConfig::*field) {
  for (int32_t l = 0; l < a.num_layers; ++l) {
    if (a.layer(l).*field != b.layer(l).*field) return false;
  }
  return true;
}

// The windows of layers, their rotary embeddings and so on, where the two differ.
std::vector<std::string> differences(const ModelConfig& a, const ModelConfig& b) {
  std::vector<std::string> found;
  const auto check = [&found](bool alike, const char* what) {
    if (!alike) found.emplace_back(what);
  };
  check(layers_alike(a, b, &LayerConfig::sliding_window), "sliding windows");
  check(layers_alike(a, b, &LayerConfig::has_rope), "layers without rope");
  check(layers_alike(a, b, &LayerConfig::has_experts), "layers without experts");
  check(a.moe.num_experts == 0 || a.moe.renormalise == b.moe.renormalise, "weights of experts");
  check(
      turn_alike(a.rope, b.rope, a.head_size) &&
          turn_alike(a.sliding_rope.value_or(a.rope), b.sliding_rope.value_or(b.rope), a.head_size),
      "rotary embeddings");
  check(is_near(score_scale(a), score_scale(b)), "scale of attention");
  check(is_near(a.attention_soft_cap, b.attention_soft_cap) &&
            is_near(a.logit_soft_cap, b.logit_soft_cap),
        "caps of scores and logits");
  return found;
}

}  // namespace

Result<void> add_gguf_metadata(const Checkpoint& checkpoint, const GgufArchitecture& architecture,
                               const ModelConfig& config, GgufWriter& writer) {
  writer.add_u32("general.quantization_version", 2);
  if (checkpoint.gguf() != nullptr) return copy_entries(*checkpoint.gguf(), writer);
  ASSIGN_OR_RETURN(const ModelFolder files,
                   read_model_folder(checkpoint.path(), config.eos_token_ids, ""));
  ASSIGN_OR_RETURN(Json json, parse_json(checkpoint.config_json()));
  // The file has no vision tower and its own quantization.
  json.erase("vision_config");
  json.erase("quantization_config");
  const auto text = json.find("text_config");
  if (text != json.end() && text->is_object()) text->erase("quantization_config");
  if (!files.default_sampling.eos_token_ids.empty()) {
    json["eos_token_id"] = files.default_sampling.eos_token_ids;
  }
  writer.add_string("general.architecture", architecture.name);
  const std::filesystem::path path = std::filesystem::path(checkpoint.path()).lexically_normal();
  const auto name = path.has_filename() ? path.filename() : path.parent_path().filename();
  writer.add_string("general.name", name.string());
  Keys keys(architecture.name, writer);
  add_sizes(config, keys);
  add_rope(config, keys);
  add_windows(architecture.name, config, keys);
  add_family(architecture, config, keys);
  writer.add_string(kGgufConfigKey, dump_json(json));
  add_sampling(files.default_sampling, writer);
  return add_tokenizer(checkpoint.path() + "/tokenizer.json", files, config.vocab_size, writer);
}

Result<void> add_rope_tensors(const Checkpoint& checkpoint, const ModelConfig& config,
                              GgufWriter& writer, std::vector<std::vector<std::byte>>& contents) {
  for (const GgufFile& file : checkpoint.gguf_files()) {
    for (const GgufTensor& tensor : file.tensors()) {
      if (!is_gguf_rope_tensor(tensor.name) || !tensor.dtype) continue;
      writer.add_tensor(tensor.name, tensor.shape, *tensor.dtype);
      contents.emplace_back(static_cast<size_t>(tensor.num_bytes));
      RETURN_IF_ERROR(file.file().read_at(tensor.offset, contents.back()));
    }
  }
  if (!contents.empty()) return {};
  const auto add = [&](const char* name, std::span<const float> factors) {
    writer.add_tensor(name, {static_cast<int64_t>(factors.size())}, DType::kF32);
    const auto bytes = std::as_bytes(factors);
    contents.emplace_back(bytes.begin(), bytes.end());
  };
  if (config.rope.type == RopeType::kLongRope) {
    for (const auto& [name, factors] :
         {std::pair("rope_factors_long.weight", &config.rope.long_factors),
          {"rope_factors_short.weight", &config.rope.short_factors}}) {
      add(name, std::vector<float>(factors->begin(), factors->end()));
    }
  }
  if (config.rope.type == RopeType::kLlama3) {
    RopeConfig plain = config.rope;
    plain.type = RopeType::kDefault;
    const RopeTable scaled = make_rope_table(config.rope, config.head_size);
    std::vector<float> factors = make_rope_table(plain, config.head_size).inv_freq;
    for (size_t i = 0; i < factors.size(); ++i) factors[i] /= scaled.inv_freq[i];
    add("rope_freqs.weight", factors);
  }
  return {};
}

Result<std::string> unsaid_in_gguf(const std::string& path, const ModelConfig& config) {
  ASSIGN_OR_RETURN(const GgufFile file, GgufFile::open(path));
  ASSIGN_OR_RETURN(const GgufConfig keys, read_gguf_config({&file, 1}, /*take_own=*/false));
  ASSIGN_OR_RETURN(const ModelConfig other, parse_model_config(keys.json));
  return fmt::format("{}", fmt::join(differences(config, other), ", "));
}

}  // namespace pagoda
