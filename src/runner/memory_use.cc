// Sizes of cache, activations and sampler scratch.
#include "runner/memory_use.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "backend/kv_cache.h"
#include "backend/null_ops.h"
#include "model/registry.h"

namespace pagoda {
namespace {

// One step of `num_rows` tokens in `num_seqs` sequences, which asks for `num_logits` rows.
void run_on_shapes(const Model& model, NullOps& ops, KvCache& cache, int32_t num_rows,
                   int32_t num_seqs, int32_t num_logits) {
  const std::vector<int32_t> zeros(static_cast<size_t>(num_rows));
  std::vector<AttentionSequence> sequences;
  std::vector<int32_t> logit_rows;
  for (int32_t i = 0; i < num_seqs; ++i) {
    const int32_t rows = i + 1 < num_seqs ? 1 : num_rows - i;
    sequences.push_back({.first_row = i, .num_rows = rows, .block_table = zeros});
  }
  for (int32_t i = 0; i < num_logits; ++i) logit_rows.push_back(i);
  ops.begin_step();
  model.forward(
      ops,
      {.token_ids = zeros, .positions = zeros, .attention = {sequences}, .logit_rows = logit_rows},
      cache);
}

}  // namespace

int64_t kv_bytes_per_block(const ModelConfig& config, DType kv_dtype, int32_t block_size) {
  return KvCacheGeometry{.num_layers = config.num_layers,
                         .num_blocks = 1,
                         .block_size = block_size,
                         .num_kv_heads = config.num_kv_heads,
                         .head_size = config.head_size,
                         .dtype = kv_dtype}
      .bytes_per_block();
}

Result<int64_t> step_arena_bytes(const ModelConfig& config, const StepLimits& limits) {
  CHECK(limits.max_num_batched_tokens >= 1 && limits.max_num_seqs >= 1);
  ASSIGN_OR_RETURN(const std::unique_ptr<Model> model, make_null_model(config));
  ASSIGN_OR_RETURN(KvCache cache, KvCache::create({.num_layers = config.num_layers,
                                                   .num_blocks = 1,
                                                   .block_size = 1,
                                                   .num_kv_heads = config.num_kv_heads,
                                                   .head_size = config.head_size}));
  const int32_t num_rows = limits.max_num_batched_tokens;
  const int32_t num_seqs = std::min(limits.max_num_seqs, num_rows);
  const int32_t num_logits = std::min(num_seqs + limits.max_num_draft_tokens, num_rows);
  NullOps ops;
  run_on_shapes(*model, ops, cache, num_rows, num_seqs, num_logits);
  // With a logit for every row nothing is gathered, so one row fewer may take more.
  if (num_logits == num_rows && num_rows > 1) {
    run_on_shapes(*model, ops, cache, num_rows, num_seqs, num_rows - 1);
  }
  return static_cast<int64_t>(ops.num_arena_bytes());
}

int64_t sampler_bytes(const ModelConfig& config, int32_t num_threads) {
  constexpr int64_t kBytesPerVocabularyEntry = 24;  // runner/sampler.h
  return kBytesPerVocabularyEntry * config.vocab_size * num_threads;
}

}  // namespace pagoda
