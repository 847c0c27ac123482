// Scheduler: chooses the work of each step; the only code that takes and returns blocks.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "core/step.h"
#include "engine/block_pool.h"
#include "engine/output_length_predictor.h"
#include "engine/prefix_cache.h"
#include "engine/sequence.h"
#include "engine/waiting_queue.h"

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
  int32_t num_cached_prompt_tokens = 0;
};

// Running totals.
struct SchedulerTotals {
  int64_t num_prompt_tokens = 0;          // computed for the first time
  int64_t num_cached_prompt_tokens = 0;   // found in the prefix cache instead
  int64_t num_queried_prompt_tokens = 0;  // looked for there
  int64_t num_queried_store_tokens = 0;   // not in memory and looked for in the block store
  int64_t num_stored_prompt_tokens = 0;   // of the cached ones, read back from there
  int64_t num_recomputed_tokens = 0;      // computed again after a preemption
  int64_t num_drafts = 0;                 // steps of a sequence that had draft tokens
  int64_t num_draft_tokens = 0;
  int64_t num_accepted_draft_tokens = 0;      // which were what the model chose
  std::array<int64_t, 64> num_accepted_at{};  // of those, by place among the drafts of a step
};

// There are no phases: each step lets num_computed_tokens of each sequence catch up with its
// number of tokens, so a prompt is a sequence far behind and decoding one that is one behind.
//
//  - Each decoding sequence has its token in every step: a stream that has started is never stalled
//    by a new prompt. What is left of the token budget goes to prompts, in the order of running_:
//    guaranteed sequences, interactive ones, background ones, each in the order of admission.
//    A sequence that the runner has put off (SampledToken::not_before) keeps its place and its
//    blocks and is left out of the steps until then.
//  - A decoding sequence whose text seems to repeat itself may have guesses at its next tokens
//    (prompt_lookup.h) computed along with its token, as many as the runner's limits allow in a
//    step and the block of its token has room for; so they never need a block, and what they cost
//    is small. Which tokens it gets does not depend on them.
//  - Who of the waiting is next is the WaitingQueue's choice. It is admitted when there is a place,
//    a token of the budget, and, beside what the running ones need for their tokens, blocks for all
//    of its own until, by the predicted lengths of all outputs, somebody ends: the largest need at
//    any of the coming ends must fit. While who is next finds no room, nobody else starts; only a
//    guaranteed one whose room is guaranteed to others is passed, by those that can be preempted
//    for it.
//  - At most max_num_background_seqs background sequences run; more wait, and hold up no
//    interactive one.
//  - A prompt takes over what the prefix cache has of it: at admission, and again in each step that
//    begins at a block's edge, so that it also profits from what others compute meanwhile.
//  - When a running sequence needs a block and none is free, the last one in running_ is preempted:
//    it loses its blocks, keeps its tokens and waits. When an interactive sequence is next and
//    finds no room, background ones are preempted if that makes room. Either way it is then
//    guaranteed: admitted again only with blocks for the longest it may become, and never preempted
//    again. So no sequence is computed more than twice, whatever the pressure. That the guaranteed
//    ones always fit is certain: each fits alone (the Engine has refused others), and together they
//    are only admitted within the pool.
//  - A later choice of a request waits until an earlier running one has computed the prompt, then
//    shares its full prompt blocks. These are never written again, so no copy is needed; the last,
//    partly filled one is computed by each choice.
//
// Owned by the Engine; engine thread only. Owns the Sequences; `pool` and `clock` must outlive it.
class Scheduler {
 public:
  struct Options {
    StepLimits limits;
    int32_t max_model_len = 0;
    bool enable_prefix_caching = true;
    int32_t max_num_background_seqs = 0;  // running at once; 0: half of what may run, at least one
    ModelRunner* runner = nullptr;        // both or neither: moves blocks to and from `store`
    BlockStore* store = nullptr;
  };
  // REQUIRES: both limits and max_model_len >= 1.
  Scheduler(const Options& options, BlockPool& pool, const Clock& clock = real_clock());

  // REQUIRES: newer (a larger id) than every one before; fits the pool alone.
  void add(std::unique_ptr<Sequence> sequence);
  // Drops every sequence of a request, or one choice; does nothing when there is none.
  void remove(RequestId request_id);
  void remove(RequestId request_id, int32_t choice_index);

