// Words and cache blocks of a simulated model.
#include "app/simulated_model.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string_view>
#include <utility>
#include <vector>

#include "runner/memory_use.h"

namespace pagoda {
namespace {

// Each takes the engine some 20 bytes.
constexpr int64_t kMostBlocks = int64_t{1} << 22;

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// " word": what makes a text that reads like one.
bool is_word(std::string_view text) {
  return text.size() >= 3 && text.front() == ' ' &&
         std::all_of(text.begin() + 1, text.end(), is_letter);
}

bool is_printable(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7F; });
}

template <typename Predicate>
std::vector<TokenId> tokens_that(const Tokenizer& tokenizer, Predicate predicate) {
  std::vector<TokenId> found;
  for (TokenId id = 0; id < tokenizer.vocab_size(); ++id) {
    if (!tokenizer.is_special(id) && predicate(tokenizer.token_bytes(id))) found.push_back(id);
  }
  return found;
}

std::vector<TokenId> words_of(const Tokenizer& tokenizer) {
  std::vector<TokenId> words = tokens_that(tokenizer, is_word);
  if (words.empty()) words = tokens_that(tokenizer, is_printable);
  if (words.empty()) words = {0};
  return words;
}

int64_t divide_up(int64_t value, int64_t divisor) {
  return (value + divisor - 1) / divisor;
}

Result<CachePlan> plan_blocks(const EngineOptions& options, const ModelConfig& config,
                              int32_t max_num_seqs) {
  const int32_t context = config.max_position_embeddings;
  if (options.max_model_len.value_or(1) > context) {
    return invalid_argument(fmt::format("max-model-len: {} tokens are over the model's limit of {}",
                                        *options.max_model_len, context));
  }
  const int64_t wanted = options.max_model_len.value_or(context);
  int64_t blocks = std::min(divide_up(wanted, options.block_size) * max_num_seqs, kMostBlocks);
  if (options.num_blocks) {
    blocks = *options.num_blocks;
  } else if (options.kv_cache_memory_bytes) {
    blocks = *options.kv_cache_memory_bytes /
             kv_bytes_per_block(config, options.kv_cache_dtype.value_or(DType::kBF16),
                                options.block_size);
  }
  blocks = std::min<int64_t>(blocks, std::numeric_limits<int32_t>::max() / options.block_size);
  if (blocks < 1 || blocks > kMostBlocks) {
    return invalid_argument(fmt::format(
        "simulate: the cache would have {} blocks; there can be 1 to {}", blocks, kMostBlocks));
  }
  CachePlan plan;
  plan.num_blocks = static_cast<int32_t>(blocks);
  plan.num_cache_tokens = blocks * options.block_size;
  plan.max_model_len = static_cast<int32_t>(std::min(wanted, plan.num_cache_tokens));
  if (options.max_model_len && plan.max_model_len < wanted) {
    return invalid_argument(
        fmt::format("max-model-len: {} tokens do not fit the KV cache of {} tokens", wanted,
                    plan.num_cache_tokens));
  }
  return plan;
}

}  // namespace

Result<SimulatedModel> make_simulated_model(const EngineOptions& options, const ModelConfig& config,
                                            const Tokenizer& tokenizer, bool can_end) {
  if (!options.prefix_cache_dir.empty()) {
    return invalid_argument("prefix-cache-dir: a simulated model has no blocks to keep on disk");
  }
  if (options.simulation->output_tokens > 0 && !can_end) {
    return invalid_argument("simulate: output: the model has no end-of-text token to end with");
  }
  SimulatedModel model;
  const StepLimits limits = step_limits_of(options);
  ASSIGN_OR_RETURN(model.plan, plan_blocks(options, config, limits.max_num_seqs));
  model.runner = std::make_unique<SimulatedRunner>(
      SimulatedRunner::Options{.simulation = *options.simulation,
                               .limits = limits,
                               .num_blocks = model.plan.num_blocks,
                               .block_size = options.block_size,
                               .words = words_of(tokenizer)});
  return model;
}

}  // namespace pagoda
