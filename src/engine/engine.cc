// Engine: requests to sequences, steps to outputs, and what happens when a step fails.
#include "engine/engine.h"

#include <fmt/core.h>

#include <algorithm>
#include <exception>
#include <map>
#include <span>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "base/trace.h"

namespace pagoda {

namespace {

// "3-9,1": runs of consecutive blocks, since a long sequence has thousands.
void append_ranges(std::string& text, std::span<const BlockId> blocks) {
  for (size_t begin = 0; begin < blocks.size();) {
    size_t end = begin + 1;
    while (end < blocks.size() && blocks[end] == blocks[end - 1] + 1) ++end;
    text += fmt::format("{}{}", begin == 0 ? "" : ",", blocks[begin]);
    if (end - begin > 1) text += fmt::format("-{}", blocks[end - 1]);
    begin = end;
  }
}

// The step as text, for the log: ids, lengths and blocks, never tokens.
std::string describe(const SchedulerOutput& step) {
  std::string text =
      fmt::format("num_sequences={} num_tokens={}", step.sequences.size(), step.num_tokens);
  for (const ScheduledSequence& s : step.sequences) {
    text += fmt::format(
        " [id={} choice={} tokens={} prompt={} computed={} scheduled={} drafts={} blocks=", s.id,
        s.choice_index, s.token_ids.size() - static_cast<size_t>(s.num_draft_tokens),
        s.num_prompt_tokens, s.num_computed_tokens, s.num_scheduled_tokens, s.num_draft_tokens);
    append_ranges(text, s.block_table);
    text += "]";
  }
  return text;
}

constexpr size_t kNumRecentSteps = 64;
// How often those who have waited too long are looked for.
constexpr std::chrono::milliseconds kExpiryInterval{50};

Error internal_error(std::string message) {
  return {ErrorCode::kInternal, std::move(message)};
}

}  // namespace

// A request from add() to its final output.
struct Engine::RequestState {
  struct Choice {
    std::optional<FinishReason> finish_reason;
    TimePoint last_token{};
    int32_t num_output_tokens = 0;
  };

  // The news of one choice in `output`, made when it is the first.
  ChoiceOutput& news_of(int32_t choice_index) {
    for (ChoiceOutput& choice : output.choices) {
      if (choice.index == choice_index) return choice;
    }
    ChoiceOutput& choice = output.choices.emplace_back();
    choice.index = choice_index;
    return choice;
  }

