// EngineConfig and EngineState: what the engine is told at start and what it tells about itself.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "core/types.h"
#include "engine/request.h"

namespace pagoda {

class BlockStore;
class Trace;

struct EngineConfig {
  int32_t max_model_len = 0;  // prompt and output tokens of one sequence at most
  // Waiting for their first step; more are refused. Background requests may take half of the
  // places, and of num_tenants each leaves some to the others.
  int32_t max_num_queued_requests = 1024;
  int64_t max_num_queued_tokens = int64_t{1} << 20;  // of prompts; a lone request is always taken
  std::chrono::milliseconds max_queue_time{0};  // longer waits end with kOverloaded; 0: no limit
  int32_t max_num_background_seqs = 0;          // running at once; 0: half of max_num_seqs
  int32_t num_tenants = 1;                      // TenantIds are in [0, num_tenants)
  int32_t vocab_size = 0;  // prompts with a token id outside [0, vocab_size) are refused
  bool enable_prefix_caching = true;
  // What a request should keep to, in seconds; 0: no limit. Only metrics know of it.
  double slo_ttft_s = 0;
  double slo_tpot_s = 0;
  BlockStore* block_store = nullptr;  // where cached blocks go that memory cannot keep; may be null
  Trace* trace = nullptr;             // may be null
  bool check_invariants = false;      // after each step; a violation stops the process
};

// A consistent picture of the engine, taken when a step is chosen and when it is done.
struct EngineStats {
  int32_t num_running = 0;  // sequences with blocks
  int32_t num_waiting = 0;  // sequences without
  int32_t num_total_blocks = 0;
  int32_t num_free_blocks = 0;    // referenced by nobody, among them the cached ones
  int32_t num_cached_blocks = 0;  // whose content can be found again
  int64_t num_steps = 0;
  int64_t num_preemptions = 0;
  int64_t num_prompt_tokens = 0;  // computed; those computed again after a preemption not counted
  int64_t num_cached_prompt_tokens = 0;   // not computed because the cache had them
  int64_t num_recomputed_tokens = 0;      // computed again after a preemption
  int64_t num_draft_tokens = 0;           // guesses computed along
  int64_t num_accepted_draft_tokens = 0;  // which were right
  int64_t num_generation_tokens = 0;
  int64_t num_accepted_requests = 0;
  int64_t num_finished_requests = 0;  // final outputs posted; equals accepted when idle
  int64_t num_expired_requests = 0;   // of those, ended by max_queue_time
};

// One unfinished request as /debug/state shows it: numbers, never tokens.
struct RequestSummary {
  RequestId id = 0;
  TenantId tenant = 0;
  Priority priority = Priority::kInteractive;
  bool started = false;  // has had a step
  int32_t num_choices = 0;
  int32_t num_running = 0;  // choices with blocks
  int32_t num_prompt_tokens = 0;
  int32_t num_cached_tokens = 0;    // of the prompt
  int32_t num_computed_tokens = 0;  // of the furthest running choice
  int64_t num_output_tokens = 0;    // of all choices
  int32_t num_blocks = 0;           // of all choices, shared ones counted each time
  int32_t num_preemptions = 0;
  double age_s = 0;
  double queue_s = -1;  // until its first step; negative: has had none
  double ttft_s = -1;   // until its first token; negative: has had none
};

struct StepSummary {
  int64_t index = 0;  // EngineStats::num_steps before it
  int32_t num_sequences = 0;
  int32_t num_tokens = 0;
  int32_t num_preempted = 0;
  bool failed = false;
  double duration_s = 0;
};

struct EngineState {
  EngineStats stats;
  std::vector<RequestSummary> requests;   // oldest first
  std::vector<StepSummary> recent_steps;  // oldest first, at most 64
  double age_s = 0;                       // how long ago this was taken
  double step_running_s = 0;              // how long the current step has run; 0: none runs
};

}  // namespace pagoda
