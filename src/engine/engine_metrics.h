// EngineMetrics: the engine's metrics under the names and buckets vLLM gives them.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "base/metrics.h"
#include "core/sampling_params.h"

namespace pagoda {

// Handles, so cheap to copy; thread-safe. The registry must outlive them. Default-constructed: no
// metrics are kept.
struct EngineMetrics {
  EngineMetrics() = default;
  // `registry` may be null.
  EngineMetrics(MetricsRegistry* registry, const std::string& model_name, int32_t max_model_len);

  const Counter& request_success(FinishReason reason) const {
    return request_success_total[static_cast<size_t>(reason)];
  }

  Gauge num_requests_running;  // sequences, as in vLLM
  Gauge num_requests_waiting;
  Gauge kv_cache_usage_perc;  // 0 to 1
  Counter num_preemptions_total;
  Counter prompt_tokens_total;         // of prompts, computed or found in the prefix cache
  Counter prefix_cache_queries_total;  // prompt tokens looked for in the prefix cache
  Counter prefix_cache_hits_total;     // those of them found
  Counter recomputed_tokens_total;     // computed again after a preemption
  // Prompt lookup: steps of a sequence that had draft tokens, those tokens, and the right ones.
  Counter spec_decode_num_drafts_total;
  Counter spec_decode_num_draft_tokens_total;
  Counter spec_decode_num_accepted_tokens_total;
  Counter requests_expired_total;  // ended by max_queue_time
  Counter steps_failed_total;
  Counter invariant_violations_total;  // found while idle; 0 in a sound server
  Counter generation_tokens_total;
  std::array<Counter, 4> request_success_total;  // by FinishReason of the first choice
  Histogram iteration_tokens_total;              // tokens computed in one step
  // Seconds, one observation a request; inter_token_latency: one a step that gives a
  // choice tokens after its first.
  Histogram time_to_first_token;
  Histogram inter_token_latency;
  Histogram e2e_request_latency;
  Histogram request_queue_time;    // arrival to first step
  Histogram request_prefill_time;  // first step to first token
  Histogram request_decode_time;   // first token to end
  Histogram request_prompt_tokens;
  Histogram request_generation_tokens;  // of all choices
};

}  // namespace pagoda
