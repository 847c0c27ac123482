// SimulatedRunner: a ModelRunner without a model, whose timing is known.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "base/clock.h"
#include "core/model_runner.h"
#include "runner/simulation.h"

namespace pagoda {

// A stand-in for a model and its device of which the truth is known, to check benchmarks against
// and to try the server under loads that no device at hand could carry. Everything else is real:
// HTTP, tokenizer, template, scheduler, cache blocks (as numbers; there is no memory behind them).
//
// Time. Each sequence has a timetable of its own, and sequences never slow each other:
//
//  - Its first step, in which all of its prompt is computed, fixes its start. The first token is
//    due `ttft` later, plus tokens / `prefill` of the prompt, whether or not the prefix cache has
//    some of them. A request waits for its first step only while there is no place (max_num_seqs,
//    cache blocks) or the engine stands still.
//  - Each further token is due `itl` after the one before it was due. Delays do not add up: a token
//    that comes late does not move those after it.
//  - The engine looks for what is due on whole milliseconds, so a token is given out 0 to 1 ms
//  after
//    it is due and never before; later only where the machine is too slow.
//  - `jitter`: each of these times is drawn from a log-normal distribution with the given mean and
//    that standard deviation, relative to the mean. The draw is a function of (seed, sequence,
//    position); sequences are counted from 1 in the order in which the engine took them in.
//  - `stall`: nothing happens for so long after each period, or once after the first, counted from
//    the engine's first step. What is due in a stall, or later, comes so much later; a request that
//    comes in a stall starts at its end (the step that holds it hangs until then).
//  - n choices of a request are n sequences. A sequence that was preempted starts again, and takes
//    its ttft again before its next token.
//
// Tokens. Those of `words`, chosen by (the request's seed, choice, position); of the request's
// allowed_token_ids where it has some. Other sampling parameters change nothing, and logprobs are
// -1, -2 and so on. No end or stop token is given, so that an answer has exactly max_tokens tokens
// (or ends with the context); with `output`, that many at most, of which the last is the model's
// end token, unless the request ignores it or wants more by min_tokens.
//
// Failures. `fail`: of all sequences that share, by (seed, sequence), gets an error in place of its
// token number fail_at, which ends its request.
//
// Engine thread only. `clock` must outlive it.
class SimulatedRunner final : public ModelRunner {
 public:
  struct Options {
    Simulation simulation;
    StepLimits limits;
    int32_t num_blocks = 0;
    int32_t block_size = 16;     // tokens
    std::vector<TokenId> words;  // what answers consist of; not empty
    // Blocks until then; empty: sleeps.
    std::function<void(TimePoint)> sleep_until = {};
  };
  explicit SimulatedRunner(Options options, const Clock& clock = real_clock());

  KvCacheSpec kv_cache_spec() const override;
  StepLimits step_limits() const override { return options_.limits; }
  Result<ModelRunnerOutput> execute(const SchedulerOutput& step) override;
  // Blocks hold nothing: zeros are read, and what is written is forgotten.
  void read_block(BlockId block, std::span<std::byte> out) const override;
  void write_block(BlockId block, std::span<const std::byte> data) override;

 private:
  using Nanoseconds = std::chrono::nanoseconds;

  TimePoint wait_out_stall();
  Nanoseconds moving_time(Nanoseconds elapsed) const;
  TimePoint after(TimePoint from, Nanoseconds duration) const;
  Nanoseconds drawn(Nanoseconds mean, SequenceId sequence, int32_t position) const;
  Nanoseconds prefill_time(const ScheduledSequence& s) const;
  bool fails(const ScheduledSequence& s) const;
  SampledToken sample(const ScheduledSequence& s) const;
  TokenId choose_token(const ScheduledSequence& s) const;

  const Options options_;
  const Clock& clock_;
  std::optional<TimePoint> origin_;  // the first step
};

}  // namespace pagoda
