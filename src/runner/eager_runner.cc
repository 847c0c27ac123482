// Flattening, running and sampling one step.
#include "runner/eager_runner.h"

#include <fmt/core.h>

#include <utility>

#include "runner/memory_use.h"

namespace pagoda {

Result<std::unique_ptr<EagerRunner>> EagerRunner::create(std::unique_ptr<Model> model,
                                                         Backend& backend,
                                                         const EagerRunnerOptions& options) {
  CHECK(model != nullptr);
  const StepLimits& limits = options.limits;
  if (limits.max_num_batched_tokens < 1 || limits.max_num_seqs < 1 || options.num_blocks < 1 ||
      options.block_size < 1) {
    return invalid_argument(fmt::format(
        "a runner needs positive counts, got {} tokens, {} sequences, {} blocks of {} tokens",
        limits.max_num_batched_tokens, limits.max_num_seqs, options.num_blocks,
        options.block_size));
  }
  const ModelConfig& config = model->config();
  ASSIGN_OR_RETURN(const int64_t arena_bytes, step_arena_bytes(config, limits));
  RETURN_IF_ERROR(backend.reserve_arena(static_cast<size_t>(arena_bytes)));
  ASSIGN_OR_RETURN(KvCache cache, KvCache::create({.num_layers = config.num_layers,
                                                   .num_blocks = options.num_blocks,
                                                   .block_size = options.block_size,
                                                   .num_kv_heads = config.num_kv_heads,
                                                   .head_size = config.head_size,
                                                   .dtype = options.kv_dtype}));
  return std::unique_ptr<EagerRunner>(
      new EagerRunner(std::move(model), backend, options, std::move(cache)));
}

EagerRunner::EagerRunner(std::unique_ptr<Model> model, Backend& backend,
                         const EagerRunnerOptions& options, KvCache cache)
    : model_(std::move(model)), backend_(backend), options_(options), cache_(std::move(cache)) {
  ThreadPool* const pool = backend.thread_pool();
  const int32_t num_samplers = pool != nullptr ? pool->num_threads() : 1;
  for (int32_t i = 0; i < num_samplers; ++i) samplers_.emplace_back(model_->config().vocab_size);
}

KvCacheSpec EagerRunner::kv_cache_spec() const {
  return {.num_blocks = options_.num_blocks,
          .block_size = options_.block_size,
          .bytes_per_block = cache_.geometry().bytes_per_block()};
}

Result<ModelRunnerOutput> EagerRunner::execute(const SchedulerOutput& step) {
  check_step(step);
  RETURN_IF_ERROR(flatten(step));
  Ops& ops = backend_.ops();
  ops.begin_step();
  const Tensor logits = model_->forward(ops,
                                        {.token_ids = token_ids_,
                                         .positions = positions_,
                                         .attention = {attention_},
                                         .logit_rows = logit_rows_},
                                        cache_);
  if (sampled_.empty()) return ModelRunnerOutput{};
  return sample(ops.read(logits));
}

void EagerRunner::read_block(BlockId block, std::span<std::byte> out) const {
  cache_.copy_block_to(block, out);
}

void EagerRunner::write_block(BlockId block, std::span<const std::byte> data) {
  cache_.copy_block_from(block, data);
}

// The scheduler's promises. A broken one would read or write memory that is not the sequence's.
void EagerRunner::check_step(const SchedulerOutput& step) const {
  CHECK(!step.sequences.empty());
  CHECK(step.sequences.size() <= static_cast<size_t>(options_.limits.max_num_seqs));
  CHECK(step.num_tokens <= options_.limits.max_num_batched_tokens);
  int64_t num_tokens = 0;
  int64_t num_draft_tokens = 0;
  for (const ScheduledSequence& sequence : step.sequences) {
    CHECK(sequence.num_scheduled_tokens >= 1 && sequence.num_computed_tokens >= 0);
    const int64_t end = int64_t{sequence.num_computed_tokens} + sequence.num_scheduled_tokens;
    const auto length = static_cast<int64_t>(sequence.token_ids.size());
    CHECK(end <= length);
    CHECK(sequence.num_prompt_tokens >= 0 && sequence.num_prompt_tokens <= length);
    // A token is chosen after the last one known, never in the middle.
    CHECK(sequence.sampling == nullptr || end == length);
    CHECK(sequence.num_draft_tokens == 0 || sequence.sampling != nullptr);
    CHECK(sequence.num_draft_tokens < sequence.num_scheduled_tokens);
    num_draft_tokens += sequence.num_draft_tokens;
    CHECK(static_cast<int64_t>(sequence.block_table.size()) * options_.block_size >= end);
    for (const BlockId block : sequence.block_table) {
      CHECK(block >= 0 && block < options_.num_blocks);
    }
    num_tokens += sequence.num_scheduled_tokens;
  }
  CHECK(num_tokens == step.num_tokens);
  CHECK(num_draft_tokens <= options_.limits.max_num_draft_tokens);
}

Result<void> EagerRunner::flatten(const SchedulerOutput& step) {
  token_ids_.clear();
  positions_.clear();
  attention_.clear();
  logit_rows_.clear();
  sampled_.clear();
  for (const ScheduledSequence& sequence : step.sequences) {
    attention_.push_back({.first_row = static_cast<int32_t>(token_ids_.size()),
                          .num_rows = sequence.num_scheduled_tokens,
                          .num_computed_tokens = sequence.num_computed_tokens,
                          .block_table = sequence.block_table});
    const int32_t end = sequence.num_computed_tokens + sequence.num_scheduled_tokens;
    for (int32_t position = sequence.num_computed_tokens; position < end; ++position) {
      const TokenId token = sequence.token_ids[static_cast<size_t>(position)];
      if (token < 0 || token >= model_->config().vocab_size) {
        return invalid_argument(fmt::format("token id {} is outside the vocabulary of {}", token,
                                            model_->config().vocab_size));
      }
      token_ids_.push_back(token);
      positions_.push_back(position);
    }
    if (sequence.sampling == nullptr) continue;
    sampled_.push_back({&sequence, logit_rows_.size()});
    for (int32_t i = sequence.num_draft_tokens; i >= 0; --i) {
      logit_rows_.push_back(static_cast<int32_t>(token_ids_.size()) - 1 - i);
    }
  }
  return {};
}

Result<ModelRunnerOutput> EagerRunner::sample(std::span<const float> logits) {
  CHECK(logits.size() == logit_rows_.size() * static_cast<size_t>(model_->config().vocab_size));
  std::vector<std::vector<SampledToken>> results(sampled_.size());
  const auto body = [&](int64_t begin, int64_t end, int32_t worker) {
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
      results[i] = sample(sampled_[i], logits, samplers_[static_cast<size_t>(worker)]);
    }
  };
  const auto count = static_cast<int64_t>(sampled_.size());
  if (ThreadPool* const pool = backend_.thread_pool(); pool != nullptr) {
    pool->parallel_for(count, 1, body);
  } else {
    body(0, count, 0);
  }
  ModelRunnerOutput output;
  for (std::vector<SampledToken>& tokens : results) {
    for (SampledToken& token : tokens) output.tokens.push_back(std::move(token));
  }
  return output;
}

