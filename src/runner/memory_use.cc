// Sizes of cache, activations and sampler scratch.
#include "runner/memory_use.h"

#include <algorithm>

#include "backend/kv_cache.h"
#include "model/registry.h"

namespace pagoda {

int64_t kv_bytes_per_token(const ModelConfig& config, DType kv_dtype) {
  return KvCacheGeometry{.num_layers = config.num_layers,
                         .num_blocks = 1,
                         .block_size = 1,
                         .num_kv_heads = config.num_kv_heads,
                         .head_size = config.head_size,
                         .dtype = kv_dtype}
      .bytes_per_block();
}

Result<int64_t> step_arena_bytes(const ModelConfig& config, const StepLimits& limits) {
  ASSIGN_OR_RETURN(const Architecture* architecture, find_architecture(config.architecture));
  const int64_t logit_rows = std::min(limits.max_num_seqs, limits.max_num_batched_tokens);
  return architecture->activation_bytes(config, limits.max_num_batched_tokens, logit_rows);
}

int64_t sampler_bytes(const ModelConfig& config, int32_t num_threads) {
  constexpr int64_t kBytesPerVocabularyEntry = 24;  // runner/sampler.h
  return kBytesPerVocabularyEntry * config.vocab_size * num_threads;
}

}  // namespace pagoda
