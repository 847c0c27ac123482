// Reading rotary parameters.
#include "model/rope_config.h"

#include <cmath>
#include <string>

#include "model/config_fields.h"
#include "model/rope.h"

namespace pagoda {
namespace {

double yarn_scale(double factor, double mscale) {
  return factor <= 1.0 ? 1.0 : 0.1 * mscale * std::log(factor) + 1.0;
}

// Transformers, modeling_rope_utils.py, _compute_yarn_parameters().
void read_yarn(Fields& fields, RopeConfig& rope, double context_ratio) {
  rope.type = RopeType::kYarn;
  rope.factor = fields.real("factor", 1.0, 1e6, context_ratio);
  rope.beta_fast = fields.real("beta_fast", 1e-3, 1e6, 32.0);
  rope.beta_slow = fields.real("beta_slow", 1e-3, 1e6, 1.0);
  rope.truncate = fields.flag("truncate", true);
  const double mscale = fields.real("mscale", 0.0, 1e3, 0.0);
  const double mscale_all = fields.real("mscale_all_dim", 0.0, 1e3, 0.0);
  const double implied = mscale > 0.0 && mscale_all > 0.0
                             ? yarn_scale(rope.factor, mscale) / yarn_scale(rope.factor, mscale_all)
                             : yarn_scale(rope.factor, 1.0);
  rope.attention_factor = fields.real("attention_factor", 1e-3, 1e3, implied);
  if (rope.theta <= 1.0) fields.fail(invalid_argument("config.json: yarn needs a theta above 1"));
}

// Transformers, modeling_rope_utils.py, _compute_longrope_parameters().
void read_longrope(Fields& fields, RopeConfig& rope, double context_ratio,
                   const ModelConfig& config) {
  rope.type = RopeType::kLongRope;
  const double factor = fields.real("factor", 1e-3, 1e6, context_ratio);
  const double original = rope.original_max_position_embeddings;
  const double implied = factor <= 1.0 || original <= 1.0
                             ? 1.0
                             : std::sqrt(1.0 + std::log(factor) / std::log(original));
  rope.attention_factor = fields.real("attention_factor", 1e-3, 1e3, implied);
  const auto length = static_cast<size_t>(rotary_size(rope, config.head_size) / 2);
  rope.short_factors = fields.reals("short_factor", length, 1e-6, 1e6);
  rope.long_factors = fields.reals("long_factor", length, 1e-6, 1e6);
  rope.longest_sequence = config.max_position_embeddings;
}

void read_llama3(Fields& fields, RopeConfig& rope) {
  rope.type = RopeType::kLlama3;
  rope.factor = fields.real("factor", 1.0, 1e6);
  rope.low_freq_factor = fields.real("low_freq_factor", 1e-6, 1e6);
  rope.high_freq_factor = fields.real("high_freq_factor", 1e-6, 1e6);
  if (rope.high_freq_factor <= rope.low_freq_factor) {
    fields.fail(
        invalid_argument(fmt::format("config.json: \"high_freq_factor\" is {}, wanted more than "
                                     "\"low_freq_factor\", which is {}",
                                     rope.high_freq_factor, rope.low_freq_factor)));
  }
}

std::string rope_type(Fields& fields, const ModelConfig& config) {
  const std::string type = fields.text("rope_type", fields.text("type", "default"));
  // Two names that the first Phi-3 files had for it.
  const bool old_name = type == "su" || type == "yarn";
  return old_name && config.architecture == "Phi3ForCausalLM" ? "longrope" : type;
}

// One set of parameters. What `parameters` lacks is looked for beside it, in `keys`, where
// Transformers 4 had it.
Result<RopeConfig> parse_rope(const Json& parameters, const Json& keys, const char* theta_key,
                              const ModelConfig& config) {
  Fields outer(keys);
  Fields fields(parameters);
  RopeConfig rope;
  rope.theta = fields.real("rope_theta", 1.0, 1e12, outer.real(theta_key, 1.0, 1e12, 10000.0));
  rope.rotary_factor = fields.real("partial_rotary_factor", 1e-3, 1.0,
                                   outer.real("partial_rotary_factor", 1e-3, 1.0, 1.0));
  rope.original_max_position_embeddings =
      fields.count("original_max_position_embeddings", 1, kMaxPositions,
                   outer.count("original_max_position_embeddings", 1, kMaxPositions,
                               config.max_position_embeddings));
  const double context_ratio =
      static_cast<double>(config.max_position_embeddings) / rope.original_max_position_embeddings;
  const std::string type = rope_type(fields, config);
  RETURN_IF_ERROR(outer.status());
  RETURN_IF_ERROR(fields.status());
  const int32_t turning = rotary_size(rope, config.head_size);
  if (turning < 2 || turning % 2 != 0) {
    return invalid_argument(fmt::format(
        "config.json: \"partial_rotary_factor\" {} turns {} of {} elements, wanted an even number",
        rope.rotary_factor, turning, config.head_size));
  }
  if (type == "linear") {
    rope.type = RopeType::kLinear;
    rope.factor = fields.real("factor", 1.0, 1e6);
  } else if (type == "llama3") {
    read_llama3(fields, rope);
  } else if (type == "yarn") {
    read_yarn(fields, rope, context_ratio);
  } else if (type == "longrope") {
    read_longrope(fields, rope, context_ratio, config);
  } else if (type != "default") {
    return unsupported(
        fmt::format("rope type \"{}\"; supported are default, linear, llama3, yarn and longrope",
                    type.substr(0, 80)));
  }
  RETURN_IF_ERROR(fields.status());
  return rope;
}

// The member as an object, empty where there is none.
Result<Json> object_at(const Json& keys, const char* key) {
  const Json* value = member(keys, key);
  if (value == nullptr) return Json::object();
  if (!value->is_object()) return bad_value(key, *value, "an object");
  return *value;
}

}  // namespace

Result<void> read_rope(const Json& keys, ModelConfig& config) {
  // Transformers 5 has one object for all, or one for each layer type; before, the base stood
  // outside and the rest in rope_scaling, null for the plain kind.
  const bool version5 = member(keys, "rope_parameters") != nullptr;
  ASSIGN_OR_RETURN(Json all, object_at(keys, version5 ? "rope_parameters" : "rope_scaling"));
  const bool by_layer_type = all.contains("full_attention") || all.contains("sliding_attention");
  const Json sliding = all.value("sliding_attention", Json::object());
  if (by_layer_type) all = all.value("full_attention", Json::object());
  if (!all.is_object()) return bad_value("full_attention", all, "an object");
  if (!sliding.is_object()) return bad_value("sliding_attention", sliding, "an object");
  ASSIGN_OR_RETURN(config.rope, parse_rope(all, keys, "rope_theta", config));
  if (by_layer_type || member(keys, "rope_local_base_freq") != nullptr) {
    ASSIGN_OR_RETURN(config.sliding_rope,
                     parse_rope(sliding, keys, "rope_local_base_freq", config));
  }
  return {};
}

}  // namespace pagoda
