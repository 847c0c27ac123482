// Reading config.json; every value comes from outside and is checked.
#include "model/model_config.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "base/json.h"
#include "model/config_fields.h"
#include "model/family_config.h"
#include "model/rope_config.h"

namespace pagoda {
namespace {

// "eos_token_id" is a number or a list of numbers.
Result<std::vector<int32_t>> parse_eos(const Json& root, int32_t vocab_size) {
  constexpr size_t kMaxEosTokens = 64;
  std::vector<int32_t> ids;
  const Json* value = member(root, "eos_token_id");
  if (value == nullptr) return ids;
  const std::string wanted =
      fmt::format("a token id below {} or a list of at most {}", vocab_size, kMaxEosTokens);
  const auto add = [&](const Json& id) {
    if (!id.is_number_unsigned() || id.get<uint64_t>() >= static_cast<uint64_t>(vocab_size)) {
      return false;
    }
    ids.push_back(id.get<int32_t>());
    return true;
  };
  if (!value->is_array()) {
    if (!add(*value)) return bad_value("eos_token_id", *value, wanted);
    return ids;
  }
  if (value->size() > kMaxEosTokens) return bad_value("eos_token_id", *value, wanted);
  for (const Json& id : *value) {
    if (!add(id)) return bad_value("eos_token_id", *value, wanted);
  }
  return ids;
}

Result<std::string> parse_architecture(const Json& root) {
  const Json* names = member(root, "architectures");
  if (names == nullptr) return invalid_argument("config.json: no \"architectures\"");
  if (!names->is_array() || names->size() != 1 || !(*names)[0].is_string()) {
    return bad_value("architectures", *names, "a list of one name");
  }
  return (*names)[0].get<std::string>();
}

// The object with the language model's keys: that of a multimodal model stands in "text_config".
// What is absent comes from the family.
Json text_model_keys(const Json& root, const std::string& architecture) {
  Json keys = family_defaults(architecture);
  const Json* text = member(root, "text_config");
  const auto copy = [&keys](const Json& from) {
    for (const auto& [key, value] : from.items()) keys[key] = value;
  };
  if (text == nullptr || !text->is_object()) {
    copy(root);
    return keys;
  }
  copy(*text);
  for (const char* key : {"eos_token_id", "bos_token_id", "quantization_config"}) {
    if (member(root, key) != nullptr) keys[key] = root[key];
  }
  return keys;
}

Result<void> read_activation(Fields& fields, ModelConfig& config) {
  const std::string key = fields.has("hidden_activation") ? "hidden_activation" : "hidden_act";
  const std::string name = fields.text(key.c_str(), "silu");
  RETURN_IF_ERROR(fields.status());
  if (name == "silu" || name == "swish") {
    config.activation = Activation::kSilu;
  } else if (name == "gelu_pytorch_tanh" || name == "gelu_new") {
    config.activation = Activation::kGeluTanh;
  } else {
    return unsupported(fmt::format("{} \"{}\"; supported are silu and gelu_pytorch_tanh", key,
                                   name.substr(0, 80)));
  }
  return {};
}

// The limits are several times those of the largest published models, and low enough for every
// product that is taken of them.
void read_sizes(Fields& fields, ModelConfig& config) {
  config.vocab_size = fields.count("vocab_size", 1, 1 << 22);
  config.hidden_size = fields.count("hidden_size", 1, 1 << 16);
  config.num_layers = fields.count("num_hidden_layers", 1, 1024);
  config.num_heads = fields.count("num_attention_heads", 1, 1024);
  config.num_kv_heads = fields.count("num_key_value_heads", 1, 1024, config.num_heads);
  config.head_size = fields.count("head_dim", 2, 1024, config.hidden_size / config.num_heads);
  config.intermediate_size = fields.count("intermediate_size", 1, 1 << 20);
  config.max_position_embeddings = fields.count("max_position_embeddings", 1, kMaxPositions);
  config.rms_norm_eps = static_cast<float>(fields.real("rms_norm_eps", 1e-30, 1.0, 1e-6));
  config.tie_word_embeddings = fields.flag("tie_word_embeddings", false);
  config.attention_bias = fields.flag("attention_bias", false);
  config.output_bias = config.attention_bias;
  config.mlp_bias = fields.flag("mlp_bias", false);
  config.bos_token_id = fields.count("bos_token_id", -1, 1 << 22, -1);
}

Result<void> check_sizes(const ModelConfig& config) {
  if (config.num_heads % config.num_kv_heads != 0) {
    return invalid_argument(
        fmt::format("config.json: \"num_attention_heads\" {} is no multiple of "
                    "\"num_key_value_heads\" {}",
                    config.num_heads, config.num_kv_heads));
  }
  if (config.head_size < 2 || config.head_size % 2 != 0) {
    return invalid_argument(
        fmt::format("config.json: a head size of {} is not even and positive", config.head_size));
  }
  if (config.bos_token_id >= config.vocab_size) {
    return invalid_argument(fmt::format("config.json: \"bos_token_id\" {} is not below {}",
                                        config.bos_token_id, config.vocab_size));
  }
  return {};
}

// Quantized checkpoints are the checkpoint's to read, but for gpt-oss's MXFP4, which that model
// reads by itself (model/moe.h) and alone.
Result<void> check_quantization(const Json& keys, const std::string& architecture) {
  const Json* quantization = member(keys, "quantization_config");
  if (quantization == nullptr) return {};
  const Json* method = quantization->is_object() ? member(*quantization, "quant_method") : nullptr;
  const bool mxfp4 = method != nullptr && *method == "mxfp4";
  if (mxfp4 == (architecture == "GptOssForCausalLM")) return {};
  return unsupported("\"quantization_config\": this method for " + architecture.substr(0, 80));
}

}  // namespace

Result<ModelConfig> parse_model_config(std::string_view json) {
  auto parsed = parse_json(json, {.max_bytes = size_t{1} << 20});
  if (!parsed) return Error{parsed.error().code, "config.json: " + parsed.error().message};
  const Json root = std::move(parsed).value();
  if (!root.is_object()) return invalid_argument("config.json: not a JSON object");

  ModelConfig config;
  ASSIGN_OR_RETURN(config.architecture, parse_architecture(root));
  const Json keys = text_model_keys(root, config.architecture);
  Fields fields(keys);
  read_sizes(fields, config);
  RETURN_IF_ERROR(fields.status());
  RETURN_IF_ERROR(check_sizes(config));
  RETURN_IF_ERROR(read_activation(fields, config));
  RETURN_IF_ERROR(check_quantization(keys, config.architecture));
  config.layers.resize(static_cast<size_t>(config.num_layers));
  read_family(fields, config);
  RETURN_IF_ERROR(fields.status());
  RETURN_IF_ERROR(read_rope(keys, config));
  ASSIGN_OR_RETURN(config.eos_token_ids, parse_eos(keys, config.vocab_size));
  return config;
}

}  // namespace pagoda
