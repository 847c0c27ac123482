// Every family against Transformers, and against itself with each feature spoiled.
#include "model/decoder.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "backend/cpu/cpu_backend.h"
#include "checkpoint/test_folder.h"
#include "model/decoder_run.h"
#include "model/registry.h"

namespace pagoda {
namespace {

TEST(Decoder, LogitsAreThoseOfTransformersOnEveryInstructionSet) {
  for (const char* name : kGoldenModels) {
    const GoldenModel golden = read_golden_model(name);
    for (const std::string& isa : isas()) {
      DecoderRun run(golden.folder, golden.config, isa);
      EXPECT_LT(max_difference(golden, run.whole(golden.prompt)), 1e-4F) << name << " " << isa;
    }
  }
}

TEST(Decoder, ChunksAndBatchesChangeNoBit) {
  for (const char* name : {"base", "head_dim", "mistral", "phi3", "gemma2", "gemma3"}) {
    expect_chunks_change_no_bit(name);
  }
}

TEST(Decoder, EveryFeatureOfTheConfigMovesTheLogits) {
  const Mutation mutations[] = {
      {"theta", "base", [](ModelConfig& c) { c.rope.theta *= 2; }},
      {"epsilon", "base", [](ModelConfig& c) { c.rms_norm_eps = 1e-6F; }},
      {"attention scale and heads", "base",
       [](ModelConfig& c) {
         c.num_heads /= 2;
         c.num_kv_heads /= 2;
         c.head_size *= 2;
       }},
      {"llama3 scaling", "rope_llama3", [](ModelConfig& c) { c.rope.type = RopeType::kDefault; }},
      {"llama3 as linear", "rope_llama3", [](ModelConfig& c) { c.rope.type = RopeType::kLinear; }},
      {"factor", "rope_llama3", [](ModelConfig& c) { c.rope.factor = 2; }},
      {"low_freq_factor", "rope_llama3", [](ModelConfig& c) { c.rope.low_freq_factor = 2; }},
      {"high_freq_factor", "rope_llama3", [](ModelConfig& c) { c.rope.high_freq_factor = 16; }},
      {"original context", "rope_llama3",
       [](ModelConfig& c) { c.rope.original_max_position_embeddings = 8192; }},
      {"linear scaling", "rope_linear", [](ModelConfig& c) { c.rope.type = RopeType::kDefault; }},
      {"linear factor", "rope_linear", [](ModelConfig& c) { c.rope.factor = 2; }},
      {"attention bias", "bias", [](ModelConfig& c) { c.attention_bias = false; }},
      {"mlp bias", "bias", [](ModelConfig& c) { c.mlp_bias = false; }},
      {"scaling in rope_parameters", "head_dim",
       [](ModelConfig& c) { c.rope.type = RopeType::kDefault; }},
      {"theta in rope_parameters", "head_dim", [](ModelConfig& c) { c.rope.theta = 50000; }},
  };
  for (const Mutation& mutation : mutations) expect_moves(mutation);
}

TEST(Decoder, EveryFeatureOfAttentionMovesTheLogitsOfItsFamily) {
  const Mutation mutations[] = {
      {"window", "mistral", see_all},
      {"one more in the window", "mistral",
       [](ModelConfig& c) {
         for (LayerConfig& layer : c.layers) ++layer.sliding_window;
       }},
      {"bias", "qwen2", [](ModelConfig& c) { c.attention_bias = false; }},
      {"window", "qwen2", see_all},
      {"which layer has the window", "qwen2", exchange_layers},
      {"yarn", "qwen2", [](ModelConfig& c) { c.rope.type = RopeType::kDefault; }},
      {"yarn's factor", "qwen2", [](ModelConfig& c) { c.rope.factor = 2; }},
      {"yarn's attention factor", "qwen2", [](ModelConfig& c) { c.rope.attention_factor = 1; }},
      {"yarn's original context", "qwen2",
       [](ModelConfig& c) { c.rope.original_max_position_embeddings = 64; }},
      {"yarn's fast end", "qwen2", [](ModelConfig& c) { c.rope.beta_fast = 0.25; }},
      {"yarn's slow end", "qwen2", [](ModelConfig& c) { c.rope.beta_slow = 0.25; }},
      {"norms of heads", "qwen3", [](ModelConfig& c) { c.qk_norm = false; }},
      {"window", "qwen3", see_all},
      {"which layer has the window", "qwen3", exchange_layers},
      {"longrope", "phi3", [](ModelConfig& c) { c.rope.type = RopeType::kDefault; }},
      {"which factors", "phi3", [](ModelConfig& c) { c.rope.longest_sequence = 32; }},
      {"longrope's attention factor", "phi3", [](ModelConfig& c) { c.rope.attention_factor = 1; }},
      {"the part that turns", "phi3",
       [](ModelConfig& c) {
         c.rope.rotary_factor = 1.0;
         c.rope.short_factors.assign(8, 1.0);
         c.rope.long_factors.assign(8, 1.0);
       }},
      {"which factors", "phi3_short", [](ModelConfig& c) { c.rope.longest_sequence = 129; }},
      {"window", "phi3_short", see_all},
      {"cap of scores", "gemma2", [](ModelConfig& c) { c.attention_soft_cap = 0; }},
      {"scale of scores", "gemma2", [](ModelConfig& c) { c.attention_scale = 0; }},
      {"window", "gemma2", see_all},
      {"which layer has the window", "gemma2", exchange_layers},
      {"rope of layers with a window", "gemma3", [](ModelConfig& c) { c.sliding_rope.reset(); }},
      {"rope of the others", "gemma3", [](ModelConfig& c) { c.rope = *c.sliding_rope; }},
      {"linear scaling", "gemma3", [](ModelConfig& c) { c.rope.type = RopeType::kDefault; }},
      {"norms of heads", "gemma3", [](ModelConfig& c) { c.qk_norm = false; }},
      {"rope of layers with a window", "gemma3_multimodal",
       [](ModelConfig& c) { c.sliding_rope.reset(); }},
      {"layers without rope", "smollm3",
       [](ModelConfig& c) {
         for (LayerConfig& layer : c.layers) layer.has_rope = true;
       }},
      {"which layer has no rope", "smollm3", exchange_layers},
      {"scale of scores", "granite", [](ModelConfig& c) { c.attention_scale = 0; }},
      {"bias of the output", "granite", [](ModelConfig& c) { c.output_bias = false; }},
  };
  for (const Mutation& mutation : mutations) expect_moves(mutation);
}

TEST(Decoder, EveryOtherFeatureMovesTheLogitsOfItsFamily) {
  const Mutation mutations[] = {
      {"cap of logits", "gemma2", [](ModelConfig& c) { c.logit_soft_cap = 0; }},
      {"norm weights less 1", "gemma2", [](ModelConfig& c) { c.unit_offset_norms = false; }},
      {"norms behind the blocks", "gemma2", [](ModelConfig& c) { c.sandwich_norms = false; }},
      {"activation", "gemma2", [](ModelConfig& c) { c.activation = Activation::kSilu; }},
      {"factor of embeddings", "gemma2", [](ModelConfig& c) { c.embedding_multiplier = 1; }},
      {"factor of embeddings", "granite", [](ModelConfig& c) { c.embedding_multiplier = 1; }},
      {"factor of blocks", "granite", [](ModelConfig& c) { c.residual_multiplier = 1; }},
      {"divisor of logits", "granite", [](ModelConfig& c) { c.logit_divisor = 1; }},
  };
  for (const Mutation& mutation : mutations) expect_moves(mutation);
}

TEST(Decoder, EveryTensorMovesTheLogits) {
  for (const char* name : {"bias", "tied", "qwen2", "qwen3", "phi3", "gemma2", "gemma3"}) {
    expect_every_tensor_moves(name);
  }
}

TEST(Decoder, NeighbouringQueryHeadsShareAKeyHead) {
  // Exchanging query heads 1 and 2 of 4 puts each with the other key head.
  const GoldenModel golden = read_golden_model("base");
  const auto head = static_cast<ptrdiff_t>(golden.config.head_size) * golden.config.hidden_size;
  const TestFolder folder;
  copy_edited(golden, folder, "model.layers.0.self_attn.q_proj.weight", [&](std::span<float> q) {
    std::swap_ranges(q.begin() + head, q.begin() + 2 * head, q.begin() + 2 * head);
  });
  DecoderRun run(folder.path(), golden.config, "");
  EXPECT_GT(max_difference(golden, run.whole(golden.prompt)), 1e-2F);
}

TEST(Decoder, TiedModelsNeedNoOutputMatrixAndOthersDo) {
  const GoldenModel golden = read_golden_model("tied");
  const auto checkpoint = Checkpoint::open(golden.folder);
  EXPECT_EQ(checkpoint->find("lm_head.weight"), nullptr);
  const auto backend = cpu::make_cpu_backend({}).value();
  ModelConfig config = golden.config;
  config.tie_word_embeddings = false;
  const auto model = load_model(*checkpoint, config, {}, *backend);
  ASSERT_FALSE(model.ok());
  EXPECT_NE(model.error().message.find("lm_head.weight"), std::string::npos);
}

TEST(Decoder, FewerLayersThanTheCheckpointHasAreAnError) {
  GoldenModel golden = read_golden_model("base");
  golden.config.num_layers = 2;
  const auto backend = cpu::make_cpu_backend({}).value();
  const auto model = load_model(*Checkpoint::open(golden.folder), golden.config, {}, *backend);
  ASSERT_FALSE(model.ok());
  EXPECT_NE(model.error().message.find("has tensor model.layers.2."), std::string::npos);
  EXPECT_NE(model.error().message.find("base/config.json is 2"), std::string::npos)
      << model.error().message;
}

TEST(Decoder, ForwardNeedsShapesOnly) {
  expect_forward_needs_shapes_only("bias");
}

}  // namespace
}  // namespace pagoda
