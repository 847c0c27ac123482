// The layer loop in Ops.
#include "model/decoder.h"

#include <string>
#include <utility>

namespace pagoda {
namespace {

const char* const kEmbedTokens = "model.embed_tokens";
const char* const kNorm = "model.norm";
const char* const kLmHead = "lm_head";

// Names of a layer's norms: Gemma gave Llama's second one to what stands behind attention.
struct NormNames {
  const char* attention;
  const char* behind_attention;  // null: none
  const char* feed_forward;
  const char* behind_feed_forward;
};
constexpr NormNames kPreNorms = {"input_layernorm", nullptr, "post_attention_layernorm", nullptr};
constexpr NormNames kSandwichNorms = {"input_layernorm", "post_attention_layernorm",
                                      "pre_feedforward_layernorm", "post_feedforward_layernorm"};

const NormNames& norm_names(const ModelConfig& config) {
  return config.sandwich_norms ? kSandwichNorms : kPreNorms;
}

struct Layer {
  WeightPtr attention_norm;  // [E], as all norms
  SelfAttention attention;
  WeightPtr behind_attention;  // null: none
  WeightPtr feed_forward_norm;
  std::unique_ptr<FeedForward> feed_forward;
  WeightPtr behind_feed_forward;  // null: none
};

// x is changed in place.
Tensor scaled(Ops& ops, const Tensor& x, float factor) {
  return factor == 1.0F ? x : ops.scale(x, factor);
}

class Decoder final : public Model {
 public:
  Decoder(const ModelConfig& config, const LoadedWeights& weights,
          const FeedForwardKind& feed_forward);

  const ModelConfig& config() const override { return config_; }
  int64_t weight_bytes() const override { return weight_bytes_; }
  Tensor forward(Ops& ops, const ForwardBatch& batch, KvCache& cache) const override;

 private:
  Tensor add_block(Ops& ops, const Tensor& x, Tensor block, const WeightPtr& norm) const;
  Tensor logits(Ops& ops, const Tensor& x) const;

  ModelConfig config_;
  WeightPtr embed_tokens_;  // [V, E]
  std::vector<Layer> layers_;
  WeightPtr norm_;     // [E]
  WeightPtr lm_head_;  // [V, E]; the embedding when they are tied
  int64_t weight_bytes_ = 0;
};

Decoder::Decoder(const ModelConfig& config, const LoadedWeights& weights,
                 const FeedForwardKind& feed_forward)
    : config_(config), weight_bytes_(weights.num_bytes()) {
  const auto weight = [&](const std::string& name) { return weights.get(name + ".weight"); };
  embed_tokens_ = weight(kEmbedTokens);
  norm_ = weight(kNorm);
  lm_head_ = config.tie_word_embeddings ? embed_tokens_ : weight(kLmHead);
  const NormNames& names = norm_names(config);
  for (int32_t l = 0; l < config_.num_layers; ++l) {
    const auto norm = [&](const char* name) {
      return name == nullptr ? nullptr : weight(layer_prefix(l) + name);
    };
    layers_.push_back({.attention_norm = norm(names.attention),
                       .attention = SelfAttention(config, l, weights),
                       .behind_attention = norm(names.behind_attention),
                       .feed_forward_norm = norm(names.feed_forward),
                       .feed_forward = feed_forward.make(config, l, weights),
                       .behind_feed_forward = norm(names.behind_feed_forward)});
  }
}

// x + what a block gave, which is a Tensor of its own.
Tensor Decoder::add_block(Ops& ops, const Tensor& x, Tensor block, const WeightPtr& norm) const {
  if (norm) block = ops.rms_norm(block, *norm, config_.rms_norm_eps);
  return ops.add(x, scaled(ops, block, config_.residual_multiplier));
}

// x [R, E] -> [R, V]. The divisor meets the E inputs of the product rather than its V results.
Tensor Decoder::logits(Ops& ops, const Tensor& x) const {
  const Tensor h = ops.rms_norm(x, *norm_, config_.rms_norm_eps);
  const Tensor result = ops.matmul(scaled(ops, h, 1.0F / config_.logit_divisor), *lm_head_);
  return config_.logit_soft_cap > 0.0F ? ops.soft_cap(result, config_.logit_soft_cap) : result;
}

Tensor Decoder::forward(Ops& ops, const ForwardBatch& batch, KvCache& cache) const {
  Tensor x = scaled(ops, ops.embed(*embed_tokens_, batch.token_ids),
                    config_.embedding_multiplier);  // [T, E]
  for (size_t l = 0; l < layers_.size(); ++l) {
    const Layer& layer = layers_[l];
    Tensor h = ops.rms_norm(x, *layer.attention_norm, config_.rms_norm_eps);
    Tensor a = layer.attention.attend(ops, h, batch, cache);  // [T, H * D]
    // Past the last attention rows no longer meet, so only those with logits go on: [R, .].
    if (l + 1 == layers_.size() && batch.logit_rows.size() < batch.token_ids.size()) {
      if (batch.logit_rows.empty()) return {};
      a = ops.gather_rows(a, batch.logit_rows);
      x = ops.gather_rows(x, batch.logit_rows);
    }
    x = add_block(ops, x, layer.attention.project(ops, a), layer.behind_attention);
    h = ops.rms_norm(x, *layer.feed_forward_norm, config_.rms_norm_eps);
    x = add_block(ops, x, layer.feed_forward->forward(ops, h), layer.behind_feed_forward);
    x = ops.keep_only(x);
  }
  return logits(ops, x);
}

constexpr FeedForwardKind kGatedMlp = {
    GatedMlp::add_specs,
    [](const ModelConfig& config, int32_t layer,
       const LoadedWeights& weights) -> std::unique_ptr<FeedForward> {
      return std::make_unique<GatedMlp>(config, layer, weights);
    }};

}  // namespace

std::vector<WeightSpec> decoder_weight_specs(const ModelConfig& config,
                                             const FeedForwardKind& feed_forward) {
  const int64_t hidden = config.hidden_size;
  std::vector<WeightSpec> specs;
  add_linear_specs(specs, kEmbedTokens, config.vocab_size, hidden, false);
  specs.push_back(norm_spec(config, kNorm, hidden));
  if (!config.tie_word_embeddings) {
    add_linear_specs(specs, kLmHead, config.vocab_size, hidden, false);
  }
  const NormNames& names = norm_names(config);
  for (int32_t l = 0; l < config.num_layers; ++l) {
    for (const char* name :
         {names.attention, names.behind_attention, names.feed_forward, names.behind_feed_forward}) {
      if (name != nullptr) specs.push_back(norm_spec(config, layer_prefix(l) + name, hidden));
    }
    SelfAttention::add_specs(specs, config, l);
    feed_forward.add_specs(specs, config, l);
  }
  return specs;
}

std::unique_ptr<Model> make_decoder(const ModelConfig& config, const LoadedWeights& weights,
                                    const FeedForwardKind& feed_forward) {
  return std::make_unique<Decoder>(config, weights, feed_forward);
}

std::vector<WeightSpec> dense_weight_specs(const ModelConfig& config) {
  return decoder_weight_specs(config, kGatedMlp);
}

std::unique_ptr<Model> make_dense(const ModelConfig& config, const LoadedWeights& weights) {
  return make_decoder(config, weights, kGatedMlp);
}

}  // namespace pagoda
