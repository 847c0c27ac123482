// LlamaForCausalLM in Ops.
#include "model/llama.h"

#include <array>
#include <cmath>
#include <string>

#include "model/rope.h"

namespace pagoda {
namespace {

struct Linear {
  WeightPtr weight;  // [Out, In]
  WeightPtr bias;    // [Out], or null
};

struct Layer {
  WeightPtr attn_norm;                    // [E]
  Linear q_proj, k_proj, v_proj, o_proj;  // [H * D, E], [K * D, E], [K * D, E], [E, H * D]
  WeightPtr mlp_norm;                     // [E]
  Linear gate_proj, up_proj, down_proj;   // [F, E], [F, E], [E, F]
};

const char* const kEmbedTokens = "model.embed_tokens.weight";
const char* const kNorm = "model.norm.weight";
const char* const kLmHead = "lm_head.weight";

std::string layer_prefix(int32_t layer) {
  return "model.layers." + std::to_string(layer) + ".";
}

class Llama final : public Model {
 public:
  Llama(const ModelConfig& config, const LoadedWeights& weights);

  const ModelConfig& config() const override { return config_; }
  int64_t weight_bytes() const override { return weight_bytes_; }
  Tensor forward(Ops& ops, const ForwardBatch& batch, KvCache& cache) const override;

 private:
  Tensor attention(Ops& ops, const Tensor& x, int32_t layer, const ForwardBatch& batch,
                   KvCache& cache) const;
  Tensor mlp(Ops& ops, const Layer& w, const Tensor& x) const;

  ModelConfig config_;
  RopeTable rope_;
  WeightPtr embed_tokens_;  // [V, E]
  std::vector<Layer> layers_;
  WeightPtr norm_;     // [E]
  WeightPtr lm_head_;  // [V, E]; the embedding when they are tied
  int64_t weight_bytes_ = 0;
};

Llama::Llama(const ModelConfig& config, const LoadedWeights& weights)
    : config_(config),
      rope_(make_rope_table(config.rope, config.head_size)),
      embed_tokens_(weights.get(kEmbedTokens)),
      norm_(weights.get(kNorm)),
      lm_head_(config.tie_word_embeddings ? embed_tokens_ : weights.get(kLmHead)),
      weight_bytes_(weights.num_bytes()) {
  for (int32_t l = 0; l < config_.num_layers; ++l) {
    const std::string prefix = layer_prefix(l);
    const auto linear = [&](const std::string& name, bool has_bias) {
      return Linear{weights.get(prefix + name + ".weight"),
                    has_bias ? weights.get(prefix + name + ".bias") : nullptr};
    };
    layers_.push_back({.attn_norm = weights.get(prefix + "input_layernorm.weight"),
                       .q_proj = linear("self_attn.q_proj", config_.attention_bias),
                       .k_proj = linear("self_attn.k_proj", config_.attention_bias),
                       .v_proj = linear("self_attn.v_proj", config_.attention_bias),
                       .o_proj = linear("self_attn.o_proj", config_.attention_bias),
                       .mlp_norm = weights.get(prefix + "post_attention_layernorm.weight"),
                       .gate_proj = linear("mlp.gate_proj", config_.mlp_bias),
                       .up_proj = linear("mlp.up_proj", config_.mlp_bias),
                       .down_proj = linear("mlp.down_proj", config_.mlp_bias)});
  }
}

Tensor add_bias(Ops& ops, const Tensor& x, const WeightPtr& bias) {
  return bias ? ops.add_bias(x, *bias) : x;
}

Tensor apply(Ops& ops, const Linear& linear, const Tensor& x) {
  return add_bias(ops, ops.matmul(x, *linear.weight), linear.bias);
}

// The attention of one layer up to, not including, the output projection.
Tensor Llama::attention(Ops& ops, const Tensor& x, int32_t layer, const ForwardBatch& batch,
                        KvCache& cache) const {
  const Layer& w = layers_[static_cast<size_t>(layer)];
  const Tensor h = ops.rms_norm(x, *w.attn_norm, config_.rms_norm_eps);  // [T, E]
  const std::array<const Weight*, 3> qkv = {w.q_proj.weight.get(), w.k_proj.weight.get(),
                                            w.v_proj.weight.get()};
  const std::vector<Tensor> products = ops.matmul_many(h, qkv);
  Tensor q = add_bias(ops, products[0], w.q_proj.bias);        // [T, H * D]
  Tensor k = add_bias(ops, products[1], w.k_proj.bias);        // [T, K * D]
  const Tensor v = add_bias(ops, products[2], w.v_proj.bias);  // [T, K * D]
  q = ops.rope(q, batch.positions, rope_, config_.head_size);
  k = ops.rope(k, batch.positions, rope_, config_.head_size);
  const AttentionParams params = {
      .layer = layer,
      .num_heads = config_.num_heads,
      .num_kv_heads = config_.num_kv_heads,
      .head_size = config_.head_size,
      .scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(config_.head_size)))};
  return ops.attention(q, k, v, params, batch.attention, cache);  // [T, H * D]
}

