// One engine step as data: what the scheduler hands to the runner and what comes back.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "core/sampling_params.h"
#include "core/types.h"

namespace pagoda {

// One sequence's share of a step. Spans point into the engine's state and stay
// valid until ModelRunner::execute() returns.
struct ScheduledSequence {
  SequenceId id = 0;
  std::span<const TokenId> token_ids;        // prompt and output so far, and then drafts
  int32_t num_prompt_tokens = 0;             // leading tokens that are the client's prompt
  int32_t num_computed_tokens = 0;           // leading tokens whose K and V are cached
  int32_t num_scheduled_tokens = 0;          // tokens to compute in this step, >= 1
  std::span<const BlockId> block_table;      // covers computed + scheduled tokens
  const SamplingParams* sampling = nullptr;  // null: prompt chunk, nothing to sample yet
  int32_t choice_index = 0;      // which of the request's n choices: part of the random counter
  TimePoint not_before{};        // as its last SampledToken had it; zero in its first step
  int32_t num_draft_tokens = 0;  // trailing token_ids that are guesses, all of them scheduled
};

// One step: at most StepLimits::max_num_batched_tokens tokens in at most max_num_seqs sequences.
struct SchedulerOutput {
  std::vector<ScheduledSequence> sequences;
  int32_t num_tokens = 0;  // sum of num_scheduled_tokens
};

struct TokenLogprob {
  TokenId token = 0;
  float logprob = 0.0F;  // natural logarithm of the probability under the unmodified logits
};

// The token chosen for one sequence that asked for one.
struct SampledToken {
  SequenceId sequence_id = 0;
  TokenId token = 0;
  float logprob = 0.0F;                         // of `token`; set when num_logprobs >= 0
  std::vector<TokenLogprob> top_logprobs = {};  // most likely first, num_logprobs of them
  // Set: no token could be chosen, which ends this sequence's request alone; the rest has no
  // meaning.
  std::optional<Error> error = {};
  // Set: no token yet. The last of the scheduled tokens counts as not computed, and is scheduled
  // again; of the rest only not_before has a meaning.
  bool deferred = false;
  // The sequence is not scheduled before this time, so that a runner whose sequences take their
  // time side by side need not hold all of them up. Zero: as soon as there is room.
  TimePoint not_before{};
};

// In the order of SchedulerOutput::sequences, skipping those with sampling == nullptr. A sequence
// without drafts has one token. One with drafts has the token that follows its output, and as long
// as a token is the draft in its place, the one that follows that: 1 to 1 + num_draft_tokens
// tokens, exactly those that it would get one by one. The drafts that are not among them count as
// not computed; where a token that follows a draft cannot be chosen, it and all after it are left
// out.
struct ModelRunnerOutput {
  std::vector<SampledToken> tokens;
};

// The tokens of one sequence, which begin at `first`: those that follow each other with its id.
inline std::span<SampledToken> tokens_of(SequenceId id, ModelRunnerOutput& output, size_t first) {
  size_t end = first;
  while (end < output.tokens.size() && output.tokens[end].sequence_id == id) ++end;
  return std::span(output.tokens).subspan(first, end - first);
}

// The paged cache as the engine sees it: a number of blocks.
struct KvCacheSpec {
  int32_t num_blocks = 0;
  int32_t block_size = 0;       // tokens a block
  int64_t bytes_per_block = 0;  // K and V of all layers
};

// The most one step may hold.
struct StepLimits {
  int32_t max_num_batched_tokens = 0;
  int32_t max_num_seqs = 0;
  // Drafts in all; with them, at most 1 + that many tokens of sequences that decode: as many as
  // take much less than so many times the time of one. 0: the runner takes none.
  int32_t max_num_draft_tokens = 0;
};

}  // namespace pagoda
