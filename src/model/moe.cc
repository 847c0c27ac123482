// Names and layouts of experts, and their part of a layer in Ops.
#include "model/moe.h"

#include <string>

#include "model/decoder.h"

namespace pagoda {
namespace {

constexpr int64_t kMxfp4Block = 32;

// The stack [X, out, in] of one projection. `mixtral` is its name there; `fused` the tensor that
// has it as every step-th row from `first` on, of `rows`.
struct Projection {
  const char* name;
  const char* mixtral;
  const char* fused;
  int64_t out, in, rows;
  int32_t first, step;
};

void add_projection(std::vector<WeightSpec>& specs, const std::string& prefix,
                    const ModelConfig& config, const Projection& p) {
  const int64_t num_experts = config.moe.num_experts;
  const std::string experts = prefix + "mlp.experts.";
  WeightSpec spec = {.name = experts + p.name + ".weight", .shape = {num_experts, p.out, p.in}};
  spec.alternatives = {
      {.name = experts + "{}." + p.name + ".weight", .shape = {p.out, p.in}},
      {.name = prefix + "block_sparse_moe.experts.{}." + p.mixtral + ".weight",
       .shape = {p.out, p.in}},
  };
  WeightSource fused = {.name = experts + p.fused,
                        .shape = {num_experts, p.rows, p.in},
                        .first_row = p.first,
                        .row_step = p.step};
  if (config.moe.gpt_oss) {
    fused.transposed = true;
    fused.shape = {num_experts, p.in, p.rows};
    spec.alternatives.push_back({.name = experts + p.fused + "_blocks",
                                 .shape = {num_experts, p.rows, p.in / kMxfp4Block, 16},
                                 .first_row = p.first,
                                 .row_step = p.step,
                                 .scales = experts + p.fused + "_scales"});
  }
  spec.alternatives.push_back(fused);
  specs.push_back(spec);
  if (!config.moe.gpt_oss) return;
  const std::string bias = experts + p.name + ".bias";
  specs.push_back({.name = bias,
                   .shape = {num_experts * p.out},
                   .alternatives = {{.name = bias, .shape = {num_experts, p.out}},
                                    {.name = experts + p.fused + "_bias",
                                     .shape = {num_experts, p.rows},
                                     .first_row = p.first,
                                     .row_step = p.step}}});
}

void add_layer_specs(std::vector<WeightSpec>& specs, const ModelConfig& config, int32_t layer) {
  if (config.layer(layer).has_experts) {
    MixtureOfExperts::add_specs(specs, config, layer);
  } else {
    GatedMlp::add_specs(specs, config, layer);
  }
}

std::unique_ptr<FeedForward> make_layer(const ModelConfig& config, int32_t layer,
                                        const LoadedWeights& weights) {
  if (config.layer(layer).has_experts) {
    return std::make_unique<MixtureOfExperts>(config, layer, weights);
  }
  return std::make_unique<GatedMlp>(config, layer, weights);
}

constexpr FeedForwardKind kFeedForward = {.add_specs = add_layer_specs, .make = make_layer};

}  // namespace

void MixtureOfExperts::add_specs(std::vector<WeightSpec>& specs, const ModelConfig& config,
                                 int32_t layer) {
  const std::string prefix = layer_prefix(layer);
  const MoeConfig& moe = config.moe;
  const int64_t hidden = config.hidden_size;
  const int64_t ffn = moe.intermediate_size;
  const Shape router = {moe.num_experts, hidden};
  specs.push_back(
      {.name = prefix + "mlp.gate.weight",
       .shape = router,
       .alternatives = {{.name = prefix + "mlp.router.weight", .shape = router},
                        {.name = prefix + "block_sparse_moe.gate.weight", .shape = router}},
       .keep_as = DType::kF32});
  if (moe.gpt_oss) {
    specs.push_back(
        {.name = prefix + "mlp.gate.bias",
         .shape = {moe.num_experts},
         .alternatives = {{.name = prefix + "mlp.router.bias", .shape = {moe.num_experts}}}});
  }
  // gpt-oss's rows alternate; the others have all of gate before all of up.
  const int32_t step = moe.gpt_oss ? 2 : 1;
  const int32_t up = moe.gpt_oss ? 1 : moe.intermediate_size;
  add_projection(specs, prefix, config,
                 {"gate_proj", "w1", "gate_up_proj", ffn, hidden, 2 * ffn, 0, step});
  add_projection(specs, prefix, config,
                 {"up_proj", "w3", "gate_up_proj", ffn, hidden, 2 * ffn, up, step});
  add_projection(specs, prefix, config,
                 {"down_proj", "w2", "down_proj", hidden, ffn, hidden, 0, 1});
}

MixtureOfExperts::MixtureOfExperts(const ModelConfig& config, int32_t layer,
                                   const LoadedWeights& weights) {
  const std::string prefix = layer_prefix(layer) + "mlp.";
  const MoeConfig& moe = config.moe;
  router_ = take_linear(weights, prefix + "gate", moe.gpt_oss);
  const auto take = [&](const char* name, WeightPtr& stack, WeightPtr& bias) {
    const Linear both = take_linear(weights, prefix + "experts." + name, moe.gpt_oss);
    stack = both.weight;
    bias = both.bias;
  };
  take("gate_proj", gate_, gate_bias_);
  take("up_proj", up_, up_bias_);
  take("down_proj", down_, down_bias_);
  params_ = {
      .top_k = moe.num_chosen,
      .weighting =
          moe.renormalise ? ExpertWeighting::kSoftmaxOfChosen : ExpertWeighting::kSoftmaxOfAll,
      .activation = moe.gpt_oss ? ExpertActivation::kClampedSwiglu : ExpertActivation::kSiluMul,
      .alpha = moe.swiglu_alpha,
      .limit = moe.swiglu_limit};
}

Tensor MixtureOfExperts::forward(Ops& ops, const Tensor& h) const {
  const Tensor logits = apply(ops, router_, h);  // [T, X]
  const ExpertWeights experts = {.gate = gate_.get(),
                                 .up = up_.get(),
                                 .down = down_.get(),
                                 .gate_bias = gate_bias_.get(),
                                 .up_bias = up_bias_.get(),
                                 .down_bias = down_bias_.get()};
  return ops.moe(h, logits, experts, params_);  // [T, E]
}

std::vector<WeightSpec> moe_weight_specs(const ModelConfig& config) {
  return decoder_weight_specs(config, kFeedForward);
}

std::unique_ptr<Model> make_moe(const ModelConfig& config, const LoadedWeights& weights) {
  return make_decoder(config, weights, kFeedForward);
}

}  // namespace pagoda
