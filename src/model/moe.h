// Mixture of experts behind attention: Mixtral, Qwen3 MoE and gpt-oss.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "model/layers.h"
#include "model/model.h"
#include "model/weights.h"

namespace pagoda {

// A router's choice of experts for each row, and the experts. Jiang et al., Mixtral of Experts
// (2024); the other families by their model code in Transformers.
class MixtureOfExperts final : public FeedForward {
 public:
  // The experts as stacks [X, Out, In], wherever a checkpoint keeps them: as such stacks (GGUF), a
  // tensor each under Mixtral's or Qwen3's names, or fused (Transformers 5, gpt-oss).
  static void add_specs(std::vector<WeightSpec>& specs, const ModelConfig& config, int32_t layer);
  MixtureOfExperts(const ModelConfig& config, int32_t layer, const LoadedWeights& weights);
  Tensor forward(Ops& ops, const Tensor& h) const override;

 private:
  Linear router_;                              // [X, E], in f32: its sums decide
  WeightPtr gate_, up_, down_;                 // [X, F, E], [X, F, E], [X, E, F]
  WeightPtr gate_bias_, up_bias_, down_bias_;  // [X * F], [X * F], [X * E], or null
  MoeParams params_;
};

// The decoder with experts in the layers that the config names, and GatedMlp in the others.
std::vector<WeightSpec> moe_weight_specs(const ModelConfig& config);
// REQUIRES: `weights` holds all of moe_weight_specs(config).
std::unique_ptr<Model> make_moe(const ModelConfig& config, const LoadedWeights& weights);

}  // namespace pagoda
