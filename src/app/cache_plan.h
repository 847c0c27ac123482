// The cache plan: how much memory is left for the KV cache, and how long a context it holds.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/system_memory.h"

namespace pagoda {

// What the plan is made from. All sizes in bytes.
struct MemoryDemand {
  int64_t process_bytes = 0;  // resident already, and so not part of what is available: program,
                              // tokenizer, template
  int64_t weight_bytes = 0;
  int64_t working_bytes = 0;          // step arena and sampler
  int64_t request_bytes = 0;          // at most, of all requests together, and the allocator's loss
  int64_t bytes_per_block = 0;        // of KV cache, all layers
  int64_t table_bytes_per_block = 0;  // what the engine keeps of a block
  int32_t block_size = 0;             // tokens a block
  int32_t max_num_seqs = 0;
  int32_t model_context = 0;                          // tokens the model allows
  std::optional<int32_t> max_model_len = {};          // asked for by the user
  std::optional<int32_t> num_blocks = {};             // asked for by the user
  std::optional<int64_t> kv_cache_memory_bytes = {};  // asked for by the user
  double memory_utilization = 0.9;
};

struct CachePlan {
  int32_t num_blocks = 0;
  int32_t max_model_len = 0;
  int64_t kv_cache_bytes = 0;
  int64_t request_bytes = 0;  // with the engine's tables
  int64_t budget_bytes = 0;   // of everything, process_bytes too: what is never exceeded
  int64_t num_cache_tokens = 0;
  bool context_limited_by_memory = false;
};

// The cache gets what is left of memory_utilization of the available memory, but never more than
// max_num_seqs sequences of the longest context can use. kOverloaded when the weights or one block
// do not fit, kInvalidArgument when the context asked for does not fit or the cache asked for holds
// no block; all name the numbers.
//
// Memory of the cache is given by the system when a block is first written: the plan counts all of
// it from the start, so that a later step never finds it gone because of this process.
Result<CachePlan> plan_cache(const MemoryDemand& demand, const SystemMemory& memory);

}  // namespace pagoda
