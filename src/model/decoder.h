// Decoder: the layer loop that all families of this engine share.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "model/layers.h"
#include "model/model.h"
#include "model/weights.h"

namespace pagoda {

// What stands behind attention in each layer: its parameters, and the part made from them.
struct FeedForwardKind {
  void (*add_specs)(std::vector<WeightSpec>& specs, const ModelConfig& config, int32_t layer);
  std::unique_ptr<FeedForward> (*make)(const ModelConfig& config, int32_t layer,
                                       const LoadedWeights& weights);
};

// Parameter names and shapes in Hugging Face's layout.
std::vector<WeightSpec> decoder_weight_specs(const ModelConfig& config,
                                             const FeedForwardKind& feed_forward);

// The pre-norm decoder of Llama (Touvron et al., 2023) and, by the switches of the config, of those
// that came after it: norms behind each block, factors of embeddings, blocks and logits, caps.
// REQUIRES: `weights` holds all of decoder_weight_specs(config, feed_forward).
std::unique_ptr<Model> make_decoder(const ModelConfig& config, const LoadedWeights& weights,
                                    const FeedForwardKind& feed_forward);

// With GatedMlp: every dense family.
std::vector<WeightSpec> dense_weight_specs(const ModelConfig& config);
std::unique_ptr<Model> make_dense(const ModelConfig& config, const LoadedWeights& weights);

}  // namespace pagoda
