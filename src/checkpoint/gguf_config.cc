// From GGUF's keys to those of config.json.
#include "checkpoint/gguf_config.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>
#include <optional>
#include <utility>

#include "base/json.h"

namespace pagoda {
namespace {

constexpr int64_t kMaxCount = INT32_MAX;
constexpr int64_t kMaxLayers = 1024;

// Reads the keys of one architecture. The first failure is kept and later reads change nothing, so
// that a list of keys reads as a list.
class Keys {
 public:
  Keys(std::span<const GgufFile> files, std::string_view prefix) : files_(files), prefix_(prefix) {}

  std::string full(std::string_view key) const { return fmt::format("{}.{}", prefix_, key); }
  bool has(std::string_view key) const { return files_[0].find(full(key)) != nullptr; }

  // A whole number in [low, limit]; an array is taken when all layers have the same.
  std::optional<int64_t> count(std::string_view key, int64_t limit = kMaxCount, int64_t low = 1) {
    const std::string name = full(key);
    const GgufEntry* entry = files_[0].find(name);
    if (entry == nullptr) return std::nullopt;
    if (entry->type != GgufType::kArray) return take(files_[0].integer(name, low, limit));
    const auto values = files_[0].integers(name, kMaxLayers);
    if (!values.ok()) return fail(values.error()), std::nullopt;
    if (values->empty() ||
        std::ranges::adjacent_find(*values, std::not_equal_to<>()) != values->end()) {
      fail(Error{ErrorCode::kUnsupported,
                 fmt::format("{}: metadata \"{}\": layers that differ", path(), name)});
      return std::nullopt;
    }
    if (values->front() < low || values->front() > limit) {
      fail(invalid_argument(fmt::format("{}: metadata \"{}\": {} is not in [{}, {}]", path(), name,
                                        values->front(), low, limit)));
      return std::nullopt;
    }
    return values->front();
  }
  int64_t required(std::string_view key, int64_t limit = kMaxCount) {
    const auto value = count(key, limit);
    if (!value) fail(invalid_argument(fmt::format("{}: no metadata \"{}\"", path(), full(key))));
    return value.value_or(1);
  }
  std::optional<double> real(std::string_view key) {
    return take(files_[0].real(full(key), -1e12, 1e12));
  }
  std::optional<std::string> text(std::string_view key) { return take(files_[0].text(full(key))); }

  const GgufTensor* tensor(std::string_view name) const {
    for (const GgufFile& file : files_) {
      if (const GgufTensor* found = file.find_tensor(name)) return found;
    }
    return nullptr;
  }
  // The elements of an f32 vector of at most `limit`; empty when there is none.
  std::vector<float> vector(std::string_view name, int64_t limit) {
    std::vector<float> values;
    for (const GgufFile& file : files_) {
      const GgufTensor* found = file.find_tensor(name);
      if (found == nullptr) continue;
      if (found->dtype != DType::kF32 || found->shape.num_elements() > limit) {
        fail(invalid_argument(fmt::format("{}: tensor {}: {} {}, wanted at most {} of F32",
                                          file.path(), name, found->type_name,
                                          to_string(found->shape), limit)));
        return values;
      }
      values.resize(static_cast<size_t>(found->shape.num_elements()));
      const auto read =
          file.file().read_at(found->offset, std::as_writable_bytes(std::span<float>(values)));
      if (!read.ok()) fail(read.error());
      for (const float value : values) {
        if (!(value > 0.0F) || !std::isfinite(value)) {
          fail(invalid_argument(
              fmt::format("{}: tensor {}: a factor of {}", file.path(), name, value)));
        }
      }
      return values;
    }
    return values;
  }

  const GgufFile& file() const { return files_[0]; }
  const std::string& path() const { return files_[0].path(); }
  void fail(const Error& error) {
    if (!error_) error_ = error;
  }
  Result<void> status() const { return error_ ? Result<void>(*error_) : Result<void>(); }

 private:
  template <typename T>
  std::optional<T> take(Result<std::optional<T>> value) {
    if (value.ok()) return std::move(value).value();
    fail(value.error());
    return std::nullopt;
  }

