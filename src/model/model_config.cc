// Reading config.json; every value comes from outside and is checked.
#include "model/model_config.h"

#include <fmt/core.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "base/json.h"

namespace pagoda {
namespace {

Error bad_value(std::string_view key, const Json& value, std::string_view wanted) {
  return invalid_argument(fmt::format("config.json: \"{}\" is {}, wanted {}", key,
                                      dump_json(value).substr(0, 80), wanted));
}

Error unsupported(std::string message) {
  return {ErrorCode::kUnsupported, "config.json: " + std::move(message)};
}

// The member, or null where it is absent or JSON null, which Transformers takes as absent.
const Json* member(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

// Reads numbers of one object. The first failure is kept and later reads change nothing, so that a
// list of fields reads as a list.
class Fields {
 public:
  explicit Fields(const Json& object) : object_(object) {}

  // A whole number in [low, high]. Without `fallback` the key must be there.
  int32_t count(const char* key, int32_t low, int32_t high,
                std::optional<int32_t> fallback = std::nullopt) {
    const Json* value = member(object_, key);
    if (value == nullptr) {
      if (!fallback) fail(invalid_argument(fmt::format("config.json: no \"{}\"", key)));
      return fallback.value_or(low);
    }
    const std::string wanted = fmt::format("a whole number in [{}, {}]", low, high);
    if (!value->is_number_integer()) return fail(bad_value(key, *value, wanted)), low;
    const bool huge =
        value->is_number_unsigned() && value->get<uint64_t>() > static_cast<uint64_t>(INT64_MAX);
    const int64_t number = huge ? INT64_MAX : value->get<int64_t>();
    if (number < low || number > high) return fail(bad_value(key, *value, wanted)), low;
    return static_cast<int32_t>(number);
  }

  // A finite number in [low, high].
  double real(const char* key, double low, double high,
              std::optional<double> fallback = std::nullopt) {
    const Json* value = member(object_, key);
    if (value == nullptr) {
      if (!fallback) fail(invalid_argument(fmt::format("config.json: no \"{}\"", key)));
      return fallback.value_or(low);
    }
    const std::string wanted = fmt::format("a number in [{}, {}]", low, high);
    if (!value->is_number()) return fail(bad_value(key, *value, wanted)), low;
    const double number = value->get<double>();
    if (!(number >= low && number <= high)) return fail(bad_value(key, *value, wanted)), low;
    return number;
  }

  bool flag(const char* key, bool fallback) {
    const Json* value = member(object_, key);
    if (value == nullptr) return fallback;
    if (!value->is_boolean()) return fail(bad_value(key, *value, "true or false")), fallback;
    return value->get<bool>();
  }

  std::string text(const char* key, std::string fallback) {
    const Json* value = member(object_, key);
    if (value == nullptr) return fallback;
    if (!value->is_string()) return fail(bad_value(key, *value, "a string")), fallback;
    return value->get<std::string>();
  }

  void fail(Error error) {
    if (!error_) error_ = std::move(error);
  }
  Result<void> status() const { return error_ ? Result<void>(*error_) : Result<void>(); }

 private:
  const Json& object_;
  std::optional<Error> error_;
};

constexpr int32_t kMaxPositions = 1 << 24;

Result<RopeConfig> parse_rope(const Json& root, int32_t max_positions) {
  static const Json kEmpty = Json::object();
  // Transformers 5 has one object for all; before, the base stood outside and the rest in
  // rope_scaling, null for the plain kind.
  const Json* parameters = member(root, "rope_parameters");
  const Json* scaling = parameters != nullptr ? parameters : member(root, "rope_scaling");
  if (scaling != nullptr && !scaling->is_object()) {
    return bad_value(parameters != nullptr ? "rope_parameters" : "rope_scaling", *scaling,
                     "an object");
  }
  Fields outer(root);
  Fields fields(scaling != nullptr ? *scaling : kEmpty);
  if (fields.real("partial_rotary_factor", 0.0, 1.0, 1.0) != 1.0) {
    return unsupported("\"partial_rotary_factor\": heads that turn in part");
  }
  RopeConfig rope;
  const double outer_theta = outer.real("rope_theta", 1.0, 1e12, 10000.0);
  rope.theta = fields.real("rope_theta", 1.0, 1e12, outer_theta);
  const std::string type = fields.text("rope_type", fields.text("type", "default"));
  if (type == "linear") {
    rope.type = RopeType::kLinear;
    rope.factor = fields.real("factor", 1.0, 1e6);
  } else if (type == "llama3") {
    rope.type = RopeType::kLlama3;
    rope.factor = fields.real("factor", 1.0, 1e6);
    rope.low_freq_factor = fields.real("low_freq_factor", 1e-6, 1e6);
    rope.high_freq_factor = fields.real("high_freq_factor", 1e-6, 1e6);
    rope.original_max_position_embeddings =
        fields.count("original_max_position_embeddings", 1, kMaxPositions, max_positions);
    if (rope.high_freq_factor <= rope.low_freq_factor) {
      fields.fail(
          invalid_argument(fmt::format("config.json: \"high_freq_factor\" is {}, wanted more than "
                                       "\"low_freq_factor\", which is {}",
                                       rope.high_freq_factor, rope.low_freq_factor)));
    }
  } else if (type != "default") {
    RETURN_IF_ERROR(fields.status());
    return unsupported(fmt::format("rope type \"{}\"; supported are default, linear and llama3",
                                   type.substr(0, 80)));
  }
  RETURN_IF_ERROR(outer.status());
  RETURN_IF_ERROR(fields.status());
  return rope;
}

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

}  // namespace

Result<ModelConfig> parse_model_config(std::string_view json) {
  auto parsed = parse_json(json, {.max_bytes = size_t{1} << 20});
  if (!parsed) return Error{parsed.error().code, "config.json: " + parsed.error().message};
  const Json root = std::move(parsed).value();
  if (!root.is_object()) return invalid_argument("config.json: not a JSON object");

  ModelConfig config;
  ASSIGN_OR_RETURN(config.architecture, parse_architecture(root));
  // The limits are several times those of the largest published models, and low enough for every
  // product that is taken of them.
  Fields fields(root);
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
  config.mlp_bias = fields.flag("mlp_bias", false);
  config.bos_token_id = fields.count("bos_token_id", -1, 1 << 22, -1);
  const std::string activation = fields.text("hidden_act", "silu");
  RETURN_IF_ERROR(fields.status());

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
  if (activation != "silu") {
    return unsupported(
        fmt::format("hidden_act \"{}\"; supported is silu", activation.substr(0, 80)));
  }
  if (member(root, "quantization_config") != nullptr) {
    return unsupported("\"quantization_config\": checkpoints that are already quantized");
  }
  ASSIGN_OR_RETURN(config.rope, parse_rope(root, config.max_position_embeddings));
  ASSIGN_OR_RETURN(config.eos_token_ids, parse_eos(root, config.vocab_size));
  return config;
}

}  // namespace pagoda
