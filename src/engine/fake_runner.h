// FakeRunner: a ModelRunner without a model, whose tokens show any mistake in blocks or steps.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "core/model_runner.h"

namespace pagoda {

struct FakeRunnerConfig {
  int32_t num_blocks = 64;
  int32_t block_size = 4;
  int32_t max_num_batched_tokens = 64;
  int32_t max_num_seqs = 16;
  int32_t max_num_draft_tokens = 0;
  int32_t vocab_size = 100;
};

// For tests. Its cache keeps the token ids themselves, and the next token is a hash of what the
// block table leads to there: a wrong block, a lost or repeated step or a block given away too
// early changes the output. Same threads and lifetime as any ModelRunner; its members are set
// before the engine starts.
class FakeRunner : public ModelRunner {
 public:
  explicit FakeRunner(const FakeRunnerConfig& config = {})
      : config_(config),
        slots_(static_cast<size_t>(config.num_blocks) * static_cast<size_t>(config.block_size),
               kEmptySlot) {}

  // Called first in each step, on the engine thread: to look at it, to be slow, or to return an
  // Error, which becomes the step's. It must not call into the engine.
  std::function<Result<void>(const SchedulerOutput&)> before_step;
  // Called for each token that is asked for, on the engine thread: a time puts the token off until
  // then.
  std::function<std::optional<TimePoint>(const ScheduledSequence&)> defer;

  // What a sequence with these tokens gets next: what any engine must reproduce. With
  // allowed_token_ids it is one of them by the last four tokens alone, so that the text soon
  // repeats itself.
  static TokenId next_token(std::span<const TokenId> token_ids, int32_t num_prompt_tokens,
                            int32_t choice_index, const SamplingParams& sampling,
                            int32_t vocab_size) {
    const bool may_end =
        static_cast<int32_t>(token_ids.size()) - num_prompt_tokens >= sampling.min_tokens;
    const std::vector<TokenId>& allowed = sampling.allowed_token_ids;
    if (!allowed.empty()) token_ids = token_ids.last(std::min<size_t>(token_ids.size(), 4));
    uint64_t hash = sampling.seed * 31 + static_cast<uint64_t>(choice_index) + 1;
    for (const TokenId id : token_ids) {
      hash = (hash ^ static_cast<uint64_t>(static_cast<uint32_t>(id))) * 0x100000001b3;  // FNV-1a
      hash ^= hash >> 29;
    }
    if (!allowed.empty()) return allowed[hash % allowed.size()];
    TokenId token = static_cast<TokenId>(hash % static_cast<uint64_t>(vocab_size));
    while (!may_end && is_end(token, sampling)) token = (token + 1) % vocab_size;
    return token;
  }

  KvCacheSpec kv_cache_spec() const override {
    return {.num_blocks = config_.num_blocks,
            .block_size = config_.block_size,
            .bytes_per_block = int64_t{config_.block_size} * int64_t{sizeof(TokenId)}};
  }
  StepLimits step_limits() const override {
    return {.max_num_batched_tokens = config_.max_num_batched_tokens,
            .max_num_seqs = config_.max_num_seqs,
            .max_num_draft_tokens = config_.max_num_draft_tokens};
  }

  Result<ModelRunnerOutput> execute(const SchedulerOutput& step) override {
    if (before_step) RETURN_IF_ERROR(before_step(step));
    RETURN_IF_ERROR(check_limits(step));
    for (const ScheduledSequence& s : step.sequences) {
      const int32_t end = s.num_computed_tokens + s.num_scheduled_tokens;
      for (int32_t i = s.num_computed_tokens; i < end; ++i) {
        slot(s, i) = s.token_ids[static_cast<size_t>(i)];
      }
    }
    ModelRunnerOutput output;
    for (const ScheduledSequence& s : step.sequences) {
      if (s.sampling == nullptr) continue;
      const std::optional<TimePoint> until = defer ? defer(s) : std::nullopt;
      if (until) {
        output.tokens.push_back(
            {.sequence_id = s.id, .token = -1, .deferred = true, .not_before = *until});
      } else {
        sample(s, output);
      }
    }
    return output;
  }

