// Memory use: what a model that runs will hold besides its weights, known before it is loaded.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "core/step.h"
#include "model/model_config.h"
#include "tensor/dtype.h"

namespace pagoda {

// All in bytes. With planned_weight_bytes() of model/registry.h they sum up to what a model takes.

// K and V of all layers for one block of tokens; `kv_dtype` as in backend/kv_cache.h.
int64_t kv_bytes_per_block(const ModelConfig& config, DType kv_dtype, int32_t block_size);

// Activations and working memory of the largest step, found by running the model on shapes alone:
// what Backend::reserve_arena is given. kUnsupported for an unknown architecture, kOverloaded when
// memory is refused. REQUIRES: positive limits.
Result<int64_t> step_arena_bytes(const ModelConfig& config, const StepLimits& limits);

// Scratch of the samplers of `num_threads` threads.
int64_t sampler_bytes(const ModelConfig& config, int32_t num_threads);

}  // namespace pagoda