  bool empty() const { return running_.empty() && waiting_.empty(); }
  int32_t num_running() const { return static_cast<int32_t>(running_.size()); }
  int32_t num_waiting() const { return waiting_.size(); }
  int32_t num_cached_blocks() const { return cache_ ? cache_->num_blocks() : 0; }
  const SchedulerTotals& totals() const { return totals_; }
  // When the first of the running ones may have a step again; zero: at once, or none runs.
  TimePoint next_due() const;
  void for_each_running(const std::function<void(const Sequence&)>& visit) const;

  // The next step; has work unless empty(), or the runner has put off who runs. Its spans hold
  // until the next call of any other function.
  ScheduledStep schedule();
  // Takes in the result of `step`: appends tokens, ends sequences. Those removed since are skipped
  // and their tokens dropped. REQUIRES: an output as ModelRunnerOutput says.
  std::vector<SequenceNews> update(const ScheduledStep& step, ModelRunnerOutput output);

  // As PrefixCache::save_some; false without a cache.
  bool save_cached_blocks(int32_t limit) { return cache_ && cache_->save_some(limit); }

  // kInternal, naming the first of the rules above (or of Sequence) that does not hold between
  // steps. O(num_blocks).
  Result<void> check_invariants() const;

 private:
  // What a sequence that starts need not compute.
  struct Reuse {
    std::vector<BlockId> blocks;  // of its beginning
    bool of_sibling = false;      // they belong to an earlier choice, which runs
    bool must_wait = false;       // until that has computed them
    int32_t num_shared() const { return static_cast<int32_t>(blocks.size()); }
  };

  // Place in running_: 0 guaranteed, 1 interactive, 2 background.
  static int32_t rank_of(const Sequence& sequence);

  // Who starts.
  void displace_background(std::vector<RequestId>& preempted);
  void admit_waiting();
  Sequence* next_to_start() const;
  bool guarantee_fits(const Sequence& candidate) const;
  bool is_within_background_limit(const Sequence& candidate) const;
  bool has_place() const { return num_running() < max_num_running_; }
  Reuse find_reuse(Sequence& sequence) const;
  bool fits(const Sequence& candidate, const Reuse& reuse) const;
  int64_t predicted_peak_blocks(const Sequence& candidate, const Reuse& reuse) const;
  int32_t predicted_remaining_tokens(const Sequence& sequence) const;
  int32_t num_budget_tokens_left(int32_t rank) const;
  void start(std::unique_ptr<Sequence> sequence, const Reuse& reuse);

  // The step and its result.
  void schedule_running(ScheduledStep& step, TimePoint now);
  void preempt(size_t index, std::vector<RequestId>& preempted);
  // Guesses, at most `limit`, for the end of a decoding sequence.
  void draft(Sequence& sequence, int32_t limit) const;
  void append_to(ScheduledStep& step, const Sequence& sequence, int32_t num_scheduled_tokens) const;
  void note_computed(Sequence& sequence, int32_t num_tokens);
  // Takes in tokens of a sequence that was scheduled, until it ends.
  void take_in(Sequence& sequence, const ScheduledSequence& scheduled,
               std::span<SampledToken> tokens, std::vector<SequenceNews>& news);
  // Takes in a token that is to come later.
  void defer(Sequence& sequence, int32_t num_scheduled_tokens);
  SequenceNews append_token(Sequence& sequence, SampledToken token);

  // The prefix cache.
  void extend_from_cache(Sequence& sequence);
  void offer_to_cache(Sequence& sequence);
  void note_found(Sequence& sequence, int32_t num_tokens, bool in_cache);
  std::optional<BlockId> find_cached(Sequence& sequence, int32_t block) const;
  int32_t num_reusable_blocks(const Sequence& sequence) const;
  void hash_blocks(Sequence& sequence, int32_t num_blocks) const;
  const BlockHash& hash_before(const Sequence& sequence, int32_t block) const;
  std::span<const TokenId> block_tokens(const Sequence& sequence, int32_t block) const;

  Result<void> check_running(std::vector<int32_t>& num_references) const;

  const StepLimits limits_;
  const int32_t max_num_running_;     // each can have a token in every step
  const int32_t max_num_background_;  // of those
  const int32_t max_model_len_;
  BlockPool& pool_;
  const Clock& clock_;
  const bool has_store_;
  std::unique_ptr<PrefixCache> cache_;              // null: switched off
  std::vector<std::unique_ptr<Sequence>> running_;  // by rank, then in the order of admission
  std::unordered_map<SequenceId, Sequence*> running_by_id_;
  WaitingQueue waiting_;
  OutputLengthPredictor predictor_;
  SchedulerTotals totals_;
  TimePoint restore_until_{};  // of this step's readings from the store
};

}  // namespace pagoda
