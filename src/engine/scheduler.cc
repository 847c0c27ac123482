// Scheduler: the token budget, admission, preemption and the end of sequences.
#include "engine/scheduler.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace pagoda {

namespace {

bool contains(const std::vector<TokenId>& ids, TokenId id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

// Full blocks of the prompt that a choice can take over: at least one token stays to be computed,
// since its logits are needed.
int32_t num_shareable_blocks(const Sequence& sequence, const BlockPool& pool) {
  return (sequence.num_prompt_tokens() - 1) / pool.block_size();
}

Error violation(const Sequence& sequence, std::string_view what) {
  return {ErrorCode::kInternal,
          fmt::format("sequence {} {}: {} tokens, {} computed, {} blocks", sequence.id, what,
                      sequence.num_tokens(), sequence.num_computed_tokens,
                      sequence.block_table.num_blocks())};
}

}  // namespace

Scheduler::Scheduler(const StepLimits& limits, int32_t max_model_len, BlockPool& pool)
    : limits_(limits), max_model_len_(max_model_len), pool_(pool) {
  CHECK(limits.max_num_batched_tokens >= 1);
  CHECK(limits.max_num_seqs >= 1);
  CHECK(max_model_len >= 1);
}

void Scheduler::add(std::unique_ptr<Sequence> sequence) {
  CHECK(waiting_.empty() || waiting_.back()->id < sequence->id);
  CHECK(running_.empty() || running_.back()->id < sequence->id);
  waiting_.push_back(std::move(sequence));
}

void Scheduler::remove(RequestId request_id) {
  const auto matches = [&](const auto& s) { return s->request_id == request_id; };
  std::erase_if(running_, matches);
  std::erase_if(waiting_, matches);
}

void Scheduler::remove(RequestId request_id, int32_t choice_index) {
  const auto matches = [&](const auto& s) {
    return s->request_id == request_id && s->choice_index == choice_index;
  };
  std::erase_if(running_, matches);
  std::erase_if(waiting_, matches);
}

ScheduledStep Scheduler::schedule() {
  ScheduledStep step;
  schedule_running(step);
  if (step.preempted.empty()) admit_waiting(step);
  CHECK(!step.output.sequences.empty() || empty());
  return step;
}

void Scheduler::schedule_running(ScheduledStep& step) {
  for (size_t i = 0; i < running_.size() && remaining_budget(step) > 0; ++i) {
    Sequence& sequence = *running_[i];
    const int32_t n = std::min(sequence.num_uncomputed_tokens(), remaining_budget(step));
    // Victims stand behind `sequence`, so none of them is in `step` yet. It goes itself when it is
    // the newest.
    while (running_.size() > i && !sequence.block_table.reserve(sequence.num_computed_tokens + n)) {
      CHECK(running_.size() > 1);
      preempt_newest(step);
    }
    if (running_.size() == i) return;
    append_to(step, sequence, n);
  }
}

void Scheduler::preempt_newest(ScheduledStep& step) {
  std::unique_ptr<Sequence> victim = std::move(running_.back());
  running_.pop_back();
  victim->block_table.clear();
  victim->num_computed_tokens = 0;
  step.preempted.push_back(victim->request_id);
  waiting_.push_front(std::move(victim));
}

void Scheduler::admit_waiting(ScheduledStep& step) {
  int32_t num_headroom = num_headroom_blocks();
  while (!waiting_.empty() && num_running() < limits_.max_num_seqs && remaining_budget(step) > 0) {
    Sequence& sequence = *waiting_.front();
    // Both lists are in order of age and choices of a request are added together, so the newest
    // running sequence is a choice of the same request if any is.
    const bool has_sibling =
        !running_.empty() && running_.back()->request_id == sequence.request_id;
    const int32_t num_shared = has_sibling ? num_shareable_blocks(sequence, pool_) : 0;
    const int32_t num_shared_tokens = num_shared * pool_.block_size();
    if (has_sibling && running_.back()->num_computed_tokens < num_shared_tokens) return;
    const int32_t num_needed = pool_.blocks_for(sequence.num_tokens()) - num_shared + 1;
    if (!running_.empty() && num_needed > num_headroom) return;
    num_headroom -= num_needed;

    if (sequence.token_ids.empty()) sequence.token_ids = sequence.request->prompt_token_ids;
    if (num_shared > 0) {
      sequence.block_table.share_prefix(running_.back()->block_table, num_shared);
      sequence.num_computed_tokens = num_shared_tokens;
      sequence.num_counted_prompt_tokens =
          std::max(sequence.num_counted_prompt_tokens, num_shared_tokens);
    }
    const int32_t n = std::min(sequence.num_uncomputed_tokens(), remaining_budget(step));
    CHECK(sequence.block_table.reserve(sequence.num_computed_tokens + n));
    running_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
    append_to(step, sequence, n);
  }
}

// Free blocks beyond what running sequences need for their tokens and one spare block each; may be
// negative.
int32_t Scheduler::num_headroom_blocks() const {
  int32_t num_headroom = pool_.num_free_blocks();
  for (const auto& s : running_) {
    num_headroom -= pool_.blocks_for(s->num_tokens()) + 1 - s->block_table.num_blocks();
  }
  return num_headroom;
}

int32_t Scheduler::remaining_budget(const ScheduledStep& step) const {
  return limits_.max_num_batched_tokens - step.output.num_tokens;
}

void Scheduler::append_to(ScheduledStep& step, const Sequence& sequence,
                          int32_t num_scheduled_tokens) const {
  const bool samples = num_scheduled_tokens == sequence.num_uncomputed_tokens();
  step.output.sequences.push_back({
      .id = sequence.id,
      .token_ids = sequence.token_ids,
      .num_prompt_tokens = sequence.num_prompt_tokens(),
      .num_computed_tokens = sequence.num_computed_tokens,
      .num_scheduled_tokens = num_scheduled_tokens,
      .block_table = sequence.block_table.blocks(),
      .sampling = samples ? &sequence.request->sampling : nullptr,
      .choice_index = sequence.choice_index,
  });
  step.output.num_tokens += num_scheduled_tokens;
  step.request_ids.push_back(sequence.request_id);
}

Sequence* Scheduler::find_running(SequenceId id) {
  const auto found =
      std::lower_bound(running_.begin(), running_.end(), id,
                       [](const auto& s, SequenceId wanted) { return s->id < wanted; });
  return found != running_.end() && (*found)->id == id ? found->get() : nullptr;
}

std::vector<SequenceNews> Scheduler::update(const ScheduledStep& step, ModelRunnerOutput output) {
  std::vector<SequenceNews> news;
  size_t next_token = 0;
  for (const ScheduledSequence& scheduled : step.output.sequences) {
    SampledToken* token = nullptr;
    if (scheduled.sampling != nullptr) token = &output.tokens[next_token++];
    Sequence* sequence = find_running(scheduled.id);
    if (sequence == nullptr) continue;  // removed while the step ran
    sequence->num_computed_tokens += scheduled.num_scheduled_tokens;
    const int32_t num_prompt_computed =
        std::min(sequence->num_computed_tokens, sequence->num_prompt_tokens());
    if (num_prompt_computed > sequence->num_counted_prompt_tokens) {
      num_computed_prompt_tokens_ += num_prompt_computed - sequence->num_counted_prompt_tokens;
      sequence->num_counted_prompt_tokens = num_prompt_computed;
    }
    if (token == nullptr) continue;
    news.push_back(append_token(*sequence, std::move(*token)));
    if (news.back().finish_reason) remove(sequence->request_id, sequence->choice_index);
  }
  return news;
}

SequenceNews Scheduler::append_token(Sequence& sequence, SampledToken token) const {
  SequenceNews news{.request_id = sequence.request_id,
                    .choice_index = sequence.choice_index,
                    .token = std::move(token),
                    .finish_reason = std::nullopt,
                    .stop_token_id = std::nullopt};
  const TokenId id = news.token.token;
  sequence.token_ids.push_back(id);
  const SamplingParams& sampling = sequence.request->sampling;
  if ((!sampling.ignore_eos && contains(sampling.eos_token_ids, id)) ||
      contains(sampling.stop_token_ids, id)) {
    news.finish_reason = FinishReason::kStop;
    news.stop_token_id = id;
  } else if (sequence.num_output_tokens() >= sampling.max_tokens ||
             sequence.num_tokens() >= max_model_len_) {
    news.finish_reason = FinishReason::kLength;
  }
  return news;
}

Result<void> Scheduler::check_invariants() const {
  RETURN_IF_ERROR(pool_.check_invariants());
  std::vector<int32_t> num_references(static_cast<size_t>(pool_.num_blocks()), 0);
  SequenceId newest = 0;
  for (const auto& s : running_) {
    if (s->id <= newest) return violation(*s, "runs out of order");
    newest = s->id;
    if (s->num_uncomputed_tokens() < 1) return violation(*s, "has nothing left to compute");
    if (s->num_tokens() > max_model_len_) return violation(*s, "is longer than max_model_len");
    const int32_t num_blocks = s->block_table.num_blocks();
    if (num_blocks != pool_.blocks_for(s->num_computed_tokens)) {
      return violation(*s, "has not the blocks of its computed tokens");
    }
    for (const BlockId id : s->block_table.blocks()) ++num_references[static_cast<size_t>(id)];
  }
  for (const auto& s : waiting_) {
    if (s->id <= newest) return violation(*s, "waits out of order");
    newest = s->id;
    if (s->num_computed_tokens != 0 || s->block_table.num_blocks() != 0) {
      return violation(*s, "waits and has blocks");
    }
  }
  for (BlockId id = 0; id < pool_.num_blocks(); ++id) {
    const int32_t num_found = num_references[static_cast<size_t>(id)];
    if (num_found != pool_.ref_count(id)) {
      return Error{ErrorCode::kInternal,
                   fmt::format("block {} has ref_count {} and is in {} tables", id,
                               pool_.ref_count(id), num_found)};
    }
  }
  return {};
}

}  // namespace pagoda
