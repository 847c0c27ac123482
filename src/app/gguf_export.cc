// Metadata for GGUF files.
#include "app/gguf_export.h"

#include <fmt/core.h>

#include <algorithm>
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

// Numbers that parse_model_config() has checked.
void add_sizes(std::string_view prefix, const ModelConfig& c, GgufWriter& writer) {
  const auto add = [&](std::string_view key, int32_t value) {
    writer.add_u32(fmt::format("{}.{}", prefix, key), static_cast<uint32_t>(value));
  };
  add("block_count", c.num_layers);
  add("context_length", c.max_position_embeddings);
  add("embedding_length", c.hidden_size);
  add("feed_forward_length", c.intermediate_size);
  add("attention.head_count", c.num_heads);
  add("attention.head_count_kv", c.num_kv_heads);
  add("attention.key_length", c.head_size);
  add("attention.value_length", c.head_size);
  add("rope.dimension_count", c.head_size);
  add("vocab_size", c.vocab_size);
  writer.add_f32(fmt::format("{}.attention.layer_norm_rms_epsilon", prefix), c.rms_norm_eps);
  writer.add_f32(fmt::format("{}.rope.freq_base", prefix), static_cast<float>(c.rope.theta));
  if (c.rope.type == RopeType::kLinear) {
    writer.add_string(fmt::format("{}.rope.scaling.type", prefix), "linear");
    writer.add_f32(fmt::format("{}.rope.scaling.factor", prefix),
                   static_cast<float>(c.rope.factor));
  }
}

// The numbers of experts, where config.json has them.
void add_experts(std::string_view prefix, const Json& config, GgufWriter& writer) {
  const auto copy = [&](const char* from, std::string_view to) {
    const auto value = config.find(from);
    if (value == config.end() || !value->is_number_unsigned()) return false;
    writer.add_u32(fmt::format("{}.{}", prefix, to), value->get<uint32_t>());
    return true;
  };
  if (!copy("num_local_experts", "expert_count")) copy("num_experts", "expert_count");
  copy("num_experts_per_tok", "expert_used_count");
  copy("moe_intermediate_size", "expert_feed_forward_length");
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

}  // namespace

Result<void> add_gguf_metadata(const Checkpoint& checkpoint, const GgufArchitecture& architecture,
                               const ModelConfig& config, GgufWriter& writer) {
  writer.add_u32("general.quantization_version", 2);
  if (checkpoint.gguf() != nullptr) return copy_entries(*checkpoint.gguf(), writer);
  ASSIGN_OR_RETURN(const ModelFolder files,
                   read_model_folder(checkpoint.path(), config.eos_token_ids, ""));
  ASSIGN_OR_RETURN(Json json, parse_json(checkpoint.config_json()));
  json.erase("quantization_config");
  if (!files.default_sampling.eos_token_ids.empty()) {
    json["eos_token_id"] = files.default_sampling.eos_token_ids;
  }
  writer.add_string("general.architecture", architecture.name);
  const std::filesystem::path path = std::filesystem::path(checkpoint.path()).lexically_normal();
  const auto name = path.has_filename() ? path.filename() : path.parent_path().filename();
  writer.add_string("general.name", name.string());
  add_sizes(architecture.name, config, writer);
  add_experts(architecture.name, json, writer);
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
  if (!contents.empty() || config.rope.type != RopeType::kLlama3) return {};
  RopeConfig plain = config.rope;
  plain.type = RopeType::kDefault;
  const RopeTable scaled = make_rope_table(config.rope, config.head_size);
  std::vector<float> factors = make_rope_table(plain, config.head_size).inv_freq;
  for (size_t i = 0; i < factors.size(); ++i) factors[i] /= scaled.inv_freq[i];
  writer.add_tensor("rope_freqs.weight", {static_cast<int64_t>(factors.size())}, DType::kF32);
  const auto bytes = std::as_bytes(std::span<const float>(factors));
  contents.emplace_back(bytes.begin(), bytes.end());
  return {};
}

}  // namespace pagoda
