// Experts in config.json.
#include "model/moe_config.h"

#include <algorithm>
#include <vector>

namespace pagoda {
namespace {

// Several times those of the largest published models.
constexpr int32_t kMaxExperts = 4096;

void read_experts(Fields& fields, ModelConfig& config, const char* size_key) {
  MoeConfig& moe = config.moe;
  const char* const count_key =
      fields.has("num_local_experts") ? "num_local_experts" : "num_experts";
  moe.num_experts = fields.count(count_key, 1, kMaxExperts);
  moe.num_chosen = fields.count("num_experts_per_tok", 1, moe.num_experts);
  moe.intermediate_size = fields.count(size_key, 1, 1 << 20);
  for (LayerConfig& layer : config.layers) layer.has_experts = true;
  config.mlp_bias = false;
}

}  // namespace

void read_mixtral_experts(Fields& fields, ModelConfig& config) {
  read_experts(fields, config, "intermediate_size");
}

void read_qwen3_experts(Fields& fields, ModelConfig& config) {
  read_experts(fields, config, "moe_intermediate_size");
  config.moe.renormalise = fields.flag("norm_topk_prob", false);
  const int32_t step = fields.count("decoder_sparse_step", 1, 1 << 20, 1);
  for (int32_t l = 0; l < config.num_layers; ++l) {
    config.layers[static_cast<size_t>(l)].has_experts = (l + 1) % step == 0;
  }
  const Json* dense = member(fields.object(), "mlp_only_layers");
  if (dense == nullptr) return;
  const auto wanted = fmt::format("a list of layers below {}", config.num_layers);
  if (!dense->is_array()) return fields.fail(bad_value("mlp_only_layers", *dense, wanted));
  for (const Json& item : *dense) {
    if (!item.is_number_unsigned() ||
        item.get<uint64_t>() >= static_cast<uint64_t>(config.num_layers)) {
      return fields.fail(bad_value("mlp_only_layers", item, wanted));
    }
    config.layers[item.get<size_t>()].has_experts = false;
  }
}

void read_gpt_oss_experts(Fields& fields, ModelConfig& config) {
  read_experts(fields, config, "intermediate_size");
  config.attention_sinks = true;
  config.moe.gpt_oss = true;
  config.moe.swiglu_alpha = fields.positive("swiglu_alpha", 1e-3, 1.702F);
  config.moe.swiglu_limit = fields.positive("swiglu_limit", 1e-3, 7.0F);
}

}  // namespace pagoda
