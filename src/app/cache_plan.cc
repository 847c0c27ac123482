// Arithmetic of the cache plan.
#include "app/cache_plan.h"

#include <fmt/core.h>

#include <algorithm>
#include <limits>
#include <string>

namespace pagoda {
namespace {

int64_t divide_up(int64_t value, int64_t divisor) {
  return (value + divisor - 1) / divisor;
}

int64_t bytes_with_tables(const MemoryDemand& demand) {
  return demand.bytes_per_block + demand.table_bytes_per_block;
}

// Everything but the cache.
int64_t fixed_bytes(const MemoryDemand& demand) {
  return demand.weight_bytes + demand.working_bytes + demand.request_bytes;
}

Error too_little(const MemoryDemand& demand, const SystemMemory& memory, const std::string& cache,
                 const std::string& limit) {
  return {ErrorCode::kOverloaded,
          fmt::format("too little memory: weights {} + working memory {} + requests {} + {} are "
                      "over {}the {} available{}",
                      format_bytes(demand.weight_bytes), format_bytes(demand.working_bytes),
                      format_bytes(demand.request_bytes), cache, limit,
                      format_bytes(memory.available_bytes),
                      memory.limited_by_cgroup ? " (cgroup limit)" : "")};
}

// Blocks that the user asked for.
Result<int64_t> wanted_blocks(const MemoryDemand& demand, const SystemMemory& memory) {
  const int64_t bytes_per_block = demand.bytes_per_block;
  if (!demand.num_blocks && *demand.kv_cache_memory_bytes < bytes_per_block) {
    return invalid_argument(fmt::format(
        "kv-cache-memory: {} hold no block; the least is {} bytes, one block of {} tokens",
        format_bytes(*demand.kv_cache_memory_bytes), bytes_per_block, demand.block_size));
  }
  const int64_t blocks =
      demand.num_blocks ? *demand.num_blocks : *demand.kv_cache_memory_bytes / bytes_per_block;
  const int64_t rest = memory.available_bytes - fixed_bytes(demand);
  // Divided rather than multiplied, as the product may be any size.
  if (rest < 0 || blocks > rest / bytes_with_tables(demand)) {
    const std::string cache =
        fmt::format("KV cache of {} blocks of {}", blocks, format_bytes(bytes_per_block));
    return too_little(demand, memory, cache, "");
  }
  return blocks;
}

// Blocks that the memory or the user's word allows.
Result<int64_t> affordable_blocks(const MemoryDemand& demand, const SystemMemory& memory) {
  if (demand.num_blocks || demand.kv_cache_memory_bytes) return wanted_blocks(demand, memory);
  const auto budget =
      static_cast<int64_t>(static_cast<double>(memory.available_bytes) * demand.memory_utilization);
  const int64_t rest = budget - fixed_bytes(demand);
  if (rest < bytes_with_tables(demand)) {
    Error error = too_little(
        demand, memory,
        fmt::format("one cache block of {} tokens {}", demand.block_size,
                    format_bytes(demand.bytes_per_block)),
        fmt::format("{:.0f} % (memory-utilization) of ", demand.memory_utilization * 100));
    error.message +=
        "; --quantization q8_0 halves the weights, --max-body-memory and --max-body-size lower "
        "what "
        "requests may take";
    return error;
  }
  return rest / bytes_with_tables(demand);
}

}  // namespace

Result<CachePlan> plan_cache(const MemoryDemand& demand, const SystemMemory& memory) {
  if (demand.max_model_len && *demand.max_model_len > demand.model_context) {
    return invalid_argument(fmt::format("max-model-len: {} tokens are over the model's limit of {}",
                                        *demand.max_model_len, demand.model_context));
  }
  ASSIGN_OR_RETURN(int64_t blocks, affordable_blocks(demand, memory));

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
  plan.request_bytes = demand.request_bytes + blocks * demand.table_bytes_per_block;
  plan.budget_bytes = demand.process_bytes + demand.weight_bytes + demand.working_bytes +
                      plan.kv_cache_bytes + plan.request_bytes;
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
