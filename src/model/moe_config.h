// The keys of mixture-of-experts families in config.json.
#pragma once

#include "model/config_fields.h"
#include "model/model_config.h"

namespace pagoda {

// Each reads what config.json says of a family's experts: how many there are and how many a token
// gets, in which layers, and how they are weighed. Both names of the number are taken,
// "num_local_experts" and "num_experts". Failures are kept in `fields`.
void read_mixtral_experts(Fields& fields, ModelConfig& config);
// "mlp_only_layers" and "decoder_sparse_step" tell the layers; "norm_topk_prob" the factors.
void read_qwen3_experts(Fields& fields, ModelConfig& config);
// With biases, the clamped activation and attention sinks.
void read_gpt_oss_experts(Fields& fields, ModelConfig& config);

}  // namespace pagoda
