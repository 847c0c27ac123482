// Engine: tokens in, tokens out, one step at a time.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "core/model_runner.h"
#include "engine/admission.h"
#include "engine/block_pool.h"
#include "engine/engine_config.h"
#include "engine/engine_metrics.h"
#include "engine/request.h"
#include "engine/request_output.h"
#include "engine/scheduler.h"

namespace pagoda {

// What a caller can do in the middle of a step; either may be empty.
struct StepHooks {
  // The step is chosen and not yet run: stats() shows it. Must not change the engine.
  std::function<void()> before_execute;
  // The runner is done, its result not yet taken in. May add, abort and stop: the tokens of what it
  // ends are dropped.
  std::function<void()> after_execute;
};

// Single-threaded: no locks, no text, no I/O beyond the log. Whoever calls it is its thread
// (AsyncEngine's, or a test's). `runner`, `clock` and `admission` must outlive it. Every request
// added gets exactly one final output; the destructor aborts what is left.
class Engine {
 public:
  static constexpr int32_t kMaxChoices = 128;  // Request::n at most, as OpenAI has it

  // `admission`, which may be null, is told of each request when it leaves the queue. REQUIRES:
  // max_model_len and vocab_size >= 1, and so are the runner's limits and block counts.
  Engine(ModelRunner& runner, const EngineConfig& config, const EngineMetrics& metrics = {},
         const Clock& clock = real_clock(), AdmissionControl* admission = nullptr);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // kInvalidArgument for a request that can never run, naming the number and its limit: an empty
  // prompt, a token id outside the vocabulary, n or max_tokens out of range, a prompt that leaves
  // no room for a token in max_model_len, or min(prompt + max_tokens, max_model_len) tokens that
  // do not fit in the whole cache. n may exceed the runner's max_num_seqs: choices then run in
  // turn. Thread-safe: reads only what never changes.
  Result<void> check(const Request& request) const;

  // REQUIRES: check(request).ok(); an id not in use. Sets `arrival` when unset.
  void add(RequestId id, Request request, std::shared_ptr<OutputSink> sink);
  // Ends every choice with kAbort and posts the final output at once. `error` says why when the
  // client did not ask for it. Ids not in use are ignored.
  void abort(RequestId id, RequestEnd end = RequestEnd::kClientLeft,
             std::optional<Error> error = std::nullopt);
  void abort_all(const Error& error);
  // Ends one choice with kStop at once. Ids not in use and ended choices are ignored.
  void stop_choice(RequestId id, int32_t choice_index);

  bool has_work() const { return !scheduler_.empty(); }
  // Runs one step and posts what it brought; does nothing, and returns false, without work, and
  // while the runner has put off all that runs and nobody who waits can start. A step that fails
  // (an Error, an exception, a result that is not what was asked for) ends its requests with
  // kError; the others go on.
  bool step(const StepHooks& hooks = {});
  // When the first of the running sequences may have a step again; zero: at once, or none runs.
  TimePoint next_due() const { return scheduler_.next_due(); }
  bool has_waiting() const { return scheduler_.num_waiting() > 0; }

  EngineStats stats() const;
  // Of unfinished requests, oldest first. O(requests + sequences).
  std::vector<RequestSummary> request_summaries() const;
  // Oldest first, at most 64.
  std::vector<StepSummary> recent_steps() const;
  // Gives up to `limit` cached blocks to the block store; false when all are there.
  bool save_cached_blocks(int32_t limit) { return scheduler_.save_cached_blocks(limit); }

  // For tests and EngineConfig::check_invariants. kInternal names the first violation: in the
  // scheduler's and the pool's rules, or between choices and sequences.
  Result<void> check_invariants() const;

 private:
  struct RequestState;
  using Requests = std::unordered_map<RequestId, std::unique_ptr<RequestState>>;

  void expire_waiting();
  void note_scheduled(const ScheduledStep& step);
  void note_done(const ScheduledStep& step, TimePoint begin, bool failed);
  void count_totals();
  void leave_queue(RequestState& state);
  Result<ModelRunnerOutput> execute(const SchedulerOutput& step);
  Result<void> check_output(const SchedulerOutput& step, ModelRunnerOutput& output) const;
  void deliver(const ScheduledStep& step, ModelRunnerOutput output);
  // Ends the requests whose token could not be chosen; the step goes on for the others.
  void fail_sequences(const ScheduledStep& step, ModelRunnerOutput& output);
  void fail(const ScheduledStep& step, const Error& error);
  void add_token(RequestState& state, SequenceNews news, TimePoint now);
  void count_gaps(TimePoint now);
  void end_choice(RequestState& state, int32_t choice_index, FinishReason reason);
  void end_request(RequestState& state, RequestEnd end, std::optional<Error> error);
  void post(RequestState& state);
  RequestEnd end_of(const RequestState& state) const;
  void observe_finished(const RequestState& state, RequestEnd end) const;
  void trace_finished(const RequestState& state) const;

  ModelRunner& runner_;
  const EngineConfig config_;
  const KvCacheSpec kv_cache_;
  const Clock& clock_;
  AdmissionControl* admission_;  // may be null
  EngineMetrics metrics_;
  BlockPool pool_;
  Requests requests_;    // unfinished ones; sequences point into them
  Scheduler scheduler_;  // after pool_ and requests_: its sequences refer to both
  bool executing_ = false;
  SequenceId next_sequence_id_ = 1;
  EngineStats totals_;       // the num_ totals only
  SchedulerTotals counted_;  // what of the scheduler's totals the metrics have
  std::deque<StepSummary> recent_steps_;
  // Gaps between tokens that end with this step and are not counted yet: where they all began.
  TimePoint gaps_from_{};
  uint64_t num_gaps_ = 0;
  TimePoint next_expiry_check_{};
};

}  // namespace pagoda