Tensor Llama::mlp(Ops& ops, const Layer& w, const Tensor& x) const {
  const Tensor h = ops.rms_norm(x, *w.mlp_norm, config_.rms_norm_eps);  // [T, E]
  const std::array<const Weight*, 2> gate_up = {w.gate_proj.weight.get(), w.up_proj.weight.get()};
  const std::vector<Tensor> products = ops.matmul_many(h, gate_up);
  const Tensor gate = add_bias(ops, products[0], w.gate_proj.bias);  // [T, F]
  const Tensor up = add_bias(ops, products[1], w.up_proj.bias);      // [T, F]
  return apply(ops, w.down_proj, ops.silu_mul(gate, up));            // [T, E]
}

Tensor Llama::forward(Ops& ops, const ForwardBatch& batch, KvCache& cache) const {
  Tensor x = ops.embed(*embed_tokens_, batch.token_ids);  // [T, E]
  for (int32_t l = 0; l < config_.num_layers; ++l) {
    const Layer& w = layers_[static_cast<size_t>(l)];
    Tensor a = attention(ops, x, l, batch, cache);  // [T, H * D]
    // Past the last attention rows no longer meet, so only those with logits go on: [R, .].
    const bool last = l + 1 == config_.num_layers;
    if (last && batch.logit_rows.size() < batch.token_ids.size()) {
      if (batch.logit_rows.empty()) return {};
      a = ops.gather_rows(a, batch.logit_rows);
      x = ops.gather_rows(x, batch.logit_rows);
    }
    x = ops.add(x, apply(ops, w.o_proj, a));
    x = ops.keep_only(ops.add(x, mlp(ops, w, x)));
  }
  return ops.matmul(ops.rms_norm(x, *norm_, config_.rms_norm_eps), *lm_head_);  // [R, V]
}

}  // namespace

std::vector<WeightSpec> llama_weight_specs(const ModelConfig& config) {
  const int64_t hidden = config.hidden_size;
  const int64_t q = int64_t{config.num_heads} * config.head_size;
  const int64_t kv = int64_t{config.num_kv_heads} * config.head_size;
  const int64_t ffn = config.intermediate_size;
  std::vector<WeightSpec> specs = {{kEmbedTokens, {config.vocab_size, hidden}}, {kNorm, {hidden}}};
  if (!config.tie_word_embeddings) specs.push_back({kLmHead, {config.vocab_size, hidden}});
  for (int32_t l = 0; l < config.num_layers; ++l) {
    const std::string prefix = layer_prefix(l);
    const auto linear = [&](const char* name, int64_t out, int64_t in, bool has_bias) {
      specs.push_back({prefix + name + ".weight", {out, in}});
      if (has_bias) specs.push_back({prefix + name + ".bias", {out}});
    };
    specs.push_back({prefix + "input_layernorm.weight", {hidden}});
    linear("self_attn.q_proj", q, hidden, config.attention_bias);
    linear("self_attn.k_proj", kv, hidden, config.attention_bias);
    linear("self_attn.v_proj", kv, hidden, config.attention_bias);
    linear("self_attn.o_proj", hidden, q, config.attention_bias);
    specs.push_back({prefix + "post_attention_layernorm.weight", {hidden}});
    linear("mlp.gate_proj", ffn, hidden, config.mlp_bias);
    linear("mlp.up_proj", ffn, hidden, config.mlp_bias);
    linear("mlp.down_proj", hidden, ffn, config.mlp_bias);
  }
  return specs;
}

std::unique_ptr<Model> make_llama(const ModelConfig& config, const LoadedWeights& weights) {
  return std::make_unique<Llama>(config, weights);
}

}  // namespace pagoda
