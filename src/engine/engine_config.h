// EngineConfig and EngineStats: what the engine is told at start and what it tells about itself.
#pragma once

#include <cstdint>

namespace pagoda {

struct EngineConfig {
  int32_t max_model_len = 0;               // prompt and output tokens of one sequence at most
  int32_t max_num_queued_requests = 1024;  // waiting for their first step; more are refused
  int32_t vocab_size = 0;         // prompts with a token id outside [0, vocab_size) are refused
  bool check_invariants = false;  // after each step; a violation stops the process
};

// A consistent picture of the engine, taken when a step is chosen and when it is done.
struct EngineStats {
  int32_t num_running = 0;  // sequences with blocks
  int32_t num_waiting = 0;  // sequences without
  int32_t num_total_blocks = 0;
  int32_t num_free_blocks = 0;
  int64_t num_steps = 0;
  int64_t num_preemptions = 0;
  int64_t num_prompt_tokens = 0;  // computed; those computed again after a preemption not counted
  int64_t num_generation_tokens = 0;
  int64_t num_accepted_requests = 0;
  int64_t num_finished_requests = 0;  // final outputs posted; equals accepted when idle
};

}  // namespace pagoda
