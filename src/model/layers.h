// The parts that decoders are made of: projections, attention, feed-forward.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "backend/kv_cache.h"
#include "model/forward_batch.h"
#include "model/model_config.h"
#include "model/weights.h"

namespace pagoda {

// Each part has a function that appends the names and shapes of its parameters, in Hugging Face's
// layout, and a constructor that takes them. REQUIRES of every constructor: the weights hold all
// that the function of the same part names. Parts are immutable and share the weights.

// "model.layers.3."
std::string layer_prefix(int32_t layer);

struct Linear {
  WeightPtr weight;  // [Out, In]
  WeightPtr bias;    // [Out], or null
};
void add_linear_specs(std::vector<WeightSpec>& specs, const std::string& name, int64_t out,
                      int64_t in, bool has_bias);
Linear take_linear(const LoadedWeights& weights, const std::string& name, bool has_bias);
Tensor add_bias(Ops& ops, const Tensor& x, const WeightPtr& bias);  // x where bias is null
Tensor apply(Ops& ops, const Linear& linear, const Tensor& x);

// The weight of a norm over `size` elements.
WeightSpec norm_spec(const ModelConfig& config, const std::string& name, int64_t size);

// Attention of one layer, with grouped queries (Ainslie et al., GQA, 2023), and where the config
// has them biases, norms of each head, rotary embeddings, a window and a cap on scores.
class SelfAttention {
 public:
  static void add_specs(std::vector<WeightSpec>& specs, const ModelConfig& config, int32_t layer);
  SelfAttention(const ModelConfig& config, int32_t layer, const LoadedWeights& weights);

  // h [T, E], normed. Writes K and V of all T rows into the cache -> [T, H * D].
  Tensor attend(Ops& ops, const Tensor& h, const ForwardBatch& batch, KvCache& cache) const;
  // The output projection, which sees each row alone: [., H * D] -> [., E].
  Tensor project(Ops& ops, const Tensor& attended) const;

 private:
  Linear q_proj_, k_proj_, v_proj_, o_proj_;  // [H * D, E], [K * D, E], [K * D, E], [E, H * D]
  WeightPtr q_norm_, k_norm_;                 // [D], or null
  WeightPtr sinks_;                           // [H], or null; in params_
  float norm_eps_;
  bool has_rope_;
  RopeTable rope_;
  AttentionParams params_;
};

// What a layer does to each row alone, behind attention. Immutable; engine thread only.
class FeedForward {
 public:
  virtual ~FeedForward() = default;
  // h [T, E], normed -> [T, E], a Tensor of its own.
  virtual Tensor forward(Ops& ops, const Tensor& h) const = 0;
};

// down(activation(gate(h)) * up(h)): Shazeer, GLU Variants Improve Transformer (2020).
class GatedMlp final : public FeedForward {
 public:
  static void add_specs(std::vector<WeightSpec>& specs, const ModelConfig& config, int32_t layer);
  GatedMlp(const ModelConfig& config, int32_t layer, const LoadedWeights& weights);
  Tensor forward(Ops& ops, const Tensor& h) const override;

 private:
  Linear gate_proj_, up_proj_, down_proj_;  // [F, E], [F, E], [E, F]
  Activation activation_;
};

}  // namespace pagoda
