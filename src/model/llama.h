// Llama: the decoder of the Llama family, versions 2 to 3.3 and those that share its layout.
#pragma once

#include <memory>
#include <vector>

#include "model/model.h"
#include "model/weights.h"

namespace pagoda {

// Parameter names and shapes of LlamaForCausalLM in Hugging Face's layout.
std::vector<WeightSpec> llama_weight_specs(const ModelConfig& config);

// Touvron et al., LLaMA (2023); grouped-query attention of Ainslie et al. (2023). REQUIRES:
// `weights` holds all of llama_weight_specs(config).
std::unique_ptr<Model> make_llama(const ModelConfig& config, const LoadedWeights& weights);

}  // namespace pagoda