  void read_block(BlockId block, std::span<std::byte> out) const override {
    const std::span<const TokenId> slots(slots_);
    const auto size = static_cast<size_t>(config_.block_size);
    const auto bytes = std::as_bytes(slots.subspan(static_cast<size_t>(block) * size, size));
    std::copy(bytes.begin(), bytes.end(), out.begin());
  }
  void write_block(BlockId block, std::span<const std::byte> data) override {
    const std::span<TokenId> slots(slots_);
    const auto size = static_cast<size_t>(config_.block_size);
    const auto bytes =
        std::as_writable_bytes(slots.subspan(static_cast<size_t>(block) * size, size));
    std::copy(data.begin(), data.end(), bytes.begin());
  }

 private:
  static constexpr TokenId kEmptySlot = std::numeric_limits<TokenId>::min();

  static bool is_end(TokenId token, const SamplingParams& sampling) {
    const auto has = [token](const std::vector<TokenId>& ids) {
      return std::find(ids.begin(), ids.end(), token) != ids.end();
    };
    return has(sampling.eos_token_ids) || has(sampling.stop_token_ids);
  }

  Result<void> check_limits(const SchedulerOutput& step) const {
    int32_t num_tokens = 0;
    for (const ScheduledSequence& s : step.sequences) {
      const auto end = static_cast<size_t>(s.num_computed_tokens + s.num_scheduled_tokens);
      num_tokens += s.num_scheduled_tokens;
      const size_t num_slots = s.block_table.size() * static_cast<size_t>(config_.block_size);
      const bool reaches_end = end == s.token_ids.size();
      if (s.num_scheduled_tokens < 1 || end > s.token_ids.size() || end > num_slots ||
          reaches_end != (s.sampling != nullptr)) {
        return Error{ErrorCode::kInternal, "a sequence of the step is inconsistent"};
      }
    }
    if (num_tokens != step.num_tokens || num_tokens > config_.max_num_batched_tokens ||
        static_cast<int32_t>(step.sequences.size()) > config_.max_num_seqs) {
      return Error{ErrorCode::kInternal, "the step is beyond its limits"};
    }
    return {};
  }

  TokenId& slot(const ScheduledSequence& s, int32_t position) {
    const BlockId block = s.block_table[static_cast<size_t>(position / config_.block_size)];
    return slots_.at(static_cast<size_t>(block) * static_cast<size_t>(config_.block_size) +
                     static_cast<size_t>(position % config_.block_size));
  }

  // Token after token, as long as the drafts are right.
  void sample(const ScheduledSequence& s, ModelRunnerOutput& output) {
    const int32_t end = s.num_computed_tokens + s.num_scheduled_tokens;
    std::vector<TokenId> history;
    for (int32_t i = 0; i < end; ++i) {
      history.push_back(slot(s, i));
      if (i + 1 < end - s.num_draft_tokens) continue;
      output.tokens.push_back(sample(s, history));
      const bool goes_on = i + 1 < end && output.tokens.back().token == slot(s, i + 1);
      if (!goes_on) return;
    }
  }

  SampledToken sample(const ScheduledSequence& s, std::span<const TokenId> history) {
    SampledToken sampled;
    sampled.sequence_id = s.id;
    sampled.token =
        next_token(history, s.num_prompt_tokens, s.choice_index, *s.sampling, config_.vocab_size);
    for (int32_t i = 0; i < s.sampling->num_logprobs; ++i) {
      sampled.top_logprobs.push_back({.token = (sampled.token + i) % config_.vocab_size,
                                      .logprob = -1.0F - static_cast<float>(i)});
    }
    if (s.sampling->num_logprobs >= 0) sampled.logprob = -1.0F;
    return sampled;
  }

  FakeRunnerConfig config_;
  std::vector<TokenId> slots_;  // [N * B] token ids, by block and place in it
};

}  // namespace pagoda
