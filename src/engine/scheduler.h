// Scheduler: chooses the work of each step; the only code that takes and returns blocks.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "base/result.h"
#include "core/step.h"
#include "engine/block_pool.h"
#include "engine/sequence.h"

namespace pagoda {

// One step's work.
struct ScheduledStep {
  SchedulerOutput output;              // spans into the scheduler's sequences
  std::vector<RequestId> request_ids;  // of output.sequences, in their order
  std::vector<RequestId> preempted;    // whose sequences gave up their blocks, one entry for each
};

// What a step brought one sequence.
struct SequenceNews {
  RequestId request_id = 0;
  int32_t choice_index = 0;
  SampledToken token;
  std::optional<FinishReason> finish_reason;  // set: the sequence is gone
  std::optional<TokenId> stop_token_id;
};

// There are no phases: each step lets num_computed_tokens of each sequence catch up with its
// number of tokens, so a prompt is a sequence far behind and decoding one that is one behind.
//
//  - Running sequences first, oldest first; what is left of the token budget goes to the next
//    chunk of an unfinished prompt and then to waiting sequences, first come first served. Only
//    the newest running one can be an unfinished prompt, and who is admitted takes a token of the
//    budget. So each decoding sequence has its token in every step: a stream that has started is
//    never stalled by a new prompt.
//  - A waiting sequence is admitted when there are blocks for all its tokens, beside what running
//    ones still need for theirs, and one more block for each. The spare block is what decoding
//    takes in the next block_size steps: without it an admission would soon be a preemption.
//  - When a running sequence needs a block and none is free, the newest running one is preempted:
//    it loses its blocks, keeps its tokens, goes back to the front of the queue and is computed
//    again. Nobody is admitted in such a step. A sequence alone always goes on, because the Engine
//    has refused what cannot fit alone.
//  - A later choice of a request waits until an earlier running one has computed the prompt, then
//    shares its full prompt blocks. These are never written again, so no copy is needed; the last,
//    partly filled one is computed by each choice. When no earlier choice is running, it computes
//    the whole prompt.
//
// Owned by the Engine; engine thread only. Owns the Sequences; `pool` must outlive it.
class Scheduler {
 public:
  // REQUIRES: both limits and max_model_len >= 1.
  Scheduler(const StepLimits& limits, int32_t max_model_len, BlockPool& pool);

  // REQUIRES: newer (a larger id) than every one before; fits the pool alone.
  void add(std::unique_ptr<Sequence> sequence);
  // Drops every sequence of a request, or one choice; does nothing when there is none.
  void remove(RequestId request_id);
  void remove(RequestId request_id, int32_t choice_index);

  bool empty() const { return running_.empty() && waiting_.empty(); }
  int32_t num_running() const { return static_cast<int32_t>(running_.size()); }
  int32_t num_waiting() const { return static_cast<int32_t>(waiting_.size()); }
  int64_t num_computed_prompt_tokens() const { return num_computed_prompt_tokens_; }

  // The next step; has work unless empty(). Its spans hold until the next call of any other
  // function.
  ScheduledStep schedule();
  // Takes in the result of `step`: appends tokens, ends sequences. Those removed since are skipped
  // and their tokens dropped. REQUIRES: one token for each that asked, in the step's order.
  std::vector<SequenceNews> update(const ScheduledStep& step, ModelRunnerOutput output);

  // kInternal, naming the first of the rules above (or of Sequence) that does not hold between
  // steps. O(num_blocks).
  Result<void> check_invariants() const;

 private:
  void schedule_running(ScheduledStep& step);
  void admit_waiting(ScheduledStep& step);
  void preempt_newest(ScheduledStep& step);
  void append_to(ScheduledStep& step, const Sequence& sequence, int32_t num_scheduled_tokens) const;
  int32_t remaining_budget(const ScheduledStep& step) const;
  int32_t num_headroom_blocks() const;
  Sequence* find_running(SequenceId id);
  SequenceNews append_token(Sequence& sequence, SampledToken token) const;

  StepLimits limits_;
  int32_t max_model_len_;
  BlockPool& pool_;
  std::vector<std::unique_ptr<Sequence>> running_;  // oldest first
  std::deque<std::unique_ptr<Sequence>> waiting_;   // oldest first, all newer than running ones
  int64_t num_computed_prompt_tokens_ = 0;
};

}  // namespace pagoda
