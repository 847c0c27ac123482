// The replaced tokens.
#include "runner/replay_runner.h"

#include <cstddef>

#include "runner/sampler.h"

namespace pagoda {

Result<ModelRunnerOutput> ReplayRunner::execute(const SchedulerOutput& step) {
  RETURN_IF_ERROR(runner_->execute(step));
  ModelRunnerOutput output;
  for (const ScheduledSequence& s : step.sequences) {
    if (s.sampling == nullptr) continue;
    const auto length = static_cast<int32_t>(s.token_ids.size());
    for (int32_t position = length - s.num_draft_tokens; position <= length; ++position) {
      const TokenId token = token_at(s, position);
      output.tokens.push_back({.sequence_id = s.id, .token = token});
      if (position < length && token != s.token_ids[static_cast<size_t>(position)]) break;
    }
  }
  return output;
}

TokenId ReplayRunner::token_at(const ScheduledSequence& sequence, int32_t position) const {
  if (replay_ == Replay::kRepeat) {
    return sequence.token_ids[static_cast<size_t>(position % sequence.num_prompt_tokens)];
  }
  const double random =
      uniform_random(static_cast<uint64_t>(sequence.id), 0, static_cast<uint32_t>(position));
  return static_cast<TokenId>(random * kNumReplayWords);
}

}  // namespace pagoda
