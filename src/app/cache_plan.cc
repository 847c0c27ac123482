// Arithmetic of the cache plan.
#include "app/cache_plan.h"

#include <fmt/core.h>

#include <algorithm>
#include <limits>

namespace pagoda {
namespace {

int64_t divide_up(int64_t value, int64_t divisor) {
  return (value + divisor - 1) / divisor;
}

// Blocks that the memory or the user's word allows.
Result<int64_t> affordable_blocks(const MemoryDemand& demand, const SystemMemory& memory) {
  const int64_t bytes_per_block = demand.bytes_per_block;
  const auto budget =
      static_cast<int64_t>(static_cast<double>(memory.available_bytes) * demand.memory_utilization);
  const int64_t fixed = demand.weight_bytes + demand.working_bytes;
  if (demand.num_blocks || demand.kv_cache_memory_bytes) {
    const int64_t blocks =
        demand.num_blocks ? *demand.num_blocks : *demand.kv_cache_memory_bytes / bytes_per_block;
    if (fixed + blocks * bytes_per_block > memory.available_bytes) {
      return Error{
          ErrorCode::kOverloaded,
          fmt::format("too little memory: weights {} + working memory {} + KV cache {} "
                      "are over the {} available{}",
                      format_bytes(demand.weight_bytes), format_bytes(demand.working_bytes),
                      format_bytes(blocks * bytes_per_block), format_bytes(memory.available_bytes),
                      memory.limited_by_cgroup ? " (cgroup limit)" : "")};
    }
    return blocks;
  }
  if (fixed + bytes_per_block > budget) {
    return Error{ErrorCode::kOverloaded,
                 fmt::format("too little memory: weights {} + working memory {} + one cache block "
                             "{} are over {:.0f} % of the {} available{}; --quantization q8_0 "
                             "halves the weights",
                             format_bytes(demand.weight_bytes), format_bytes(demand.working_bytes),
                             format_bytes(bytes_per_block), demand.memory_utilization * 100,
                             format_bytes(memory.available_bytes),
                             memory.limited_by_cgroup ? " (cgroup limit)" : "")};
  }
  return (budget - fixed) / bytes_per_block;
}

}  // namespace

Result<CachePlan> plan_cache(const MemoryDemand& demand, const SystemMemory& memory) {
  if (demand.max_model_len && *demand.max_model_len > demand.model_context) {
    return invalid_argument(fmt::format("max-model-len: {} tokens are over the model's limit of {}",
                                        *demand.max_model_len, demand.model_context));
  }
  ASSIGN_OR_RETURN(int64_t blocks, affordable_blocks(demand, memory));
  if (blocks < 1) return invalid_argument("kv-cache-memory: less than one block");

  const int32_t wanted_len = demand.max_model_len.value_or(demand.model_context);
  const int64_t blocks_per_sequence = divide_up(wanted_len, demand.block_size);
  if (!demand.num_blocks && !demand.kv_cache_memory_bytes) {
    blocks = std::min(blocks, blocks_per_sequence * demand.max_num_seqs);
  }
  // Block ids are 32 bits wide.
  blocks = std::min<int64_t>(blocks, std::numeric_limits<int32_t>::max() / demand.block_size);

  CachePlan plan;
  plan.num_blocks = static_cast<int32_t>(blocks);
  plan.num_cache_tokens = blocks * demand.block_size;
  plan.kv_cache_bytes = blocks * demand.bytes_per_block;
  plan.max_model_len = static_cast<int32_t>(std::min<int64_t>(wanted_len, plan.num_cache_tokens));
  plan.context_limited_by_memory = plan.max_model_len < wanted_len;
  if (demand.max_model_len && plan.context_limited_by_memory) {
    return invalid_argument(
        fmt::format("max-model-len: {} tokens do not fit the KV cache of {} tokens ({})",
                    wanted_len, plan.num_cache_tokens, format_bytes(plan.kv_cache_bytes)));
  }
  return plan;
}

}  // namespace pagoda