  std::span<const GgufFile> files_;
  std::string_view prefix_;
  std::optional<Error> error_;
};

// What the rest of the config is made of.
struct Sizes {
  int64_t layers = 1, hidden = 1, heads = 1, kv_heads = 1, head_size = 1, context = 1;
};

// The factors of Llama 3.1, 3.2 and 3.3 are those of its formula with these parameters and the last
// of them as "factor"; then the formula is exact where the stored floats are not.
std::optional<Json> as_llama3(const std::vector<float>& factors, double theta, int64_t head_size) {
  constexpr double kLow = 1.0, kHigh = 4.0, kContext = 8192.0;
  const double factor = double{factors.back()};
  if (static_cast<int64_t>(factors.size()) * 2 != head_size || factor <= 1.0) return std::nullopt;
  for (size_t i = 0; i < factors.size(); ++i) {
    const double frequency =
        std::pow(theta, -2.0 * static_cast<double>(i) / static_cast<double>(head_size));
    const double wavelength = 2.0 * std::numbers::pi / frequency;
    double want = 1.0;
    if (wavelength > kContext / kLow) {
      want = factor;
    } else if (wavelength >= kContext / kHigh) {
      const double smooth = (kContext / wavelength - kLow) / (kHigh - kLow);
      want = 1.0 / ((1.0 - smooth) / factor + smooth);
    }
    if (std::fabs(double{factors[i]} - want) > 1e-4 * want) return std::nullopt;
  }
  return Json{{"rope_type", "llama3"},
              {"factor", factor},
              {"low_freq_factor", kLow},
              {"high_freq_factor", kHigh},
              {"original_max_position_embeddings", static_cast<int64_t>(kContext)}};
}

void add_rope(Keys& keys, const GgufArchitecture& architecture, const Sizes& sizes, Json& config) {
  const double default_theta = architecture.name == "gemma3" ? 1e6 : 1e4;
  const double theta = keys.real("rope.freq_base").value_or(default_theta);
  config["rope_theta"] = theta;
  const int64_t turning = keys.count("rope.dimension_count").value_or(sizes.head_size);
  if (turning < sizes.head_size) {
    config["partial_rotary_factor"] =
        static_cast<double>(turning) / static_cast<double>(sizes.head_size);
  }
  const int64_t original =
      keys.count("rope.scaling.original_context_length").value_or(sizes.context);
  const std::vector<float> factors = keys.vector("rope_freqs.weight", turning);
  const std::vector<float> long_factors = keys.vector("rope_factors_long.weight", turning);
  const std::vector<float> short_factors = keys.vector("rope_factors_short.weight", turning);
  const std::string type = keys.text("rope.scaling.type").value_or("none");
  const double factor = keys.real("rope.scaling.factor").value_or(1.0);
  const auto attention_factor = keys.real("rope.scaling.attn_factor");
  if (!long_factors.empty() && !short_factors.empty()) {
    config["original_max_position_embeddings"] = original;
    config["rope_scaling"] = {
        {"rope_type", "longrope"}, {"short_factor", short_factors}, {"long_factor", long_factors}};
    if (attention_factor) config["rope_scaling"]["attention_factor"] = *attention_factor;
  } else if (!factors.empty()) {
    config["rope_scaling"] = as_llama3(factors, theta, turning)
                                 .value_or(Json{{"rope_type", "longrope"},
                                                {"short_factor", factors},
                                                {"long_factor", factors},
                                                {"attention_factor", 1.0},
                                                {"original_max_position_embeddings", original}});
  } else if (type == "linear" && factor != 1.0) {
    config["rope_scaling"] = {{"rope_type", "linear"}, {"factor", factor}};
  } else if (type == "yarn") {
    config["rope_scaling"] = {
        {"rope_type", "yarn"},
        {"factor", factor},
        {"original_max_position_embeddings", original},
        {"beta_fast", keys.real("rope.scaling.yarn_beta_fast").value_or(32.0)},
        {"beta_slow", keys.real("rope.scaling.yarn_beta_slow").value_or(1.0)}};
    if (architecture.name == "gpt-oss") config["rope_scaling"]["truncate"] = false;
    if (attention_factor) {
      config["rope_scaling"]["attention_factor"] =
          gguf_yarn_attention_factor(factor) * *attention_factor;
    }
  } else if (type != "none" && type != "linear") {
    keys.fail(Error{ErrorCode::kUnsupported,
                    fmt::format("{}: metadata \"{}\": \"{}\" without its factors", keys.path(),
                                keys.full("rope.scaling.type"), type.substr(0, 80))});
  }
}

// Copies a number when it is there.
void copy_real(Keys& keys, const char* from, Json& config, const char* to) {
  const auto value = keys.real(from);
  if (value) config[to] = *value;
}
void copy_count(Keys& keys, const char* from, Json& config, const char* to) {
  const auto value = keys.count(from);
  if (value) config[to] = *value;
}

// "attention.sliding_window": 0 says that there is none.
void add_window(Keys& keys, Json& config) {
  const auto window = keys.count("attention.sliding_window", kMaxCount, 0);
  if (window.value_or(0) > 0) config["sliding_window"] = *window;
}

// Gemma's layers with a window: all but each n-th, or as an array says; none without a window.
void add_window_pattern(Keys& keys, const Sizes& sizes, int64_t full_every, Json& config) {
  const std::string name = keys.full("attention.sliding_window_pattern");
  const GgufEntry* entry = keys.file().find(name);
  std::vector<int64_t> flags;
  if (entry != nullptr && entry->type == GgufType::kArray) {
    const auto values = keys.file().integers(name, kMaxLayers);
    if (!values.ok()) return keys.fail(values.error());
    if (values->size() < static_cast<size_t>(sizes.layers)) {
      return keys.fail(
          invalid_argument(fmt::format("{}: metadata \"{}\": {} layers, wanted {}", keys.path(),
                                       name, values->size(), sizes.layers)));
    }
    flags = *values;
  } else {
    full_every = keys.count("attention.sliding_window_pattern").value_or(full_every);
  }
  Json types = Json::array();
  for (int64_t l = 0; l < sizes.layers; ++l) {
    const bool sliding =
        flags.empty() ? (l + 1) % full_every != 0 : flags[static_cast<size_t>(l)] != 0;
    const bool has_window = config.contains("sliding_window");
    types.push_back(sliding && has_window ? "sliding_attention" : "full_attention");
  }
  config["layer_types"] = types;
}

// Gemma scales queries by head size, except in the largest model of each generation
// (llama.cpp, llama-model.cpp: LLM_ARCH_GEMMA2, LLM_ARCH_GEMMA3).
void add_gemma(Keys& keys, const Sizes& sizes, int64_t largest_layers, int64_t full_every,
               Json& config) {
  config["hidden_activation"] = "gelu_pytorch_tanh";
  config["query_pre_attn_scalar"] =
      sizes.layers == largest_layers ? sizes.hidden / sizes.heads : sizes.head_size;
  add_window(keys, config);
  add_window_pattern(keys, sizes, full_every, config);
  copy_real(keys, "attn_logit_softcapping", config, "attn_logit_softcapping");
  copy_real(keys, "final_logit_softcapping", config, "final_logit_softcapping");
}

void add_family(Keys& keys, const GgufArchitecture& architecture, const Sizes& sizes,
                Json& config) {
  const std::string_view type = architecture.model_type;
  if (type == "gemma2") {
    config["sliding_window"] = 4096;  // what llama.cpp takes when the file has none
    add_gemma(keys, sizes, 46, 2, config);
  }
  if (type == "gemma3_text") {
    add_gemma(keys, sizes, 62, 6, config);
    config["rope_local_base_freq"] = keys.real("rope.freq_base_swa").value_or(1e4);
  }
  if (type == "phi3") add_window(keys, config);
  if (type == "granite") {
    copy_real(keys, "attention.scale", config, "attention_multiplier");
    copy_real(keys, "embedding_scale", config, "embedding_multiplier");
    copy_real(keys, "residual_scale", config, "residual_multiplier");
    copy_real(keys, "logit_scale", config, "logits_scaling");
  }
  if (type == "mixtral" || type == "gpt_oss") {
    config["num_local_experts"] = keys.required("expert_count");
    config["num_experts_per_tok"] = keys.required("expert_used_count");
  }
  if (type == "gpt_oss") {
    copy_count(keys, "expert_feed_forward_length", config, "intermediate_size");
    copy_count(keys, "attention.sliding_window", config, "sliding_window");
  }
  if (type == "qwen3_moe") {
    config["num_experts"] = keys.required("expert_count");
    config["num_experts_per_tok"] = keys.required("expert_used_count");
    config["moe_intermediate_size"] = keys.required("expert_feed_forward_length");
    config["norm_topk_prob"] = true;
    config["decoder_sparse_step"] = 1;
    config["mlp_only_layers"] = Json::array();
  }
}

// The ids that end a text: of the text and of a turn.
void add_token_ids(Keys& keys, int64_t vocab_size, Json& config) {
  const auto id_of = [&](const char* key) -> std::optional<int64_t> {
    const auto id = keys.file().integer(key, -1, UINT32_MAX);
    if (!id.ok()) keys.fail(id.error());
    if (!id.ok() || !*id || **id < 0 || **id >= vocab_size) return std::nullopt;
    return **id;
  };
  if (const auto bos = id_of("tokenizer.ggml.bos_token_id")) config["bos_token_id"] = *bos;
  Json ends = Json::array();
  for (const char* key : {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
                          "tokenizer.ggml.eom_token_id"}) {
    const auto id = id_of(key);
    if (id && std::ranges::find(ends, Json(*id)) == ends.end()) ends.push_back(*id);
  }
  if (!ends.empty()) config["eos_token_id"] = ends;
}

Json make_config(Keys& keys, const GgufArchitecture& architecture, const Sizes& sizes) {
  Json config = {{"architectures", {architecture.architecture}},
                 {"model_type", architecture.model_type},
                 {"hidden_size", sizes.hidden},
                 {"num_hidden_layers", sizes.layers},
                 {"num_attention_heads", sizes.heads},
                 {"num_key_value_heads", sizes.kv_heads},
                 {"head_dim", sizes.head_size},
                 {"max_position_embeddings", sizes.context}};
  if (const auto ffn = keys.count("feed_forward_length")) config["intermediate_size"] = *ffn;
  config["rms_norm_eps"] = keys.real("attention.layer_norm_rms_epsilon").value_or(1e-5);
  const GgufTensor* embedding = keys.tensor("token_embd.weight");
  if (embedding == nullptr || embedding->shape.rank() != 2) {
    keys.fail(invalid_argument(fmt::format("{}: no matrix token_embd.weight", keys.path())));
    return config;
  }
  config["vocab_size"] = embedding->shape[0];
  config["tie_word_embeddings"] = keys.tensor("output.weight") == nullptr;
  config["attention_bias"] = keys.tensor("blk.0.attn_q.bias") != nullptr;
  config["mlp_bias"] = keys.tensor("blk.0.ffn_gate.bias") != nullptr;
  add_rope(keys, architecture, sizes, config);
  add_family(keys, architecture, sizes, config);
  add_token_ids(keys, embedding->shape[0], config);
  return config;
}

// The keys that `pagoda quantize` writes beside the config.json they come from.
struct KeyPair {
  const char* gguf;
  const char* config;
};
constexpr KeyPair kCounts[] = {{"block_count", "num_hidden_layers"},
                               {"context_length", "max_position_embeddings"},
                               {"embedding_length", "hidden_size"},
                               {"feed_forward_length", "intermediate_size"},
                               {"attention.head_count", "num_attention_heads"},
                               {"attention.head_count_kv", "num_key_value_heads"},
                               {"attention.key_length", "head_dim"},
                               {"vocab_size", "vocab_size"},
                               {"expert_count", "num_local_experts"},
                               {"expert_count", "num_experts"},
                               {"expert_used_count", "num_experts_per_tok"},
                               {"expert_feed_forward_length", "moe_intermediate_size"}};
constexpr KeyPair kReals[] = {{"attention.layer_norm_rms_epsilon", "rms_norm_eps"},
                              {"rope.freq_base", "rope_theta"}};

// A file edited in one of the two spellings is not the model of either. What is no number in the
// config.json is left to its parser.
Result<void> check_own_config(Keys& keys, const std::string& own) {
  const auto parsed = parse_json(own, {.max_bytes = size_t{1} << 20});
  if (!parsed.ok() || !parsed->is_object()) return {};
  const auto text = parsed->find("text_config");
  const Json& config = text != parsed->end() && text->is_object() ? *text : *parsed;
  const auto contradicts = [&](const KeyPair& pair, double value) {
    return invalid_argument(fmt::format(
        "{}: metadata \"{}\" is {}, but \"{}\" in \"{}\" is {}", keys.path(), keys.full(pair.gguf),
        value, pair.config, kGgufConfigKey, dump_json(config[pair.config]).substr(0, 80)));
  };
  // Where a newer spelling is there too, the older one is not looked at.
  const auto superseded = [&](std::string_view key) {
    return (key == "num_experts" && config.contains("num_local_experts")) ||
           (key == "rope_theta" && config.contains("rope_parameters"));
  };
  for (const KeyPair& pair : kCounts) {
    if (superseded(pair.config)) continue;
    const auto theirs = config.find(pair.config);
    if (theirs == config.end() || !theirs->is_number()) continue;
    const auto value = keys.count(pair.gguf);
    RETURN_IF_ERROR(keys.status());
    if (value && *theirs != Json(*value)) return contradicts(pair, static_cast<double>(*value));
  }
  for (const KeyPair& pair : kReals) {
    if (superseded(pair.config)) continue;
    const auto theirs = config.find(pair.config);
    if (theirs == config.end() || !theirs->is_number()) continue;
    const auto value = keys.real(pair.gguf);
    RETURN_IF_ERROR(keys.status());
    // The file has it in f32.
    const double wanted = theirs->get<double>();
    if (value && !(std::fabs(*value - wanted) <= 1e-6 * std::fabs(wanted))) {
      return contradicts(pair, *value);
    }
  }
  return {};
}

}  // namespace

double gguf_yarn_attention_factor(double factor) {
  return factor <= 1.0 ? 1.0 : 0.1 * std::log(factor) + 1.0;
}

Result<GgufConfig> read_gguf_config(std::span<const GgufFile> files, bool take_own) {
  CHECK(!files.empty());
  const GgufFile& first = files[0];
  ASSIGN_OR_RETURN(const auto name, first.text("general.architecture"));
  if (!name) {
    return invalid_argument(first.path() + ": no metadata \"general.architecture\"");
  }
  ASSIGN_OR_RETURN(const auto num_experts, first.integer(*name + ".expert_count", 0, kMaxCount));
  const bool has_experts = num_experts.value_or(0) > 0;
  auto found = find_gguf_architecture(*name, has_experts);
  if (!found.ok()) return Error{found.error().code, first.path() + ": " + found.error().message};
  GgufConfig result;
  result.architecture = *found;
  Keys keys(files, result.architecture->name);
  Sizes sizes;
  sizes.layers = keys.required("block_count", kMaxLayers);
  sizes.hidden = keys.required("embedding_length");
  sizes.heads = keys.required("attention.head_count");
  sizes.kv_heads = keys.count("attention.head_count_kv").value_or(sizes.heads);
  sizes.head_size = keys.count("attention.key_length").value_or(sizes.hidden / sizes.heads);
  sizes.context = keys.required("context_length");
  result.num_heads = sizes.heads;
  result.num_kv_heads = sizes.kv_heads;
  ASSIGN_OR_RETURN(const auto own, first.text(kGgufConfigKey));
  if (own && take_own) {
    RETURN_IF_ERROR(keys.status());
    RETURN_IF_ERROR(check_own_config(keys, *own));
    result.json = *own;
  } else {
    result.json = dump_json(make_config(keys, *result.architecture, sizes));
  }
  RETURN_IF_ERROR(keys.status());
  return result;
}

}  // namespace pagoda
