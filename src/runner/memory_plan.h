// MemoryPlan: how a budget of memory is shared between weights, activations and the KV cache.
#pragma once

#include <cstdint>

#include "backend/backend.h"
#include "base/result.h"
#include "core/step.h"
#include "model/model_config.h"
#include "model/weights.h"

namespace pagoda {

// What is wanted, all of it known before a weight is read.
struct MemoryRequest {
  int64_t budget_bytes = 0;  // for everything below together
  StepLimits limits;
  int32_t block_size = 16;          // tokens a block
  DType kv_dtype = DType::kBF16;    // kBF16 or kF32
  int32_t num_sampler_threads = 1;  // as EagerRunnerOptions has it
  int32_t min_blocks = 1;           // fewer are an error
  int32_t max_blocks = 1 << 30;     // more are of no use
};

struct MemoryPlan {
  int64_t weight_bytes = 0;
  int64_t arena_bytes = 0;    // activations of the largest step
  int64_t sampler_bytes = 0;  // scratch of the sampler threads
  int64_t bytes_per_block = 0;
  int32_t num_blocks = 0;
  int64_t total_bytes() const {
    return weight_bytes + arena_bytes + sampler_bytes + bytes_per_block * num_blocks;
  }
};

// K and V of all layers for one block, in bytes.
int64_t kv_bytes_per_block(const ModelConfig& config, int32_t block_size, DType kv_dtype);

// Activations of one step at the limits, in bytes: what Backend::reserve_arena is to be given.
// kUnsupported for an unknown architecture.
Result<int64_t> step_arena_bytes(const ModelConfig& config, const StepLimits& limits);

// Gives the KV cache what the rest leaves of the budget, between min_blocks and max_blocks.
// kOverloaded, with the whole sum spelled out, when not even min_blocks fit; kInvalidArgument for
// counts that are not positive; kUnsupported for an unknown architecture.
Result<MemoryPlan> plan_memory(const ModelConfig& config, const WeightFormat& format,
                               const Backend& backend, const MemoryRequest& request);

}  // namespace pagoda
