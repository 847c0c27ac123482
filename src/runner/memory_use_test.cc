// Sizes against sums done by hand.
#include "runner/memory_use.h"

#include <gtest/gtest.h>

namespace pagoda {
namespace {

ModelConfig tiny() {
  return {.architecture = "LlamaForCausalLM",
          .vocab_size = 1000,
          .hidden_size = 64,
          .num_layers = 3,
          .num_heads = 4,
          .num_kv_heads = 2,
          .head_size = 16,
          .intermediate_size = 96,
          .max_position_embeddings = 512,
          .rms_norm_eps = 1e-5F};
}

TEST(MemoryUse, CacheHoldsKeysAndValuesOfAllLayers) {
  EXPECT_EQ(kv_bytes_per_block(tiny(), DType::kBF16, 8), 8 * 3 * 2 * 2 * 16 * 2);
  EXPECT_EQ(kv_bytes_per_block(tiny(), DType::kF32, 8), 8 * 3 * 2 * 2 * 16 * 4);
  // A scale of four bytes for each token and head.
  EXPECT_EQ(kv_bytes_per_block(tiny(), DType::kI8, 8), 8 * 3 * 2 * 2 * (16 + 4));
}

TEST(MemoryUse, ArenaGrowsWithTokensAndLogitsButNotWithLayers) {
  const auto bytes = [](const ModelConfig& config, int32_t tokens, int32_t seqs) {
    return *step_arena_bytes(config, {.max_num_batched_tokens = tokens, .max_num_seqs = seqs});
  };
  const int64_t small = bytes(tiny(), 128, 1);
  EXPECT_GT(bytes(tiny(), 256, 1), small + small / 2);
  EXPECT_GE(bytes(tiny(), 128, 128), 128 * 1000 * 4);
  // One layer holds at least its input and its two hidden products.
  EXPECT_GE(small, 128 * (64 + 2 * 96) * 4);
  ModelConfig deep = tiny();
  deep.num_layers = 30;
  EXPECT_EQ(bytes(deep, 128, 1), small);
}

TEST(MemoryUse, UnknownArchitectureIsAnError) {
  ModelConfig config = tiny();
  config.architecture = "Other";
  EXPECT_FALSE(step_arena_bytes(config, {.max_num_batched_tokens = 1, .max_num_seqs = 1}).ok());
}

TEST(MemoryUse, SamplersTakeScratchForTheVocabularyAThread) {
  EXPECT_EQ(sampler_bytes(tiny(), 4), 4 * sampler_bytes(tiny(), 1));
  EXPECT_GE(sampler_bytes(tiny(), 1), 1000 * (4 + 4 + 4 + 8));
}

}  // namespace
}  // namespace pagoda
