// Scheduler: who of the waiting starts, and on whose blocks.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "engine/scheduler.h"

namespace pagoda {

int32_t Scheduler::rank_of(const Sequence& sequence) {
  if (sequence.is_guaranteed) return 0;
  return sequence.request->priority == Priority::kInteractive ? 1 : 2;
}

// A guaranteed sequence whose blocks others are guaranteed lets those pass that can be preempted
// for it, and one above the limit of background work lets interactive ones pass; any other that
// finds no room lets nobody pass, so that room comes about.
Sequence* Scheduler::next_to_start() const {
  Sequence* next = waiting_.next();
  const bool passed = next != nullptr && next->is_guaranteed &&
                      !(guarantee_fits(*next) && is_within_background_limit(*next));
  if (passed) next = waiting_.next_unguaranteed();
  return next != nullptr && is_within_background_limit(*next) ? next : nullptr;
}

// A background sequence that never ran is only next when no interactive one waits.
bool Scheduler::is_within_background_limit(const Sequence& candidate) const {
  if (candidate.request->priority == Priority::kInteractive) return true;
  const auto is_background = [](const auto& s) {
    return s->request->priority == Priority::kBackground;
  };
  return std::ranges::count_if(running_, is_background) < max_num_background_;
}

bool Scheduler::guarantee_fits(const Sequence& candidate) const {
  int64_t num_reserved = pool_.blocks_for(candidate.max_num_tokens(max_model_len_));
  for (const auto& s : running_) {
    if (s->is_guaranteed) num_reserved += pool_.blocks_for(s->max_num_tokens(max_model_len_));
  }
  return num_reserved <= pool_.num_blocks();
}

void Scheduler::admit_waiting() {
  while (Sequence* next = next_to_start()) {
    if (!has_place() || num_budget_tokens_left(rank_of(*next)) < 1) return;
    const Reuse reuse = find_reuse(*next);
    if (reuse.must_wait || !fits(*next, reuse)) return;
    start(waiting_.take(*next), reuse);
  }
}

// Tokens of this step that no decoding sequence and no prompt before one of this rank will take.
int32_t Scheduler::num_budget_tokens_left(int32_t rank) const {
  int32_t num_left = limits_.max_num_batched_tokens;
  for (const auto& s : running_) {
    const int32_t n = s->num_uncomputed_tokens();
    num_left -= std::min(num_left, n == 1 || rank_of(*s) <= rank ? n : 0);
  }
  return num_left;
}

// Preempts background sequences, the latest first, when that lets an interactive one start.
void Scheduler::displace_background(std::vector<RequestId>& preempted) {
  Sequence* next = next_to_start();
  if (next == nullptr || next->request->priority != Priority::kInteractive) return;
  const Reuse reuse = find_reuse(*next);
  if (reuse.must_wait || (has_place() && fits(*next, reuse))) return;
  int32_t num_gained = pool_.num_free_blocks();
  for (const auto& s : running_) {
    if (rank_of(*s) == 2) num_gained += s->block_table.num_blocks();
  }
  if (num_gained < pool_.blocks_for(next->num_tokens()) - reuse.num_shared() + 1) return;
  while (!running_.empty() && rank_of(*running_.back()) == 2) {
    preempt(running_.size() - 1, preempted);
    // What was found may have been the victim's; it is still there, with one reference less.
    if (has_place() && fits(*next, find_reuse(*next))) return;
  }
}

// What a sequence need not compute: the prompt of an earlier choice, or cached blocks.
Scheduler::Reuse Scheduler::find_reuse(Sequence& sequence) const {
  Reuse reuse;
  const Sequence* sibling = nullptr;
  for (const auto& s : running_) {
    if (s->request_id != sequence.request_id) continue;
    if (sibling == nullptr || s->num_computed_tokens > sibling->num_computed_tokens) {
      sibling = s.get();
    }
  }
  if (sibling != nullptr) {
    const int32_t num_blocks = (sequence.num_prompt_tokens() - 1) / pool_.block_size();
    reuse.of_sibling = true;
    reuse.must_wait = sibling->num_computed_tokens < num_blocks * pool_.block_size();
    if (reuse.must_wait) return reuse;
    const auto blocks = sibling->block_table.blocks().first(static_cast<size_t>(num_blocks));
    reuse.blocks.assign(blocks.begin(), blocks.end());
    return reuse;
  }
  if (!cache_) return reuse;
  for (int32_t b = 0; b < num_reusable_blocks(sequence); ++b) {
    const auto found = find_cached(sequence, b);
    if (!found) break;
    reuse.blocks.push_back(*found);
  }
  return reuse;
}

bool Scheduler::fits(const Sequence& candidate, const Reuse& reuse) const {
  // Alone it always fits, whatever is predicted: the Engine has refused what does not.
  if (running_.empty()) return true;
  // Nor when all fit at their longest, which is quicker to see where thousands run.
  int64_t most = pool_.blocks_for(candidate.max_num_tokens(max_model_len_));
  for (const auto& s : running_) most += pool_.blocks_for(s->max_num_tokens(max_model_len_));
  if (most <= pool_.num_blocks()) return true;
  return predicted_peak_blocks(candidate, reuse) <= pool_.num_blocks();
}

int32_t Scheduler::predicted_remaining_tokens(const Sequence& sequence) const {
  const int32_t most = sequence.max_num_tokens(max_model_len_) - sequence.num_tokens();
  return std::min(most, predictor_.predict_remaining(sequence.num_output_tokens(),
                                                     sequence.request->sampling.max_tokens));
}

// The most blocks in use at the end of any sequence to come, if all go on side by side and last as
// long as predicted. Blocks that are shared with others are never counted as given back.
int64_t Scheduler::predicted_peak_blocks(const Sequence& candidate, const Reuse& reuse) const {
  struct Outlook {
    int32_t remaining_tokens;
    int64_t num_exclusive_blocks;  // given back at its end
  };
  std::vector<Outlook> outlooks;
  outlooks.reserve(running_.size() + 1);
  int64_t num_used = pool_.num_blocks() - pool_.num_free_blocks();
  const auto add = [&](const Sequence& s, int64_t num_held, int64_t num_shared) {
    const int64_t num_needed = pool_.blocks_for(s.num_tokens());
    num_used += std::max<int64_t>(num_needed - num_held, 0);
    outlooks.push_back({.remaining_tokens = predicted_remaining_tokens(s),
                        .num_exclusive_blocks = num_needed - num_shared});
  };
  for (const auto& s : running_) {
    const auto blocks = s->block_table.blocks();
    const auto is_shared = [this](BlockId id) { return pool_.ref_count(id) > 1; };
    add(*s, s->block_table.num_blocks(), std::ranges::count_if(blocks, is_shared));
  }
  add(candidate, reuse.num_shared(), reuse.num_shared());
  const auto is_free = [this](BlockId id) { return pool_.ref_count(id) == 0; };
  num_used += std::ranges::count_if(reuse.blocks, is_free);

  std::ranges::sort(outlooks, {}, &Outlook::remaining_tokens);
  int64_t peak = num_used;
  auto num_left = static_cast<int64_t>(outlooks.size());
  for (const Outlook& outlook : outlooks) {
    peak = std::max(peak, num_used + num_left * pool_.blocks_for(outlook.remaining_tokens));
    num_used -= outlook.num_exclusive_blocks;
    --num_left;
  }
  return peak;
}

void Scheduler::start(std::unique_ptr<Sequence> sequence, const Reuse& reuse) {
  Sequence& s = *sequence;
  if (s.token_ids.empty()) s.token_ids = s.request->prompt_token_ids;
  if (cache_ && s.num_ever_computed_tokens == 0 && !reuse.of_sibling) {
    totals_.num_queried_prompt_tokens += s.num_prompt_tokens();
  }
  s.block_table.share(reuse.blocks);
  note_found(s, reuse.num_shared() * pool_.block_size(), !reuse.of_sibling);
  if (!reuse.of_sibling) {
    for (const BlockId block : reuse.blocks) cache_->touch(block, s.request->priority);
    s.num_cached_blocks = reuse.num_shared();
  }
  const auto place = std::ranges::upper_bound(running_, rank_of(s), {},
                                              [](const auto& other) { return rank_of(*other); });
  running_by_id_[s.id] = &s;
  running_.insert(place, std::move(sequence));
}

}  // namespace pagoda
