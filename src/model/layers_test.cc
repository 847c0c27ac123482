// Parts of a decoder by the names and shapes they ask for; tests of the decoder run them.
#include "model/layers.h"

#include <gtest/gtest.h>

#include "backend/null_ops.h"

namespace pagoda {
namespace {

ModelConfig small_config() {
  return {.architecture = "LlamaForCausalLM",
          .vocab_size = 10,
          .hidden_size = 8,
          .num_layers = 1,
          .num_heads = 4,
          .num_kv_heads = 2,
          .head_size = 6,
          .intermediate_size = 12,
          .max_position_embeddings = 32};
}

std::string text_of(const std::vector<WeightSpec>& specs) {
  std::string text;
  for (const WeightSpec& spec : specs) {
    text += spec.name.substr(spec.name.find('.', spec.name.find("layers.") + 7) + 1) +
            to_string(spec.shape);
    for (const WeightSource& source : spec.alternatives) {
      text += "@" + std::to_string(source.first_row) + "/" + std::to_string(source.shape[0]);
    }
    text += "\n";
  }
  return text;
}

TEST(SelfAttention, AsksForBiasesAndNormsOfHeadsWhereTheConfigHasThem) {
  ModelConfig config = small_config();
  config.attention_bias = true;
  config.qk_norm = true;
  std::vector<WeightSpec> specs;
  SelfAttention::add_specs(specs, config, 0);
  EXPECT_EQ(
      text_of(specs),
      "self_attn.q_proj.weight[24, 8]\nself_attn.q_proj.bias[24]\n"
      "self_attn.k_proj.weight[12, 8]\nself_attn.k_proj.bias[12]\n"
      "self_attn.v_proj.weight[12, 8]\nself_attn.v_proj.bias[12]\n"
      "self_attn.o_proj.weight[8, 24]\nself_attn.q_norm.weight[6]\nself_attn.k_norm.weight[6]\n");
}

TEST(Layers, FusedMatricesAreAskedForAsRowsOfOne) {
  ModelConfig config = small_config();
  config.fused_projections = true;
  std::vector<WeightSpec> specs;
  SelfAttention::add_specs(specs, config, 0);
  GatedMlp::add_specs(specs, config, 0);
  EXPECT_EQ(text_of(specs),
            "self_attn.q_proj.weight[24, 8]@0/48\nself_attn.k_proj.weight[12, 8]@24/48\n"
            "self_attn.v_proj.weight[12, 8]@36/48\nself_attn.o_proj.weight[8, 24]\n"
            "mlp.gate_proj.weight[12, 8]@0/24\nmlp.up_proj.weight[12, 8]@12/24\n"
            "mlp.down_proj.weight[8, 12]\n");
}

TEST(Layers, NormsThatAreKeptLessOneAreAskedForWithIt) {
  ModelConfig config = small_config();
  EXPECT_EQ(norm_spec(config, "model.norm", 8).offset, 0.0F);
  config.unit_offset_norms = true;
  EXPECT_EQ(norm_spec(config, "model.norm", 8).offset, 1.0F);
}

TEST(GatedMlp, GivesRowsAsWideAsItsInput) {
  const ModelConfig config = small_config();
  std::vector<WeightSpec> specs;
  GatedMlp::add_specs(specs, config, 0);
  NullOps ops;
  ops.begin_step();
  const GatedMlp mlp(config, 0, null_weights(specs));
  EXPECT_EQ(mlp.forward(ops, {.data = nullptr, .shape = {5, 8}}).shape, (Shape{5, 8}));
}

}  // namespace
}  // namespace pagoda