std::vector<SampledToken> EagerRunner::sample(const Sampled& sampled, std::span<const float> logits,
                                              Sampler& sampler) {
  const ScheduledSequence& sequence = *sampled.sequence;
  const auto vocab_size = static_cast<size_t>(model_->config().vocab_size);
  const auto num_drafts = static_cast<size_t>(sequence.num_draft_tokens);
  const size_t num_known = sequence.token_ids.size() - num_drafts;
  std::vector<SampledToken> tokens;
  for (size_t i = 0; i <= num_drafts; ++i) {
    Result<SampledToken> result = sampler.sample(
        {.logits = logits.subspan((sampled.first_logits + i) * vocab_size, vocab_size),
         .token_ids = sequence.token_ids.first(num_known + i),
         .num_prompt_tokens = sequence.num_prompt_tokens,
         .choice_index = sequence.choice_index,
         .params = sequence.sampling});
    // Behind a draft it comes again as the first of a step.
    if (!result.ok() && i > 0) break;
    SampledToken token;
    if (result.ok()) {
      token = std::move(result).value();
    } else {
      token.error = std::move(result).error();
    }
    token.sequence_id = sequence.id;
    const bool goes_on =
        !token.error && i < num_drafts && token.token == sequence.token_ids[num_known + i];
    tokens.push_back(std::move(token));
    if (!goes_on) break;
  }
  return tokens;
}

}  // namespace pagoda