  RequestId id = 0;
  Request request;
  std::shared_ptr<OutputSink> sink;
  std::vector<Choice> choices;
  int32_t num_unfinished = 0;
  bool started = false;           // has had its first step
  bool queued = true;             // AdmissionControl counts it
  int32_t num_cached_tokens = 0;  // of the prompt
  int64_t num_output_tokens = 0;  // of all choices
  int32_t num_preemptions = 0;
  RequestTimes times;
  std::optional<RequestEnd> ended_by;  // unset: its choices ended by themselves
  bool stopped_by_string = false;      // the first choice
  RequestOutput output;                // news not posted yet
};

Engine::Engine(ModelRunner& runner, const EngineConfig& config, const EngineMetrics& metrics,
               const Clock& clock, AdmissionControl* admission)
    : runner_(runner),
      config_(config),
      kv_cache_(runner.kv_cache_spec()),
      clock_(clock),
      admission_(admission),
      metrics_(metrics),
      pool_(kv_cache_.num_blocks, kv_cache_.block_size),
      scheduler_({.limits = runner.step_limits(),
                  .max_model_len = config.max_model_len,
                  .enable_prefix_caching = config.enable_prefix_caching,
                  .max_num_background_seqs = config.max_num_background_seqs,
                  .runner = config.block_store != nullptr ? &runner : nullptr,
                  .store = config.block_store},
                 pool_, clock) {
  CHECK(config.vocab_size >= 1);
}

Engine::~Engine() {
  abort_all({ErrorCode::kUnavailable, "the engine is shutting down"});
}

Result<void> Engine::check(const Request& request) const {
  const auto num_prompt_tokens = static_cast<int64_t>(request.prompt_token_ids.size());
  if (num_prompt_tokens == 0) return invalid_argument("the prompt has no tokens", "prompt");
  if (num_prompt_tokens + 1 > config_.max_model_len) {
    return invalid_argument(
        fmt::format("the prompt has {} tokens, which leaves no room for an output token in the "
                    "model's context of {} tokens",
                    num_prompt_tokens, config_.max_model_len),
        "prompt");
  }
  if (request.n < 1 || request.n > kMaxChoices) {
    return invalid_argument(
        fmt::format("n is {}, must be between 1 and {}", request.n, kMaxChoices), "n");
  }
  const int32_t max_tokens = request.sampling.max_tokens;
  if (max_tokens < 1) {
    return invalid_argument(fmt::format("max_tokens is {}, must be at least 1", max_tokens),
                            "max_tokens");
  }
  const int64_t num_needed =
      std::min<int64_t>(num_prompt_tokens + max_tokens, config_.max_model_len);
  const int64_t num_slots = int64_t{kv_cache_.num_blocks} * kv_cache_.block_size;
  if (num_needed > num_slots) {
    return invalid_argument(
        fmt::format("the prompt's {} tokens and max_tokens {} need {} tokens of "
                    "KV cache, which holds {}",
                    num_prompt_tokens, max_tokens, num_needed, num_slots),
        "max_tokens");
  }
  for (const TokenId id : request.prompt_token_ids) {
    if (id < 0 || id >= config_.vocab_size) {
      return invalid_argument(
          fmt::format("token id {} is outside the vocabulary of {} tokens", id, config_.vocab_size),
          "prompt");
    }
  }
  return {};
}

void Engine::add(RequestId id, Request request, std::shared_ptr<OutputSink> sink) {
  CHECK(!executing_);
  DCHECK(check(request).ok());
  auto state = std::make_unique<RequestState>();
  state->id = id;
  state->request = std::move(request);
  if (state->request.arrival == TimePoint{}) state->request.arrival = clock_.now();
  state->sink = std::move(sink);
  state->num_unfinished = state->request.n;
  state->choices.resize(static_cast<size_t>(state->request.n));
  state->times.arrival = state->request.arrival;
  for (int32_t choice = 0; choice < state->request.n; ++choice) {
    scheduler_.add(
        std::make_unique<Sequence>(next_sequence_id_++, id, state->request, choice, pool_));
  }
  CHECK(requests_.emplace(id, std::move(state)).second);
  ++totals_.num_accepted_requests;
}

void Engine::abort(RequestId id, RequestEnd end, std::optional<Error> error) {
  CHECK(!executing_);
  const auto found = requests_.find(id);
  if (found == requests_.end()) return;
  end_request(*found->second, end, std::move(error));
}

void Engine::abort_all(const Error& error) {
  while (!requests_.empty()) abort(requests_.begin()->first, RequestEnd::kShutdown, error);
}

void Engine::stop_choice(RequestId id, int32_t choice_index) {
  CHECK(!executing_);
  const auto found = requests_.find(id);
  if (found == requests_.end()) return;
  RequestState& state = *found->second;
  if (choice_index < 0 || choice_index >= state.request.n) return;
  if (state.choices[static_cast<size_t>(choice_index)].finish_reason) return;
  if (choice_index == 0) state.stopped_by_string = true;
  end_choice(state, choice_index, FinishReason::kStop);
  post(state);
}

void Engine::expire_waiting() {
  const TimePoint now = clock_.now();
  if (config_.max_queue_time.count() == 0 || now < next_expiry_check_) return;
  next_expiry_check_ = now + kExpiryInterval;
  std::vector<RequestId> expired;
  for (const auto& [id, state] : requests_) {
    if (!state->started && now - state->request.arrival > config_.max_queue_time) {
      expired.push_back(id);
    }
  }
  const double limit_s = std::chrono::duration<double>(config_.max_queue_time).count();
  for (const RequestId id : expired) {
    ++totals_.num_expired_requests;
    abort(id, RequestEnd::kExpired,
          Error{.code = ErrorCode::kOverloaded,
                .message =
                    fmt::format("the request waited {:.1f} s for its first step, the "
                                "limit is {:.1f} s",
                                seconds_between(requests_.at(id)->request.arrival, now), limit_s),
                .param = {},
                .retry_after_s = static_cast<int32_t>(std::clamp(limit_s / 2, 1.0, 60.0))});
  }
}

bool Engine::step(const StepHooks& hooks) {
  expire_waiting();
  if (!has_work()) return false;
  const TimePoint begin = clock_.now();
  const ScheduledStep step = scheduler_.schedule();
  note_scheduled(step);
  if (step.output.sequences.empty()) return false;
  if (hooks.before_execute) hooks.before_execute();
  Result<ModelRunnerOutput> result = execute(step.output);
  ++totals_.num_steps;
  metrics_.iteration_tokens_total.observe(step.output.num_tokens);
  if (!result.ok()) {
    // Before after_execute, which may end what the step's spans point to.
    log_error(
        fmt::format("step_failed error=\"{}\" {}", result.error().message, describe(step.output)));
  }
  if (hooks.after_execute) hooks.after_execute();
  if (result.ok()) {
    deliver(step, std::move(result).value());
  } else {
    fail(step, result.error());
  }
  note_done(step, begin, !result.ok());
  if (config_.check_invariants) {
    const Result<void> checked = check_invariants();
    if (!checked.ok()) log_error("invariant_violated " + checked.error().message);
    CHECK(checked.ok());
  }
  return true;
}

void Engine::note_scheduled(const ScheduledStep& step) {
  const TimePoint now = clock_.now();
  for (const RequestId id : step.request_ids) {
    RequestState& state = *requests_.at(id);
    if (std::exchange(state.started, true)) continue;
    state.times.first_scheduled = now;
    leave_queue(state);
  }
  for (const RequestId id : step.preempted) ++requests_.at(id)->num_preemptions;
  const auto num_preempted = static_cast<int64_t>(step.preempted.size());
  totals_.num_preemptions += num_preempted;
  metrics_.num_preemptions_total.add(static_cast<double>(num_preempted));
}

void Engine::leave_queue(RequestState& state) {
  if (std::exchange(state.queued, false) && admission_ != nullptr) {
    admission_->leave(state.request);
  }
}

void Engine::note_done(const ScheduledStep& step, TimePoint begin, bool failed) {
  const TimePoint end = clock_.now();
  const StepSummary summary{.index = totals_.num_steps - 1,
                            .num_sequences = static_cast<int32_t>(step.output.sequences.size()),
                            .num_tokens = step.output.num_tokens,
                            .num_preempted = static_cast<int32_t>(step.preempted.size()),
                            .failed = failed,
                            .duration_s = seconds_between(begin, end)};
  recent_steps_.push_back(summary);
  if (recent_steps_.size() > kNumRecentSteps) recent_steps_.pop_front();
  if (failed) metrics_.steps_failed_total.add();
  metrics_.step_duration.observe(summary.duration_s);

  count_totals();
  if (config_.trace == nullptr) return;
  config_.trace->span("step", begin, end,
                      {{"index", summary.index},
                       {"sequences", summary.num_sequences},
                       {"tokens", summary.num_tokens},
                       {"preempted", summary.num_preempted}});
  config_.trace->counter(
      "sequences", end,
      {{"running", scheduler_.num_running()}, {"waiting", scheduler_.num_waiting()}});
}

void Engine::count_totals() {
  const SchedulerTotals& totals = scheduler_.totals();
  const auto count = [](const Counter& counter, int64_t now, int64_t before) {
    counter.add(static_cast<double>(now - before));
  };
  count(metrics_.prompt_tokens_computed_total, totals.num_prompt_tokens,
        counted_.num_prompt_tokens);
  count(metrics_.prompt_tokens_from_cache_total,
        totals.num_cached_prompt_tokens - totals.num_stored_prompt_tokens,
        counted_.num_cached_prompt_tokens - counted_.num_stored_prompt_tokens);
  count(metrics_.prompt_tokens_from_store_total, totals.num_stored_prompt_tokens,
        counted_.num_stored_prompt_tokens);
  count(metrics_.prompt_tokens_cached_total, totals.num_cached_prompt_tokens,
        counted_.num_cached_prompt_tokens);
  count(metrics_.external_prefix_cache_queries_total, totals.num_queried_store_tokens,
        counted_.num_queried_store_tokens);
  count(metrics_.external_prefix_cache_hits_total, totals.num_stored_prompt_tokens,
        counted_.num_stored_prompt_tokens);
  for (size_t i = 0; i < metrics_.spec_decode_num_accepted_tokens_per_pos_total.size(); ++i) {
    const int64_t num_new = totals.num_accepted_at[i] - counted_.num_accepted_at[i];
    if (num_new == 0) break;  // a draft is accepted only behind the one before it
    metrics_.spec_decode_num_accepted_tokens_per_pos_total[i].add(static_cast<double>(num_new));
  }
  count(metrics_.prompt_tokens_total, totals.num_prompt_tokens + totals.num_cached_prompt_tokens,
        counted_.num_prompt_tokens + counted_.num_cached_prompt_tokens);
  count(metrics_.prefix_cache_queries_total, totals.num_queried_prompt_tokens,
        counted_.num_queried_prompt_tokens);
  count(metrics_.prefix_cache_hits_total, totals.num_cached_prompt_tokens,
        counted_.num_cached_prompt_tokens);
  count(metrics_.recomputed_tokens_total, totals.num_recomputed_tokens,
        counted_.num_recomputed_tokens);
  count(metrics_.spec_decode_num_drafts_total, totals.num_drafts, counted_.num_drafts);
  count(metrics_.spec_decode_num_draft_tokens_total, totals.num_draft_tokens,
        counted_.num_draft_tokens);
  count(metrics_.spec_decode_num_accepted_tokens_total, totals.num_accepted_draft_tokens,
        counted_.num_accepted_draft_tokens);
  counted_ = totals;
}

Result<ModelRunnerOutput> Engine::execute(const SchedulerOutput& step) {
  executing_ = true;
  Result<ModelRunnerOutput> result = internal_error("");
  try {
    result = runner_.execute(step);
  } catch (const std::exception& e) {
    result = internal_error(fmt::format("exception in the step: {}", e.what()));
  } catch (...) {
    result = internal_error("unknown exception in the step");
  }
  executing_ = false;
  if (result.ok()) {
    Result<void> checked = check_output(step, result.value());
    if (!checked.ok()) return std::move(checked).error();
  }
  return result;
}

Result<void> Engine::check_output(const SchedulerOutput& step, ModelRunnerOutput& output) const {
  size_t next_token = 0;
  for (const ScheduledSequence& s : step.sequences) {
    if (s.sampling == nullptr) continue;
    const std::span<const SampledToken> tokens = tokens_of(s.id, output, next_token);
    next_token += tokens.size();
    if (tokens.empty() || tokens.size() > 1 + static_cast<size_t>(s.num_draft_tokens)) {
      return internal_error(fmt::format("the runner gave {} tokens for sequence {} with {} drafts",
                                        tokens.size(), s.id, s.num_draft_tokens));
    }
    const std::span<const TokenId> drafts =
        s.token_ids.last(static_cast<size_t>(s.num_draft_tokens));
    for (size_t i = 0; i < tokens.size(); ++i) {
      const SampledToken& token = tokens[i];
      const bool in_vocabulary = token.token >= 0 && token.token < config_.vocab_size;
      if (!token.error && !token.deferred && !in_vocabulary) {
        return internal_error(
            fmt::format("the runner gave token {} for sequence {}", token.token, s.id));
      }
      const bool goes_on = i + 1 < tokens.size();
      if (goes_on && (token.error || token.deferred || token.token != drafts[i])) {
        return internal_error(
            fmt::format("the runner went on behind a wrong draft of sequence {}", s.id));
      }
    }
  }
  if (next_token != output.tokens.size()) {
    return internal_error(fmt::format("the runner gave {} tokens, {} of them were asked for",
                                      output.tokens.size(), next_token));
  }
  return {};
}

void Engine::fail_sequences(const ScheduledStep& step, ModelRunnerOutput& output) {
  size_t next_token = 0;
  for (size_t i = 0; i < step.output.sequences.size(); ++i) {
    const ScheduledSequence& s = step.output.sequences[i];
    if (s.sampling == nullptr) continue;
    const std::span<SampledToken> tokens = tokens_of(s.id, output, next_token);
    next_token += tokens.size();
    const std::optional<Error>& error = tokens.front().error;
    if (!error) continue;
    const auto found = requests_.find(step.request_ids[i]);
    if (found == requests_.end()) continue;
    log_error(fmt::format("sampling_failed request={} error=\"{}\"", step.request_ids[i],
                          error->message));
    end_request(*found->second, RequestEnd::kSamplingFailed, error);
  }
}

void Engine::deliver(const ScheduledStep& step, ModelRunnerOutput output) {
  fail_sequences(step, output);
  std::vector<SequenceNews> all_news = scheduler_.update(step, std::move(output));
  metrics_.generation_tokens_total.add(static_cast<double>(all_news.size()));
  totals_.num_generation_tokens += static_cast<int64_t>(all_news.size());
  const TimePoint now = clock_.now();
  // Choices of one request stand together, so it is posted when the next one's news begin.
  RequestState* current = nullptr;
  for (SequenceNews& news : all_news) {
    RequestState* state = requests_.at(news.request_id).get();
    if (current != nullptr && current != state) post(*current);
    current = state;
    add_token(*state, std::move(news), now);
  }
  if (current != nullptr) post(*current);
  count_gaps(now);
}

// Most sequences had their last token in the same step, so that one observation does for all.
void Engine::count_gaps(TimePoint now) {
  const uint64_t num_gaps = std::exchange(num_gaps_, 0);
  if (num_gaps > 0)
    metrics_.inter_token_latency.observe(seconds_between(gaps_from_, now), num_gaps);
}

void Engine::add_token(RequestState& state, SequenceNews news, TimePoint now) {
  RequestState::Choice& choice = state.choices[static_cast<size_t>(news.choice_index)];
  if (state.num_output_tokens == 0) {
    state.times.first_token = now;
    // At once, as in vLLM: a long answer would hide for its whole time what its reader waited for.
    metrics_.time_to_first_token.observe(seconds_between(state.times.arrival, now));
  }
  if (news.choice_index == 0) state.num_cached_tokens = news.num_cached_prompt_tokens;
  // What comes in one step counts once, as in vLLM: gaps of zero would hide what a client waits
  // for.
  if (choice.last_token != TimePoint{} && choice.last_token != now) {
    if (choice.last_token != gaps_from_) count_gaps(now);
    gaps_from_ = choice.last_token;
    ++num_gaps_;
  }
  choice.last_token = now;
  ++state.num_output_tokens;
  ++choice.num_output_tokens;
  ChoiceOutput& output = state.news_of(news.choice_index);
  output.tokens.push_back(std::move(news.token));
  if (news.finish_reason) {
    output.stop_token_id = news.stop_token_id;
    end_choice(state, news.choice_index, *news.finish_reason);
  }
}

void Engine::fail(const ScheduledStep& step, const Error& error) {
  for (const RequestId id : step.request_ids) {
    const auto found = requests_.find(id);
    if (found != requests_.end()) end_request(*found->second, RequestEnd::kStepFailed, error);
  }
}

void Engine::end_choice(RequestState& state, int32_t choice_index, FinishReason reason) {
  scheduler_.remove(state.id, choice_index);
  state.choices[static_cast<size_t>(choice_index)].finish_reason = reason;
  state.news_of(choice_index).finish_reason = reason;
  --state.num_unfinished;
}

void Engine::end_request(RequestState& state, RequestEnd end, std::optional<Error> error) {
  const FinishReason reason = is_failure(end) ? FinishReason::kError : FinishReason::kAbort;
  state.ended_by = end;
  for (int32_t i = 0; i < state.request.n; ++i) {
    if (!state.choices[static_cast<size_t>(i)].finish_reason) end_choice(state, i, reason);
  }
  state.output.error = std::move(error);
  post(state);
}

void Engine::post(RequestState& state) {
  RequestOutput output = std::exchange(state.output, {});
  output.id = state.id;
  output.finished = state.num_unfinished == 0;
  output.num_prompt_tokens = static_cast<int32_t>(state.request.prompt_token_ids.size());
  output.num_cached_tokens = state.num_cached_tokens;
  output.num_preemptions = state.num_preemptions;
  const std::shared_ptr<OutputSink> sink = state.sink;
  if (output.finished) {
    state.times.finished = clock_.now();
    output.times = state.times;
    output.end = end_of(state);
    output.num_output_tokens = state.num_output_tokens;
    leave_queue(state);
    ++totals_.num_finished_requests;
    observe_finished(state, output.end);
    if (config_.trace != nullptr) trace_finished(state);
    requests_.erase(state.id);  // `state` is gone from here on
  }
  sink->post(std::move(output));
}

RequestEnd Engine::end_of(const RequestState& state) const {
  if (state.ended_by) return *state.ended_by;
  if (*state.choices[0].finish_reason == FinishReason::kLength) return RequestEnd::kLength;
  return state.stopped_by_string ? RequestEnd::kStopString : RequestEnd::kStop;
}

void Engine::observe_finished(const RequestState& state, RequestEnd end) const {
  const RequestTimes& times = state.times;
  const auto num_prompt_tokens = static_cast<int32_t>(state.request.prompt_token_ids.size());
  metrics_.request_success(*state.choices[0].finish_reason).add();
  metrics_.requests_ended(end).add();
  metrics_.e2e_request_latency.observe(seconds_between(times.arrival, times.finished));
  metrics_.request_prompt_tokens.observe(num_prompt_tokens);
  metrics_.request_generation_tokens.observe(static_cast<double>(state.num_output_tokens));
  metrics_.request_params_max_tokens.observe(state.request.sampling.max_tokens);
  metrics_.request_params_n.observe(state.request.n);
  metrics_.request_num_preemptions.observe(state.num_preemptions);
  int32_t longest = 0;
  for (const auto& choice : state.choices) longest = std::max(longest, choice.num_output_tokens);
  metrics_.request_max_num_generation_tokens.observe(longest);
  if (!state.started) return;
  metrics_.request_queue_time.observe(seconds_between(times.arrival, times.first_scheduled));
  metrics_.request_inference_time.observe(seconds_between(times.first_scheduled, times.finished));
  if (state.num_output_tokens == 0) return;
  const double ttft_s = seconds_between(times.arrival, times.first_token);
  const double decode_s = seconds_between(times.first_token, times.finished);
  metrics_.request_prefill_kv_computed_tokens.observe(num_prompt_tokens - state.num_cached_tokens);
  metrics_.request_prefill_time.observe(seconds_between(times.first_scheduled, times.first_token));
  metrics_.request_decode_time.observe(decode_s);
  const double tpot_s = longest > 1 ? decode_s / (longest - 1) : 0.0;
  if (longest > 1) metrics_.request_time_per_output_token.observe(tpot_s);
  const bool in_time = (config_.slo_ttft_s == 0 || ttft_s <= config_.slo_ttft_s) &&
                       (config_.slo_tpot_s == 0 || tpot_s <= config_.slo_tpot_s);
  if (is_complete(end) && in_time) metrics_.requests_within_slo_total.add();
}

EngineStats Engine::stats() const {
  EngineStats stats = totals_;
  stats.num_running = scheduler_.num_running();
  stats.num_waiting = scheduler_.num_waiting();
  stats.num_total_blocks = pool_.num_blocks();
  stats.num_free_blocks = pool_.num_free_blocks();
  stats.num_cached_blocks = scheduler_.num_cached_blocks();
  stats.num_prompt_tokens = scheduler_.totals().num_prompt_tokens;
  stats.num_cached_prompt_tokens = scheduler_.totals().num_cached_prompt_tokens;
  stats.num_recomputed_tokens = scheduler_.totals().num_recomputed_tokens;
  stats.num_draft_tokens = scheduler_.totals().num_draft_tokens;
  stats.num_accepted_draft_tokens = scheduler_.totals().num_accepted_draft_tokens;
  return stats;
}

std::vector<RequestSummary> Engine::request_summaries() const {
  std::map<RequestId, RequestSummary> summaries;
  const TimePoint now = clock_.now();
  for (const auto& [id, state] : requests_) {
    summaries[id] = {
        .id = id,
        .tenant = state->request.tenant,
        .priority = state->request.priority,
        .started = state->started,
        .num_choices = state->request.n,
        .num_prompt_tokens = static_cast<int32_t>(state->request.prompt_token_ids.size()),
        .num_cached_tokens = state->num_cached_tokens,
        .num_output_tokens = state->num_output_tokens,
        .num_preemptions = state->num_preemptions,
        .age_s = seconds_between(state->request.arrival, now)};
    RequestSummary& summary = summaries[id];
    const RequestTimes& times = state->times;
    if (state->started) summary.queue_s = seconds_between(times.arrival, times.first_scheduled);
    if (state->num_output_tokens > 0) {
      summary.ttft_s = seconds_between(times.arrival, times.first_token);
    }
  }
  scheduler_.for_each_running([&](const Sequence& s) {
    RequestSummary& summary = summaries[s.request_id];
    ++summary.num_running;
    summary.num_blocks += s.block_table.num_blocks();
    summary.num_computed_tokens = std::max(summary.num_computed_tokens, s.num_computed_tokens);
  });
  std::vector<RequestSummary> in_order;
  for (const auto& [id, summary] : summaries) in_order.push_back(summary);
  return in_order;
}

std::vector<StepSummary> Engine::recent_steps() const {
  return {recent_steps_.begin(), recent_steps_.end()};
}

void Engine::trace_finished(const RequestState& state) const {
  const RequestTimes& times = state.times;
  const TimePoint started = state.started ? times.first_scheduled : times.finished;
  config_.trace->request_span("queue", state.id, times.arrival, started);
  if (!state.started) return;
  const TimePoint first = state.num_output_tokens > 0 ? times.first_token : times.finished;
  config_.trace->request_span(
      "prefill", state.id, started, first,
      {{"prompt_tokens", static_cast<int64_t>(state.request.prompt_token_ids.size())},
       {"cached_tokens", state.num_cached_tokens}});
  if (state.num_output_tokens == 0) return;
  config_.trace->request_span(
      "decode", state.id, first, times.finished,
      {{"output_tokens", state.num_output_tokens}, {"preemptions", state.num_preemptions}});
}

Result<void> Engine::check_invariants() const {
  RETURN_IF_ERROR(scheduler_.check_invariants());
  int64_t num_unfinished = 0;
  for (const auto& [id, state] : requests_) {
    if (state->num_unfinished < 1) {
      return internal_error(fmt::format("request {} has ended and is still kept", id));
    }
    num_unfinished += state->num_unfinished;
  }
  const int64_t num_sequences = int64_t{scheduler_.num_running()} + scheduler_.num_waiting();
  if (num_unfinished != num_sequences) {
    return internal_error(fmt::format("{} choices are unfinished and there are {} sequences",
                                      num_unfinished, num_sequences));
  }
  if (totals_.num_accepted_requests - totals_.num_finished_requests !=
      static_cast<int64_t>(requests_.size())) {
    return internal_error(fmt::format("{} requests accepted, {} finished, {} kept",
                                      totals_.num_accepted_requests, totals_.num_finished_requests,
                                      requests_.size()));
  }
  return {};
}

}  // namespace pagoda
