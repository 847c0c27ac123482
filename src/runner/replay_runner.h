// ReplayRunner: a ModelRunner that does all of another's work and then gives out a text that is
// known before.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "core/model_runner.h"

namespace pagoda {

// The text that every sequence goes on with.
enum class Replay : uint8_t {
  kRepeat,  // its prompt, over and over: every guess that follows the text is right
  kWords,   // words at random out of kNumReplayWords: there is always a guess, and it is mostly
            // wrong
};
inline constexpr int32_t kNumReplayWords = 12;  // token ids from 0

// To measure what guessed tokens gain and cost (prompt_lookup.h of the engine), which with random
// weights depends on chance. Owns the other runner; otherwise as ModelRunner. REQUIRES: a
// vocabulary of kNumReplayWords at least.
class ReplayRunner final : public ModelRunner {
 public:
  ReplayRunner(std::unique_ptr<ModelRunner> runner, Replay replay)
      : runner_(std::move(runner)), replay_(replay) {}

  KvCacheSpec kv_cache_spec() const override { return runner_->kv_cache_spec(); }
  StepLimits step_limits() const override { return runner_->step_limits(); }
  Result<ModelRunnerOutput> execute(const SchedulerOutput& step) override;
  void read_block(BlockId block, std::span<std::byte> out) const override {
    runner_->read_block(block, out);
  }
  void write_block(BlockId block, std::span<const std::byte> data) override {
    runner_->write_block(block, data);
  }

 private:
  TokenId token_at(const ScheduledSequence& sequence, int32_t position) const;

  std::unique_ptr<ModelRunner> runner_;
  Replay replay_;
};

}  // namespace pagoda
