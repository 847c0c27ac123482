// A GGUF file is the same model as the folder it was made from: same config, same logits.
#include <gtest/gtest.h>

#include <numeric>

#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/cpu_info.h"
#include "model/registry.h"

namespace pagoda {
namespace {

const char* const kFolder = "tests/golden/gguf/folder";

ModelConfig config_of(const std::string& path) {
  return parse_model_config(Checkpoint::open(path)->config_json()).value();
}

// Logits of every position of a prompt of 100 tokens, in f32.
std::vector<float> logits_of(const std::string& path, const std::string& isa) {
  constexpr int32_t kNumTokens = 100;
  const auto backend = cpu::make_cpu_backend({.num_threads = 2, .isa = isa}).value();
  const auto checkpoint = Checkpoint::open(path);
  const ModelConfig config = parse_model_config(checkpoint->config_json()).value();
  const auto model = load_model(*checkpoint, config, {.matrix = DType::kF32}, *backend);
  EXPECT_TRUE(model.ok()) << model.error().message;
  auto cache = KvCache::create({.num_layers = config.num_layers,
                                .num_blocks = 1,
                                .block_size = 128,
                                .num_kv_heads = config.num_kv_heads,
                                .head_size = config.head_size,
                                .dtype = DType::kF32})
                   .value();
  EXPECT_TRUE(backend->reserve_arena(size_t{16} << 20).ok());
  std::vector<int32_t> tokens(kNumTokens), positions(kNumTokens);
  std::iota(positions.begin(), positions.end(), 0);
  for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<int32_t>(i * 37 % 272);
  const std::vector<int32_t> blocks = {0};
  const std::vector<AttentionSequence> sequences = {
      {.first_row = 0, .num_rows = kNumTokens, .num_computed_tokens = 0, .block_table = blocks}};
  Ops& ops = backend->ops();
  ops.begin_step();
  const Tensor logits = (*model)->forward(ops,
                                          {.token_ids = tokens,
                                           .positions = positions,
                                           .attention = {sequences},
                                           .logit_rows = positions},
                                          cache);
  const std::span<const float> values = ops.read(logits);
  return {values.begin(), values.end()};
}

TEST(GgufModel, TheConfigIsThatOfTheFolder) {
  const ModelConfig want = config_of(kFolder);
  for (const char* path :
       {"tests/golden/gguf/llama.gguf", "tests/golden/gguf/split-00001-of-00003.gguf"}) {
    const ModelConfig got = config_of(path);
    EXPECT_EQ(got.architecture, want.architecture);
    EXPECT_EQ(got.vocab_size, want.vocab_size);
    EXPECT_EQ(got.hidden_size, want.hidden_size);
    EXPECT_EQ(got.num_layers, want.num_layers);
    EXPECT_EQ(got.num_heads, want.num_heads);
    EXPECT_EQ(got.num_kv_heads, want.num_kv_heads);
    EXPECT_EQ(got.head_size, want.head_size);
    EXPECT_EQ(got.intermediate_size, want.intermediate_size);
    EXPECT_EQ(got.max_position_embeddings, want.max_position_embeddings);
    EXPECT_EQ(got.rms_norm_eps, want.rms_norm_eps);
    EXPECT_EQ(got.rope.type, want.rope.type);
    EXPECT_EQ(got.rope.factor, want.rope.factor);
    EXPECT_EQ(got.rope.theta, want.rope.theta);
    EXPECT_EQ(got.tie_word_embeddings, want.tie_word_embeddings);
    EXPECT_EQ(got.attention_bias, want.attention_bias);
    EXPECT_EQ(got.eos_token_ids, want.eos_token_ids);
    EXPECT_EQ(got.bos_token_id, want.bos_token_id);
  }
}

TEST(GgufModel, LogitsAreThoseOfTheFolderToTheBit) {
  for (const cpu::CpuKernels* kernels : cpu::supported_kernels()) {
    const std::vector<float> want = logits_of(kFolder, kernels->isa);
    EXPECT_EQ(logits_of("tests/golden/gguf/llama.gguf", kernels->isa), want);
    EXPECT_EQ(logits_of("tests/golden/gguf/split-00001-of-00003.gguf", kernels->isa), want);
  }
}

}  // namespace
}  // namespace pagoda
