// Scheduler: the token budget, preemption and the end of sequences; scheduler_admission.cc decides
// who starts.
#include "engine/scheduler.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/check.h"

namespace pagoda {

namespace {

// The most that one step spends on reading blocks from the store: running streams wait meanwhile.
constexpr std::chrono::milliseconds kRestoreTime{50};

bool contains(const std::vector<TokenId>& ids, TokenId id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

Error violation(const Sequence& sequence, std::string_view what) {
  return {ErrorCode::kInternal,
          fmt::format("sequence {} {}: {} tokens, {} computed, {} blocks", sequence.id, what,
                      sequence.num_tokens(), sequence.num_computed_tokens,
                      sequence.block_table.num_blocks())};
}

}  // namespace

Scheduler::Scheduler(const Options& options, BlockPool& pool, const Clock& clock)
    : limits_(options.limits),
      max_num_running_(
          std::min(options.limits.max_num_seqs, options.limits.max_num_batched_tokens)),
      max_num_background_(options.max_num_background_seqs > 0 ? options.max_num_background_seqs
                                                              : std::max(max_num_running_ / 2, 1)),
      max_model_len_(options.max_model_len),
      pool_(pool),
      clock_(clock),
      has_store_(options.store != nullptr) {
  CHECK(max_num_running_ >= 1);
  CHECK(max_model_len_ >= 1);
  if (options.enable_prefix_caching) {
    cache_ = std::make_unique<PrefixCache>(pool, options.runner, options.store);
  }
}

void Scheduler::add(std::unique_ptr<Sequence> sequence) {
  waiting_.push(std::move(sequence));
}

void Scheduler::remove(RequestId request_id) {
  const auto matches = [&](const Sequence& s) { return s.request_id == request_id; };
  std::erase_if(running_by_id_, [&](const auto& entry) { return matches(*entry.second); });
  std::erase_if(running_, [&](const auto& s) { return matches(*s); });
  waiting_.remove_if(matches);
}

void Scheduler::remove(RequestId request_id, int32_t choice_index) {
  const auto matches = [&](const Sequence& s) {
    return s.request_id == request_id && s.choice_index == choice_index;
  };
  for (auto s = running_.begin(); s != running_.end(); ++s) {
    if (!matches(**s)) continue;
    running_by_id_.erase((*s)->id);
    running_.erase(s);
    return;
  }
  waiting_.remove_if(matches);
}

void Scheduler::for_each_running(const std::function<void(const Sequence&)>& visit) const {
  for (const auto& s : running_) visit(*s);
}

TimePoint Scheduler::next_due() const {
  if (running_.empty()) return {};
  TimePoint first = TimePoint::max();
  for (const auto& s : running_) {
    first = std::min(first, s->not_before);
    if (first == TimePoint{}) break;
  }
  return first;
}

ScheduledStep Scheduler::schedule() {
  ScheduledStep step;
  const TimePoint now = clock_.now();
  restore_until_ = now + kRestoreTime;
  displace_background(step.preempted);
  admit_waiting();
  schedule_running(step, now);
  CHECK(!step.output.sequences.empty() || empty() || next_due() > now);
  return step;
}

void Scheduler::schedule_running(ScheduledStep& step, TimePoint now) {
  const auto is_decoding = [now](const auto& s) {
    return s->not_before <= now && s->num_uncomputed_tokens() == 1;
  };
  // Their tokens are kept back from the prompts before them.
  auto num_decoding = static_cast<int32_t>(std::ranges::count_if(running_, is_decoding));
  // Most of the budget is for tokens that are sure to be needed.
  int32_t num_drafts_left = std::clamp(limits_.max_num_draft_tokens + 1 - num_decoding, 0,
                                       limits_.max_num_batched_tokens / 4);
  for (size_t i = 0; i < running_.size(); ++i) {
    Sequence& sequence = *running_[i];
    if (sequence.not_before > now) continue;
    const bool decodes = is_decoding(running_[i]);
    if (decodes) {
      --num_decoding;
    } else {
      extend_from_cache(sequence);
    }
    const int32_t budget = limits_.max_num_batched_tokens - step.output.num_tokens - num_decoding;
    const int32_t n = std::min(sequence.num_uncomputed_tokens(), budget);
    if (n < 1) continue;
    // Victims stand at the end and have no tokens in this step yet. The sequence goes itself when
    // it is the last.
    while (running_.size() > i && !sequence.block_table.reserve(sequence.num_computed_tokens + n)) {
      if (running_.size() > i + 1 && is_decoding(running_.back())) --num_decoding;
      preempt(running_.size() - 1, step.preempted);
    }
    if (running_.size() == i) return;
    if (decodes && num_drafts_left > 0) {
      // An equal share; what one leaves is for those after it.
      const int32_t share = (num_drafts_left + num_decoding) / (num_decoding + 1);
      draft(sequence, std::min(share, budget - n));
      num_drafts_left -= sequence.num_draft_tokens;
    }
    append_to(step, sequence, n);
  }
}

void Scheduler::draft(Sequence& sequence, int32_t limit) const {
  const int32_t room = sequence.block_table.num_blocks() * pool_.block_size();
  const int32_t longest = sequence.max_num_tokens(max_model_len_);
  // One token comes without any draft.
  limit = std::min({limit, room - sequence.num_tokens(), longest - sequence.num_tokens() - 1});
  if (limit < 1) return;
  const int32_t wanted = sequence.draft_pacing.next_num_drafts(limit);
  sequence.num_draft_tokens = append_drafts(sequence.token_ids, wanted);
}

void Scheduler::preempt(size_t index, std::vector<RequestId>& preempted) {
  std::unique_ptr<Sequence> victim = std::move(running_[index]);
  running_.erase(running_.begin() + static_cast<std::ptrdiff_t>(index));
  running_by_id_.erase(victim->id);
  victim->block_table.clear();
  victim->num_computed_tokens = 0;
  victim->num_cached_blocks = 0;
  victim->not_before = {};
  preempted.push_back(victim->request_id);
  waiting_.push_preempted(std::move(victim));
}

void Scheduler::append_to(ScheduledStep& step, const Sequence& sequence,
                          int32_t num_scheduled_tokens) const {
  const bool samples = num_scheduled_tokens == sequence.num_uncomputed_tokens();
  num_scheduled_tokens += sequence.num_draft_tokens;
  step.output.sequences.push_back({
      .id = sequence.id,
      .token_ids = sequence.token_ids,
      .num_prompt_tokens = sequence.num_prompt_tokens(),
      .num_computed_tokens = sequence.num_computed_tokens,
      .num_scheduled_tokens = num_scheduled_tokens,
      .block_table = sequence.block_table.blocks(),
      .sampling = samples ? &sequence.request->sampling : nullptr,
      .choice_index = sequence.choice_index,
      .not_before = sequence.not_before,
      .num_draft_tokens = sequence.num_draft_tokens,
  });
  step.output.num_tokens += num_scheduled_tokens;
  step.request_ids.push_back(sequence.request_id);
}

void Scheduler::hash_blocks(Sequence& sequence, int32_t num_blocks) const {
  for (auto b = static_cast<int32_t>(sequence.block_hashes.size()); b < num_blocks; ++b) {
    sequence.block_hashes.push_back(
        PrefixCache::hash_of(hash_before(sequence, b), block_tokens(sequence, b)));
  }
}

const BlockHash& Scheduler::hash_before(const Sequence& sequence, int32_t block) const {
  return block == 0 ? sequence.request->cache_salt
                    : sequence.block_hashes[static_cast<size_t>(block) - 1];
}

std::span<const TokenId> Scheduler::block_tokens(const Sequence& sequence, int32_t block) const {
  const auto size = static_cast<size_t>(pool_.block_size());
  return sequence.tokens().subspan(static_cast<size_t>(block) * size, size);
}

// At least one token stays to be computed, since its logits are needed.
int32_t Scheduler::num_reusable_blocks(const Sequence& sequence) const {
  return (sequence.num_tokens() - 1) / pool_.block_size();
}

// The cached block that holds what block `block` of the sequence is to hold. REQUIRES: a cache.
std::optional<BlockId> Scheduler::find_cached(Sequence& sequence, int32_t block) const {
  hash_blocks(sequence, block + 1);
  return cache_->find(sequence.block_hashes[static_cast<size_t>(block)],
                      hash_before(sequence, block), block_tokens(sequence, block));
}

void Scheduler::extend_from_cache(Sequence& sequence) {
  if (!cache_) return;
  const int32_t block_size = pool_.block_size();
  for (int32_t b = sequence.num_computed_tokens / block_size;
       b < num_reusable_blocks(sequence) && sequence.num_computed_tokens == b * block_size &&
       sequence.block_table.num_blocks() == b;
       ++b) {
    const Priority priority = sequence.request->priority;
    bool is_stored = false;
    if (const auto found = find_cached(sequence, b)) {
      sequence.block_table.share({&*found, 1});
      cache_->touch(*found, priority);
    } else if (clock_.now() < restore_until_) {
      if (has_store_) totals_.num_queried_store_tokens += block_size;
      const auto restored =
          cache_->restore(sequence.block_hashes[static_cast<size_t>(b)], hash_before(sequence, b),
                          block_tokens(sequence, b), priority);
      if (!restored) return;
      sequence.block_table.take(*restored);
      is_stored = true;
    } else {
      return;
    }
    sequence.num_cached_blocks = b + 1;
    const int64_t num_cached_before = totals_.num_cached_prompt_tokens;
    note_found(sequence, (b + 1) * block_size, true);
    if (is_stored) {
      totals_.num_stored_prompt_tokens += totals_.num_cached_prompt_tokens - num_cached_before;
    }
  }
}

void Scheduler::note_found(Sequence& sequence, int32_t num_tokens, bool in_cache) {
  sequence.num_computed_tokens = num_tokens;
  sequence.num_ever_computed_tokens = std::max(sequence.num_ever_computed_tokens, num_tokens);
  const int32_t num_new =
      std::min(num_tokens, sequence.num_prompt_tokens()) - sequence.num_counted_prompt_tokens;
  if (num_new <= 0) return;
  sequence.num_counted_prompt_tokens += num_new;
  if (!in_cache) return;
  sequence.num_cached_prompt_tokens += num_new;
  totals_.num_cached_prompt_tokens += num_new;
}

void Scheduler::note_computed(Sequence& sequence, int32_t num_tokens) {
  const int32_t from = sequence.num_computed_tokens;
  const int32_t to = from + num_tokens;
  sequence.num_computed_tokens = to;
  totals_.num_recomputed_tokens +=
      std::max(std::min(to, sequence.num_ever_computed_tokens) - from, 0);
  sequence.num_ever_computed_tokens = std::max(sequence.num_ever_computed_tokens, to);
  const int32_t num_new =
      std::min(to, sequence.num_prompt_tokens()) - sequence.num_counted_prompt_tokens;
  if (num_new <= 0) return;
  totals_.num_prompt_tokens += num_new;
  sequence.num_counted_prompt_tokens += num_new;
}

void Scheduler::offer_to_cache(Sequence& sequence) {
  if (!cache_) return;
  const int32_t num_full = sequence.num_computed_tokens / pool_.block_size();
  if (num_full <= sequence.num_cached_blocks) return;
  hash_blocks(sequence, num_full);
  const Priority priority = sequence.request->priority;
  for (int32_t b = sequence.num_cached_blocks; b < num_full; ++b) {
    const BlockId block = sequence.block_table.blocks()[static_cast<size_t>(b)];
    if (pool_.worth(block) != BlockWorth::kNothing) {
      cache_->touch(block, priority);  // of another choice, which has offered it
    } else {
      cache_->insert(block, sequence.block_hashes[static_cast<size_t>(b)], hash_before(sequence, b),
                     block_tokens(sequence, b), priority);
    }
  }
  sequence.num_cached_blocks = num_full;
}

std::vector<SequenceNews> Scheduler::update(const ScheduledStep& step, ModelRunnerOutput output) {
  std::vector<SequenceNews> news;
  size_t next_token = 0;
  for (const ScheduledSequence& scheduled : step.output.sequences) {
    std::span<SampledToken> tokens;
    if (scheduled.sampling != nullptr) tokens = tokens_of(scheduled.id, output, next_token);
    next_token += tokens.size();
    const auto found = running_by_id_.find(scheduled.id);
    if (found == running_by_id_.end()) continue;  // removed while the step ran
    Sequence& sequence = *found->second;
    sequence.drop_drafts();
    if (!tokens.empty()) sequence.not_before = tokens.back().not_before;
    if (!tokens.empty() && tokens.front().deferred) {
      defer(sequence, scheduled.num_scheduled_tokens - scheduled.num_draft_tokens);
      continue;
    }
    take_in(sequence, scheduled, tokens, news);
  }
  return news;
}

void Scheduler::take_in(Sequence& sequence, const ScheduledSequence& scheduled,
                        std::span<SampledToken> tokens, std::vector<SequenceNews>& news) {
  const int32_t num_known = scheduled.num_scheduled_tokens - scheduled.num_draft_tokens;
  note_computed(sequence, num_known);
  // An output token counts as two: for the step that makes it and the one that takes it in.
  const auto num_new = static_cast<int32_t>(tokens.size());
  waiting_.charge(sequence.request->tenant, num_known + std::max(2 * num_new - 1, 0));
  if (scheduled.num_draft_tokens > 0) {
    sequence.draft_pacing.note(scheduled.num_draft_tokens, num_new - 1);
    ++totals_.num_drafts;
    totals_.num_draft_tokens += scheduled.num_draft_tokens;
    totals_.num_accepted_draft_tokens += num_new - 1;
    for (size_t i = 0; i + 1 < tokens.size() && i < totals_.num_accepted_at.size(); ++i) {
      ++totals_.num_accepted_at[i];
    }
  }
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (i > 0) note_computed(sequence, 1);
    news.push_back(append_token(sequence, std::move(tokens[i])));
    if (news.back().finish_reason) break;
  }
  offer_to_cache(sequence);
  if (!tokens.empty() && news.back().finish_reason) {
    remove(sequence.request_id, sequence.choice_index);
  }
}

void Scheduler::defer(Sequence& sequence, int32_t num_scheduled_tokens) {
  note_computed(sequence, num_scheduled_tokens - 1);
  offer_to_cache(sequence);
  waiting_.charge(sequence.request->tenant, num_scheduled_tokens - 1);
}

SequenceNews Scheduler::append_token(Sequence& sequence, SampledToken token) {
  SequenceNews news{.request_id = sequence.request_id,
                    .choice_index = sequence.choice_index,
                    .token = std::move(token),
                    .finish_reason = std::nullopt,
                    .stop_token_id = std::nullopt,
                    .num_cached_prompt_tokens = sequence.num_cached_prompt_tokens};
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
  if (news.finish_reason) predictor_.observe(sequence.num_output_tokens());
  return news;
}

Result<void> Scheduler::check_running(std::vector<int32_t>& num_references) const {
  int32_t rank = 0;
  int32_t num_background = 0;
  for (const auto& s : running_) {
    if (s->request->priority == Priority::kBackground && ++num_background > max_num_background_) {
      return violation(*s, "runs beyond the limit of background sequences");
    }
    if (rank_of(*s) < rank) return violation(*s, "runs out of order");
    rank = rank_of(*s);
    const auto indexed = running_by_id_.find(s->id);
    if (indexed == running_by_id_.end() || indexed->second != s.get()) {
      return violation(*s, "runs and cannot be found");
    }
    if (s->num_draft_tokens != 0) return violation(*s, "has drafts");
    if (s->num_uncomputed_tokens() < 1) return violation(*s, "has nothing left to compute");
    if (s->num_tokens() > max_model_len_) return violation(*s, "is longer than max_model_len");
    // One that was put off has the block of its next token already.
    const int32_t num_blocks = s->block_table.num_blocks();
    if (num_blocks != pool_.blocks_for(s->num_computed_tokens) &&
        num_blocks != pool_.blocks_for(s->num_computed_tokens + 1)) {
      return violation(*s, "has not the blocks of its computed tokens");
    }
    for (const BlockId id : s->block_table.blocks()) ++num_references[static_cast<size_t>(id)];
  }
  if (running_by_id_.size() != running_.size()) {
    return Error{ErrorCode::kInternal, fmt::format("{} sequences run and {} can be found",
                                                   running_.size(), running_by_id_.size())};
  }
  return {};
}

Result<void> Scheduler::check_invariants() const {
  RETURN_IF_ERROR(pool_.check_invariants());
  if (cache_) RETURN_IF_ERROR(cache_->check_invariants());
  std::vector<int32_t> num_references(static_cast<size_t>(pool_.num_blocks()), 0);
  RETURN_IF_ERROR(check_running(num_references));
  Result<void> waiting;
  int32_t num_waiting = 0;
  waiting_.for_each([&](const Sequence& s) {
    ++num_waiting;
    if (s.num_computed_tokens != 0 || s.block_table.num_blocks() != 0) {
      waiting = violation(s, "waits and has blocks");
    }
  });
  RETURN_IF_ERROR(waiting);
  if (num_waiting != waiting_.size()) {
    return Error{ErrorCode::kInternal, fmt::format("{} sequences wait and {} were counted",
                                                   num_waiting, waiting_.size())};
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
