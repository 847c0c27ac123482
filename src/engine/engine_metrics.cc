// EngineMetrics: names, help texts and buckets.
#include "engine/engine_metrics.h"

#include <vector>

namespace pagoda {

namespace {

const std::vector<double> kFirstTokenSeconds = {0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1,
                                                0.25,  0.5,   0.75, 1,    2.5,  5,    7.5,  10,
                                                20,    40,    80,   160,  640,  2560};
// The first three are not vLLM's: small models on a CPU decode faster than its first bucket.
const std::vector<double> kInterTokenSeconds = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1,
                                                0.15,  0.2,    0.3,   0.4,  0.5,   0.75, 1,     2.5,
                                                5,     7.5,    10,    20,   40,    80};
const std::vector<double> kRequestSeconds = {0.3, 0.5, 0.8, 1,  1.5, 2,   2.5, 5,   10,   15,  20,
                                             30,  40,  50,  60, 120, 240, 480, 960, 1920, 7680};
const std::vector<double> kStepTokens = {1,   8,    16,   32,   64,   128,  256,
                                         512, 1024, 2048, 4096, 8192, 16384};

// 1, 2, 5, 10, 20, ... up to `limit`.
std::vector<double> token_buckets(int32_t limit) {
  std::vector<double> buckets;
  for (int64_t power = 1; power <= limit; power *= 10) {
    for (const int64_t mantissa : {1, 2, 5}) {
      if (mantissa * power <= limit) buckets.push_back(static_cast<double>(mantissa * power));
    }
  }
  return buckets;
}

}  // namespace

EngineMetrics::EngineMetrics(MetricsRegistry* registry, const std::string& model_name,
                             int32_t max_model_len) {
  if (registry == nullptr) return;
  const MetricsRegistry::Labels labels = {{"model_name", model_name}};
  const auto gauge = [&](const char* name, const char* help) {
    return registry->gauge(name, help, labels);
  };
  const auto counter = [&](const char* name, const char* help) {
    return registry->counter(name, help, labels);
  };
  const auto histogram = [&](const char* name, const char* help,
                             const std::vector<double>& buckets) {
    return registry->histogram(name, help, buckets, labels);
  };
  num_requests_running =
      gauge("vllm:num_requests_running", "Number of requests in model execution batches.");
  num_requests_waiting =
      gauge("vllm:num_requests_waiting", "Number of requests waiting to be processed.");
  kv_cache_usage_perc = gauge("vllm:kv_cache_usage_perc", "KV cache usage. 1 means 100 percent.");
  num_preemptions_total =
      counter("vllm:num_preemptions_total", "Cumulative number of preemptions.");
  prompt_tokens_total = counter("vllm:prompt_tokens_total", "Number of prefill tokens processed.");
  prefix_cache_queries_total =
      counter("vllm:prefix_cache_queries_total", "Prefix cache queries, in queried tokens.");
  prefix_cache_hits_total =
      counter("vllm:prefix_cache_hits_total", "Prefix cache hits, in cached tokens.");
  recomputed_tokens_total =
      counter("pagoda:recomputed_tokens_total", "Tokens computed again after a preemption.");
  spec_decode_num_drafts_total =
      counter("vllm:spec_decode_num_drafts_total", "Number of spec decoding drafts.");
  spec_decode_num_draft_tokens_total =
      counter("vllm:spec_decode_num_draft_tokens_total", "Number of draft tokens.");
  spec_decode_num_accepted_tokens_total =
      counter("vllm:spec_decode_num_accepted_tokens_total", "Number of accepted tokens.");
  requests_expired_total =
      counter("pagoda:requests_expired_total", "Requests that waited longer than max-queue-time.");
  steps_failed_total = counter("pagoda:steps_failed_total", "Engine steps that failed.");
  invariant_violations_total =
      counter("pagoda:invariant_violations_total", "Broken invariants found while idle.");
  generation_tokens_total =
      counter("vllm:generation_tokens_total", "Number of generation tokens processed.");
  for (const FinishReason reason :
       {FinishReason::kStop, FinishReason::kLength, FinishReason::kAbort, FinishReason::kError}) {
    MetricsRegistry::Labels with_reason = labels;
    with_reason.emplace_back("finished_reason", std::string(to_string(reason)));
    request_success_total[static_cast<size_t>(reason)] = registry->counter(
        "vllm:request_success_total", "Count of processed requests by finish reason.", with_reason);
  }
  iteration_tokens_total = histogram("vllm:iteration_tokens_total",
                                     "Histogram of number of tokens per engine step.", kStepTokens);
  time_to_first_token = histogram("vllm:time_to_first_token_seconds",
                                  "Histogram of time to first token.", kFirstTokenSeconds);
  inter_token_latency = histogram("vllm:inter_token_latency_seconds",
                                  "Histogram of inter-token latency.", kInterTokenSeconds);
  e2e_request_latency = histogram("vllm:e2e_request_latency_seconds",
                                  "Histogram of end to end request latency.", kRequestSeconds);
  request_queue_time = histogram("vllm:request_queue_time_seconds",
                                 "Histogram of time a request waited.", kRequestSeconds);
  request_prefill_time = histogram("vllm:request_prefill_time_seconds",
                                   "Histogram of time spent in prefill.", kRequestSeconds);
  request_decode_time = histogram("vllm:request_decode_time_seconds",
                                  "Histogram of time spent in decoding.", kRequestSeconds);
  const std::vector<double> token_counts = token_buckets(max_model_len);
  request_prompt_tokens = histogram("vllm:request_prompt_tokens",
                                    "Number of prefill tokens of a request.", token_counts);
  request_generation_tokens = histogram("vllm:request_generation_tokens",
                                        "Number of generation tokens of a request.", token_counts);
}

}  // namespace pagoda
