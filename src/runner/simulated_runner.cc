// The timetable and the words of a simulated model.
#include "runner/simulated_runner.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <thread>
#include <utility>

#include "base/check.h"

namespace pagoda {
namespace {

// What a random number is for, so that no two draws are the same.
enum class Purpose : uint64_t { kTime = 1, kTimeAngle, kFailure, kToken };

// SplitMix64's finalizer (Steele, Lea and Flood, OOPSLA 2014).
uint64_t mixed(uint64_t value) {
  value += 0x9E3779B97F4A7C15;
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EB;
  return value ^ (value >> 31);
}

uint64_t random_bits(uint64_t seed, uint64_t stream, uint64_t position, Purpose purpose) {
  return mixed(mixed(mixed(mixed(seed) ^ stream) ^ position) ^ static_cast<uint64_t>(purpose));
}

// In (0, 1).
double random_unit(uint64_t bits) {
  return (static_cast<double>(bits >> 11) + 0.5) * 0x1p-53;
}

int32_t num_output_tokens(const ScheduledSequence& s) {
  return static_cast<int32_t>(s.token_ids.size()) - s.num_prompt_tokens;
}

bool contains(const std::vector<TokenId>& ids, TokenId id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

}  // namespace

SimulatedRunner::SimulatedRunner(Options options, const Clock& clock)
    : options_(std::move(options)), clock_(clock) {
  CHECK(!options_.words.empty());
}

KvCacheSpec SimulatedRunner::kv_cache_spec() const {
  return {
      .num_blocks = options_.num_blocks, .block_size = options_.block_size, .bytes_per_block = 1};
}

Result<ModelRunnerOutput> SimulatedRunner::execute(const SchedulerOutput& step) {
  const TimePoint now = wait_out_stall();
  ModelRunnerOutput output;
  output.tokens.reserve(step.sequences.size());
  for (const ScheduledSequence& s : step.sequences) {
    if (s.sampling == nullptr) continue;
    TimePoint due = s.not_before;
    if (due == TimePoint{}) {
      due =
          after(now, drawn(options_.simulation.ttft + prefill_time(s), s.id, num_output_tokens(s)));
      if (due > now) {
        output.tokens.push_back({.sequence_id = s.id, .deferred = true, .not_before = due});
        continue;
      }
    }
    SampledToken token = sample(s);
    token.not_before = after(due, drawn(options_.simulation.itl, s.id, num_output_tokens(s) + 1));
    output.tokens.push_back(std::move(token));
  }
  return output;
}

void SimulatedRunner::read_block(BlockId /*block*/, std::span<std::byte> out) const {
  std::fill(out.begin(), out.end(), std::byte{0});
}

void SimulatedRunner::write_block(BlockId /*block*/, std::span<const std::byte> /*data*/) {
}

// The time of the step, which is in no stall.
TimePoint SimulatedRunner::wait_out_stall() {
  const TimePoint now = clock_.now();
  if (!origin_) origin_ = now;
  // No time passes in `after` but that of the stall it stands in.
  const TimePoint free = after(now, Nanoseconds(0));
  if (free > now) {
    if (options_.sleep_until) {
      options_.sleep_until(free);
    } else {
      std::this_thread::sleep_until(free);
    }
  }
  return free;
}

// How much of the time since the first step was no stall.
std::chrono::nanoseconds SimulatedRunner::moving_time(Nanoseconds elapsed) const {
  const Simulation& simulation = options_.simulation;
  if (elapsed < simulation.stall_period) return elapsed;
  const int64_t begun = simulation.stall_repeats ? elapsed / simulation.stall_period : 1;
  const Nanoseconds in_last = elapsed - begun * simulation.stall_period;
  return elapsed - (begun - 1) * simulation.stall - std::min(in_last, simulation.stall);
}

// When `duration` without stalls has passed since `from`; never within a stall.
TimePoint SimulatedRunner::after(TimePoint from, Nanoseconds duration) const {
  const Simulation& simulation = options_.simulation;
  if (simulation.stall == Nanoseconds(0)) return from + duration;
  const Nanoseconds moving = moving_time(from - *origin_) + duration;
  if (moving < simulation.stall_period) return *origin_ + moving;
  const Nanoseconds between = simulation.stall_period - simulation.stall;
  const int64_t num_stalls =
      simulation.stall_repeats ? (moving - simulation.stall_period) / between + 1 : 1;
  return *origin_ + moving + num_stalls * simulation.stall;
}

// The time before output token `position`, 0 the first.
std::chrono::nanoseconds SimulatedRunner::drawn(Nanoseconds mean, SequenceId sequence,
                                                int32_t position) const {
  const double jitter = options_.simulation.jitter;
  if (jitter == 0.0) return mean;
  const uint64_t seed = options_.simulation.seed;
  const auto place = static_cast<uint64_t>(position);
  const double radius = random_unit(random_bits(seed, sequence, place, Purpose::kTime));
  const double angle = random_unit(random_bits(seed, sequence, place, Purpose::kTimeAngle));
  // Box and Muller 1958.
  const double normal =
      std::sqrt(-2.0 * std::log(radius)) * std::cos(2.0 * std::numbers::pi * angle);
  const double variance = std::log1p(jitter * jitter);
  const double factor = std::exp(std::sqrt(variance) * normal - variance / 2);
  return Nanoseconds(std::llround(static_cast<double>(mean.count()) * factor));
}

// Of the prompt, and after a preemption of what was put out too.
std::chrono::nanoseconds SimulatedRunner::prefill_time(const ScheduledSequence& s) const {
  const double rate = options_.simulation.prefill_tokens_per_s;
  if (rate == 0.0) return Nanoseconds(0);
  return Nanoseconds(std::llround(static_cast<double>(s.token_ids.size()) / rate * 1e9));
}

bool SimulatedRunner::fails(const ScheduledSequence& s) const {
  const Simulation& simulation = options_.simulation;
  if (num_output_tokens(s) + 1 != simulation.fail_at) return false;
  return random_unit(random_bits(simulation.seed, s.id, 0, Purpose::kFailure)) <
         simulation.fail_share;
}

SampledToken SimulatedRunner::sample(const ScheduledSequence& s) const {
  SampledToken sampled;
  sampled.sequence_id = s.id;
  if (fails(s)) {
    sampled.error = Error{ErrorCode::kInternal, fmt::format("simulated failure at output token {}",
                                                            options_.simulation.fail_at)};
    return sampled;
  }
  sampled.token = choose_token(s);
  if (s.sampling->num_logprobs >= 0) sampled.logprob = -1.0F;
  for (int32_t i = 0; i < s.sampling->num_logprobs; ++i) {
    const auto n = static_cast<int32_t>(options_.words.size());
    const TokenId other = i == 0 ? sampled.token : options_.words[static_cast<size_t>(i % n)];
    sampled.top_logprobs.push_back({.token = other, .logprob = -1.0F - static_cast<float>(i)});
  }
  return sampled;
}

TokenId SimulatedRunner::choose_token(const ScheduledSequence& s) const {
  const SamplingParams& sampling = *s.sampling;
  const int32_t position = num_output_tokens(s);
  const int32_t length = options_.simulation.output_tokens;
  const bool ends = length > 0 && position >= std::max(length - 1, sampling.min_tokens);
  if (ends && !sampling.ignore_eos && !sampling.eos_token_ids.empty()) {
    return sampling.eos_token_ids.front();
  }
  const std::vector<TokenId>& words =
      sampling.allowed_token_ids.empty() ? options_.words : sampling.allowed_token_ids;
  const size_t first = random_bits(sampling.seed, static_cast<uint64_t>(s.choice_index),
                                   static_cast<uint64_t>(position), Purpose::kToken) %
                       words.size();
  // The next one that ends nothing; where all do, any.
  for (size_t i = 0; i < words.size(); ++i) {
    const TokenId word = words[(first + i) % words.size()];
    if (!contains(sampling.eos_token_ids, word) && !contains(sampling.stop_token_ids, word)) {
      return word;
    }
  }
  return words[first];
}

}  // namespace pagoda
