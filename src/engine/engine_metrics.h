// EngineMetrics: the engine's metrics under vLLM's names and buckets, and finer ones of our own.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "core/sampling_params.h"
#include "engine/request_end.h"

namespace pagoda {

// Handles, so cheap to copy; thread-safe. The registry must outlive them. Default-constructed: no
// metrics are kept. docs/metrics.md says what each means under which name.
struct EngineMetrics {
  static constexpr int32_t kMaxDraftPositions = 64;

  EngineMetrics() = default;
  // `registry` may be null. `num_draft_positions`: the most drafts of a sequence in one step.
  EngineMetrics(MetricsRegistry* registry, const std::string& model_name, int32_t max_model_len,
                int32_t num_draft_positions);

  const Counter& request_success(FinishReason reason) const {
    return request_success_total[static_cast<size_t>(reason)];
  }
  const Counter& requests_ended(RequestEnd end) const {
    return requests_ended_total[static_cast<size_t>(end)];
  }

  Gauge num_requests_running;  // sequences, as in vLLM
  Gauge num_requests_waiting;
  Gauge num_requests_waiting_for_capacity;  // the same: nothing else is waited for
  Gauge kv_cache_usage_perc;                // 0 to 1
  Counter num_preemptions_total;
  Counter prompt_tokens_total;                  // of prompts, computed or found in the prefix cache
  Counter prompt_tokens_computed_total;         // by source: computed,
  Counter prompt_tokens_from_cache_total;       // in a block that was in memory,
  Counter prompt_tokens_from_store_total;       // read back from disk
  Counter prompt_tokens_cached_total;           // the latter two together
  Counter prompt_tokens_recomputed_total;       // found, and computed all the same: none
  Counter prefix_cache_queries_total;           // prompt tokens looked for in the prefix cache
  Counter prefix_cache_hits_total;              // those of them found
  Counter external_prefix_cache_queries_total;  // tokens looked for on disk
  Counter external_prefix_cache_hits_total;
  Counter recomputed_tokens_total;  // computed again after a preemption
  // Prompt lookup: steps of a sequence that had draft tokens, those tokens, and the right ones.
  Counter spec_decode_num_drafts_total;
  Counter spec_decode_num_draft_tokens_total;
  Counter spec_decode_num_accepted_tokens_total;
  std::vector<Counter> spec_decode_num_accepted_tokens_per_pos_total;
  Counter steps_failed_total;
  Counter invariant_violations_total;  // found while idle; 0 in a sound server
  Counter generation_tokens_total;
  std::array<Counter, 4> request_success_total;               // by FinishReason of the first choice
  std::array<Counter, kNumRequestEnds> requests_ended_total;  // by RequestEnd
  Counter requests_within_slo_total;                          // of those that ended by themselves
  Histogram iteration_tokens_total;                           // tokens computed in one step
  Histogram step_duration;                                    // seconds
  // Seconds, one observation a request; inter_token_latency: one a step that gives a choice tokens
  // after its first.
  Histogram time_to_first_token;
  Histogram inter_token_latency;
  Histogram request_time_per_output_token;  // of requests with two tokens at least
  Histogram e2e_request_latency;
  Histogram request_queue_time;      // arrival to first step
  Histogram request_inference_time;  // first step to end
  Histogram request_prefill_time;    // first step to first token
  Histogram request_decode_time;     // first token to end
  // Tokens, one observation a request.
  Histogram request_prompt_tokens;
  Histogram request_generation_tokens;          // of all choices
  Histogram request_max_num_generation_tokens;  // of the longest choice
  Histogram request_params_max_tokens;
  Histogram request_prefill_kv_computed_tokens;  // of the prompt, not found in the cache
  Histogram request_params_n;
  Histogram request_num_preemptions;
};

}  // namespace pagoda
