// Projections, attention and feed-forward in Ops.
#include "model/layers.h"

#include <array>
#include <cmath>

#include "model/rope.h"

namespace pagoda {
namespace {

// Rows of a matrix that the checkpoint may keep as part of a larger one.
struct Part {
  const char* name;
  int64_t rows;
};

// Matrices [rows, in] of their own names, or one after another in the matrix `fused`.
template <size_t N>
void add_parts(std::vector<WeightSpec>& specs, const std::string& prefix, const char* fused,
               const std::array<Part, N>& parts, int64_t in) {
  int64_t total = 0;
  for (const Part& part : parts) total += part.rows;
  int64_t row = 0;
  for (const Part& part : parts) {
    specs.push_back({.name = prefix + part.name + ".weight",
                     .shape = {part.rows, in},
                     .alternatives = {{.name = prefix + fused + ".weight",
                                       .shape = {total, in},
                                       .first_row = static_cast<int32_t>(row)}}});
    row += part.rows;
  }
}

}  // namespace

std::string layer_prefix(int32_t layer) {
  return "model.layers." + std::to_string(layer) + ".";
}

void add_linear_specs(std::vector<WeightSpec>& specs, const std::string& name, int64_t out,
                      int64_t in, bool has_bias) {
  specs.push_back({.name = name + ".weight", .shape = {out, in}});
  if (has_bias) specs.push_back({.name = name + ".bias", .shape = {out}});
}

Linear take_linear(const LoadedWeights& weights, const std::string& name, bool has_bias) {
  return {weights.get(name + ".weight"), has_bias ? weights.get(name + ".bias") : nullptr};
}

Tensor add_bias(Ops& ops, const Tensor& x, const WeightPtr& bias) {
  return bias ? ops.add_bias(x, *bias) : x;
}

Tensor apply(Ops& ops, const Linear& linear, const Tensor& x) {
  return add_bias(ops, ops.matmul(x, *linear.weight), linear.bias);
}

WeightSpec norm_spec(const ModelConfig& config, const std::string& name, int64_t size) {
  return {
      .name = name + ".weight", .shape = {size}, .offset = config.unit_offset_norms ? 1.0F : 0.0F};
}

void SelfAttention::add_specs(std::vector<WeightSpec>& specs, const ModelConfig& config,
                              int32_t layer) {
  const std::string prefix = layer_prefix(layer) + "self_attn.";
  const int64_t hidden = config.hidden_size;
  const int64_t q = int64_t{config.num_heads} * config.head_size;
  const int64_t kv = int64_t{config.num_kv_heads} * config.head_size;
  if (config.fused_projections) {
    const std::array<Part, 3> parts = {{{"q_proj", q}, {"k_proj", kv}, {"v_proj", kv}}};
    add_parts(specs, prefix, "qkv_proj", parts, hidden);
  } else {
    add_linear_specs(specs, prefix + "q_proj", q, hidden, config.attention_bias);
    add_linear_specs(specs, prefix + "k_proj", kv, hidden, config.attention_bias);
    add_linear_specs(specs, prefix + "v_proj", kv, hidden, config.attention_bias);
  }
  add_linear_specs(specs, prefix + "o_proj", hidden, q, config.output_bias);
  if (config.qk_norm) {
    specs.push_back(norm_spec(config, prefix + "q_norm", config.head_size));
    specs.push_back(norm_spec(config, prefix + "k_norm", config.head_size));
  }
  if (config.attention_sinks) {
    specs.push_back({.name = prefix + "sinks", .shape = {config.num_heads}});
  }
}

SelfAttention::SelfAttention(const ModelConfig& config, int32_t layer,
                             const LoadedWeights& weights) {
  const std::string prefix = layer_prefix(layer) + "self_attn.";
  const bool has_bias = config.attention_bias && !config.fused_projections;
  q_proj_ = take_linear(weights, prefix + "q_proj", has_bias);
  k_proj_ = take_linear(weights, prefix + "k_proj", has_bias);
  v_proj_ = take_linear(weights, prefix + "v_proj", has_bias);
  o_proj_ = take_linear(weights, prefix + "o_proj", config.output_bias);
  if (config.qk_norm) {
    q_norm_ = weights.get(prefix + "q_norm.weight");
    k_norm_ = weights.get(prefix + "k_norm.weight");
  }
  if (config.attention_sinks) sinks_ = weights.get(prefix + "sinks");
  norm_eps_ = config.rms_norm_eps;
  const LayerConfig kind = config.layer(layer);
  const bool own_rope = kind.sliding_window > 0 && config.sliding_rope.has_value();
  has_rope_ = kind.has_rope;
  rope_ = make_rope_table(own_rope ? *config.sliding_rope : config.rope, config.head_size);
  const double usual = 1.0 / std::sqrt(static_cast<double>(config.head_size));
  params_ = {
      .layer = layer,
      .num_heads = config.num_heads,
      .num_kv_heads = config.num_kv_heads,
      .head_size = config.head_size,
      .scale = static_cast<float>(config.attention_scale > 0.0 ? config.attention_scale : usual),
      .sliding_window = kind.sliding_window,
      .logit_soft_cap = config.attention_soft_cap,
      .sinks = sinks_.get()};
}

Tensor SelfAttention::attend(Ops& ops, const Tensor& h, const ForwardBatch& batch,
                             KvCache& cache) const {
  const std::array<const Weight*, 3> qkv = {q_proj_.weight.get(), k_proj_.weight.get(),
                                            v_proj_.weight.get()};
  const std::vector<Tensor> products = ops.matmul_many(h, qkv);
  Tensor q = add_bias(ops, products[0], q_proj_.bias);        // [T, H * D]
  Tensor k = add_bias(ops, products[1], k_proj_.bias);        // [T, K * D]
  const Tensor v = add_bias(ops, products[2], v_proj_.bias);  // [T, K * D]
  if (q_norm_) {
    q = ops.rms_norm(q, *q_norm_, norm_eps_);
    k = ops.rms_norm(k, *k_norm_, norm_eps_);
  }
  if (has_rope_) {
    q = ops.rope(q, batch.positions, rope_, params_.head_size);
    k = ops.rope(k, batch.positions, rope_, params_.head_size);
  }
  return ops.attention(q, k, v, params_, batch.attention, cache);
}

Tensor SelfAttention::project(Ops& ops, const Tensor& attended) const {
  return apply(ops, o_proj_, attended);
}

void GatedMlp::add_specs(std::vector<WeightSpec>& specs, const ModelConfig& config, int32_t layer) {
  const std::string prefix = layer_prefix(layer) + "mlp.";
  const int64_t hidden = config.hidden_size;
  const int64_t ffn = config.intermediate_size;
  if (config.fused_projections) {
    const std::array<Part, 2> parts = {{{"gate_proj", ffn}, {"up_proj", ffn}}};
    add_parts(specs, prefix, "gate_up_proj", parts, hidden);
  } else {
    add_linear_specs(specs, prefix + "gate_proj", ffn, hidden, config.mlp_bias);
    add_linear_specs(specs, prefix + "up_proj", ffn, hidden, config.mlp_bias);
  }
  add_linear_specs(specs, prefix + "down_proj", hidden, ffn, config.mlp_bias);
}

GatedMlp::GatedMlp(const ModelConfig& config, int32_t layer, const LoadedWeights& weights)
    : activation_(config.activation) {
  const std::string prefix = layer_prefix(layer) + "mlp.";
  const bool has_bias = config.mlp_bias && !config.fused_projections;
  gate_proj_ = take_linear(weights, prefix + "gate_proj", has_bias);
  up_proj_ = take_linear(weights, prefix + "up_proj", has_bias);
  down_proj_ = take_linear(weights, prefix + "down_proj", config.mlp_bias);
}

Tensor GatedMlp::forward(Ops& ops, const Tensor& h) const {
  const std::array<const Weight*, 2> gate_up = {gate_proj_.weight.get(), up_proj_.weight.get()};
  const std::vector<Tensor> products = ops.matmul_many(h, gate_up);
  const Tensor gate = add_bias(ops, products[0], gate_proj_.bias);  // [T, F]
  const Tensor up = add_bias(ops, products[1], up_proj_.bias);      // [T, F]
  const bool silu = activation_ == Activation::kSilu;
  return apply(ops, down_proj_, silu ? ops.silu_mul(gate, up) : ops.gelu_mul(gate, up));
}

}  // namespace pagoda
