// Sizes of everything that a running model holds.
#include "runner/memory_plan.h"

#include <fmt/core.h>

#include <algorithm>

#include "backend/kv_cache.h"
#include "model/registry.h"

namespace pagoda {
namespace {

constexpr int64_t kSamplerBytesPerToken = 24;  // runner/sampler.h: scratch a vocabulary entry

double gib(int64_t bytes) {
  return static_cast<double>(bytes) / static_cast<double>(1 << 30);
}

}  // namespace

int64_t kv_bytes_per_block(const ModelConfig& config, int32_t block_size, DType kv_dtype) {
  return KvCacheGeometry{.num_layers = config.num_layers,
                         .num_blocks = 1,
                         .block_size = block_size,
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

Result<MemoryPlan> plan_memory(const ModelConfig& config, const WeightFormat& format,
                               const Backend& backend, const MemoryRequest& request) {
  constexpr int32_t kMaxBatchedTokens = 1 << 20;
  const StepLimits& limits = request.limits;
  if (limits.max_num_batched_tokens < 1 || limits.max_num_batched_tokens > kMaxBatchedTokens ||
      limits.max_num_seqs < 1 || request.block_size < 1 || request.block_size > 4096 ||
      request.min_blocks < 1 || request.max_blocks < request.min_blocks ||
      request.num_sampler_threads < 1) {
    return invalid_argument(fmt::format(
        "cannot plan memory for {} tokens and {} sequences a step, blocks of {} tokens, {} to {} "
        "blocks and {} threads",
        limits.max_num_batched_tokens, limits.max_num_seqs, request.block_size, request.min_blocks,
        request.max_blocks, request.num_sampler_threads));
  }
  MemoryPlan plan;
  ASSIGN_OR_RETURN(plan.weight_bytes, planned_weight_bytes(config, format, backend));
  ASSIGN_OR_RETURN(plan.arena_bytes, step_arena_bytes(config, limits));
  plan.sampler_bytes = kSamplerBytesPerToken * config.vocab_size * request.num_sampler_threads;
  plan.bytes_per_block = kv_bytes_per_block(config, request.block_size, request.kv_dtype);
  const int64_t left =
      request.budget_bytes - plan.weight_bytes - plan.arena_bytes - plan.sampler_bytes;
  const int64_t fitting = left > 0 ? left / plan.bytes_per_block : 0;
  if (fitting < request.min_blocks) {
    return Error{
        ErrorCode::kOverloaded,
        fmt::format("the memory budget of {:.2f} GiB is too small: weights take {:.2f}, "
                    "activations {:.2f}, sampling {:.2f}, and the KV cache needs {:.2f} "
                    "for {} blocks of {} tokens",
                    gib(request.budget_bytes), gib(plan.weight_bytes), gib(plan.arena_bytes),
                    gib(plan.sampler_bytes), gib(plan.bytes_per_block * request.min_blocks),
                    request.min_blocks, request.block_size)};
  }
  plan.num_blocks = static_cast<int32_t>(std::min<int64_t>(fitting, request.max_blocks));
  return plan;
}

}  // namespace pagoda
