// EngineMetrics: names, help texts and buckets.
#include "engine/engine_metrics.h"

#include <algorithm>
#include <vector>

namespace pagoda {

namespace {

const std::vector<double> kFirstTokenSeconds = {0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1,
                                                0.25,  0.5,   0.75, 1,    2.5,  5,    7.5,  10,
                                                20,    40,    80,   160,  640,  2560};
const std::vector<double> kInterTokenSeconds = {
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80};
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

const std::vector<double> kChoices = {1, 2, 5, 10, 20};
const std::vector<double> kPreemptions = {1, 2, 3, 4, 5, 10, 20};

// Our own, finer ones: a small model on a CPU gives a token in a millisecond, and queues are worth
// seeing long before vLLM's first bucket of 300 ms.
const std::vector<double> kFineSeconds = {
    0.0005, 0.001, 0.002, 0.003, 0.004, 0.006, 0.008, 0.01, 0.015, 0.02, 0.03, 0.04,
    0.06,   0.08,  0.1,   0.15,  0.2,   0.3,   0.4,   0.6,  0.8,   1,    1.5,  2,
    3,      4,     6,     8,     10,    15,    20,    30,   60,    120,  300,  600};

// What percentiles of the dashboard are taken from: at most 9 % wide.
const std::vector<double>& second_grid() {
  static const std::vector<double> kGrid = log_buckets(1.0 / 8192, 8192, 8);
  return kGrid;
}

// Makes metrics that carry the labels of all of vLLM's.
class Maker {
 public:
  Maker(MetricsRegistry& registry, const std::string& model_name)
      : registry_(registry), labels_({{"model_name", model_name}, {"engine", "0"}}) {}

  MetricsRegistry::Labels labels(const char* name = nullptr, std::string_view value = {}) const {
    MetricsRegistry::Labels all = labels_;
    if (name != nullptr) all.emplace_back(name, std::string(value));
    return all;
  }
  Gauge gauge(const char* name, const char* help, const char* label = nullptr,
              std::string_view value = {}) const {
    return registry_.gauge(name, help, labels(label, value));
  }
  Counter counter(const char* name, const char* help, const char* label = nullptr,
                  std::string_view value = {}) const {
    return registry_.counter(name, help, labels(label, value));
  }
  Histogram histogram(const char* name, const char* help,
                      const std::vector<double>& buckets) const {
    return registry_.histogram(name, help, buckets, labels_);
  }
  // Seconds under vLLM's name and ours, kept in the finest buckets.
  Histogram seconds(const char* name, const char* own_name, const char* help,
                    const std::vector<double>& buckets) const {
    return registry_.histogram({{name, help, buckets}, {own_name, help, kFineSeconds}}, labels_,
                               second_grid());
  }

 private:
  MetricsRegistry& registry_;
  const MetricsRegistry::Labels labels_;
};

void add_token_counters(EngineMetrics& m, const Maker& make, int32_t num_draft_positions) {
  constexpr const char* kBySource = "vllm:prompt_tokens_by_source_total";
  constexpr const char* kBySourceHelp = "Number of prompt tokens by source.";
  m.prompt_tokens_total =
      make.counter("vllm:prompt_tokens_total", "Number of prefill tokens processed.");
  m.prompt_tokens_computed_total =
      make.counter(kBySource, kBySourceHelp, "source", "local_compute");
  m.prompt_tokens_from_cache_total =
      make.counter(kBySource, kBySourceHelp, "source", "local_cache_hit");
  m.prompt_tokens_from_store_total =
      make.counter(kBySource, kBySourceHelp, "source", "external_kv_transfer");
  m.prompt_tokens_cached_total = make.counter("vllm:prompt_tokens_cached_total",
                                              "Number of cached prompt tokens (local + external).");
  m.prompt_tokens_recomputed_total =
      make.counter("vllm:prompt_tokens_recomputed_total",
                   "Number of cached tokens recomputed for forward pass.");
  m.prefix_cache_queries_total =
      make.counter("vllm:prefix_cache_queries_total", "Prefix cache queries, in queried tokens.");
  m.prefix_cache_hits_total =
      make.counter("vllm:prefix_cache_hits_total", "Prefix cache hits, in cached tokens.");
  m.external_prefix_cache_queries_total =
      make.counter("vllm:external_prefix_cache_queries_total",
                   "Prefix cache queries of the disk tier, in queried tokens.");
  m.external_prefix_cache_hits_total =
      make.counter("vllm:external_prefix_cache_hits_total",
                   "Prefix cache hits of the disk tier, in cached tokens.");
  make.counter("vllm:mm_cache_queries_total", "Multi-modal cache queries, in queried items.");
  make.counter("vllm:mm_cache_hits_total", "Multi-modal cache hits, in cached items.");
  m.recomputed_tokens_total =
      make.counter("pagoda_recomputed_tokens_total", "Tokens computed again after a preemption.");
  m.generation_tokens_total =
      make.counter("vllm:generation_tokens_total", "Number of generation tokens processed.");
  m.spec_decode_num_drafts_total =
      make.counter("vllm:spec_decode_num_drafts_total", "Number of spec decoding drafts.");
  m.spec_decode_num_draft_tokens_total =
      make.counter("vllm:spec_decode_num_draft_tokens_total", "Number of draft tokens.");
  m.spec_decode_num_accepted_tokens_total =
      make.counter("vllm:spec_decode_num_accepted_tokens_total", "Number of accepted tokens.");
  for (int32_t i = 0; i < std::min(num_draft_positions, EngineMetrics::kMaxDraftPositions); ++i) {
    m.spec_decode_num_accepted_tokens_per_pos_total.push_back(
        make.counter("vllm:spec_decode_num_accepted_tokens_per_pos_total",
                     "Accepted tokens per draft position.", "position", std::to_string(i)));
  }
}

void add_state(EngineMetrics& m, const Maker& make) {
  constexpr const char* kByReason = "vllm:num_requests_waiting_by_reason";
  constexpr const char* kByReasonHelp = "Number of requests waiting to be processed, by reason.";
  constexpr const char* kSleep = "vllm:engine_sleep_state";
  constexpr const char* kSleepHelp = "Engine sleep state; 1 for the state it is in.";
  m.num_requests_running =
      make.gauge("vllm:num_requests_running", "Number of requests in model execution batches.");
  m.num_requests_waiting =
      make.gauge("vllm:num_requests_waiting", "Number of requests waiting to be processed.");
  m.num_requests_waiting_for_capacity = make.gauge(kByReason, kByReasonHelp, "reason", "capacity");
  make.gauge(kByReason, kByReasonHelp, "reason", "deferred").set(0);
  make.gauge(kSleep, kSleepHelp, "sleep_state", "awake").set(1);
  make.gauge(kSleep, kSleepHelp, "sleep_state", "weights_offloaded").set(0);
  make.gauge(kSleep, kSleepHelp, "sleep_state", "discard_all").set(0);
  m.kv_cache_usage_perc =
      make.gauge("vllm:kv_cache_usage_perc", "KV cache usage. 1 means 100 percent.");
  m.num_preemptions_total =
      make.counter("vllm:num_preemptions_total", "Cumulative number of preemptions.");
  m.steps_failed_total = make.counter("pagoda_steps_failed_total", "Engine steps that failed.");
  m.invariant_violations_total =
      make.counter("pagoda_invariant_violations_total", "Broken invariants found while idle.");
  for (const FinishReason reason :
       {FinishReason::kStop, FinishReason::kLength, FinishReason::kAbort, FinishReason::kError}) {
    m.request_success_total[static_cast<size_t>(reason)] =
        make.counter("vllm:request_success_total", "Count of processed requests by finish reason.",
                     "finished_reason", to_string(reason));
  }
  for (size_t i = 0; i < kNumRequestEnds; ++i) {
    m.requests_ended_total[i] =
        make.counter("pagoda_requests_ended_total", "Accepted requests that have ended, by how.",
                     "reason", kRequestEndNames[i]);
  }
  m.requests_within_slo_total =
      make.counter("pagoda_requests_within_slo_total",
                   "Requests that ended by themselves within the service level objective.");
}

void add_latencies(EngineMetrics& m, MetricsRegistry& registry, const Maker& make) {
  constexpr const char* kGapHelp = "Histogram of inter-token latency.";
  m.time_to_first_token =
      make.seconds("vllm:time_to_first_token_seconds", "pagoda_time_to_first_token_seconds",
                   "Histogram of time to first token.", kFirstTokenSeconds);
  m.inter_token_latency =
      registry.histogram({{"vllm:inter_token_latency_seconds", kGapHelp, kInterTokenSeconds},
                          // As it was called before, which older boards ask for.
                          {"vllm:time_per_output_token_seconds", kGapHelp, kInterTokenSeconds},
                          {"pagoda_inter_token_latency_seconds", kGapHelp, kFineSeconds}},
                         make.labels(), second_grid());
  m.request_time_per_output_token = make.seconds(
      "vllm:request_time_per_output_token_seconds", "pagoda_request_time_per_output_token_seconds",
      "Histogram of the mean time per output token of a request.", kInterTokenSeconds);
  m.e2e_request_latency =
      make.seconds("vllm:e2e_request_latency_seconds", "pagoda_request_duration_seconds",
                   "Histogram of end to end request latency.", kRequestSeconds);
  m.request_queue_time =
      make.seconds("vllm:request_queue_time_seconds", "pagoda_request_queue_seconds",
                   "Histogram of time a request waited.", kRequestSeconds);
  m.request_inference_time =
      make.seconds("vllm:request_inference_time_seconds", "pagoda_request_inference_seconds",
                   "Histogram of time from first step to end.", kRequestSeconds);
  m.request_prefill_time =
      make.seconds("vllm:request_prefill_time_seconds", "pagoda_request_prefill_seconds",
                   "Histogram of time spent in prefill.", kRequestSeconds);
  m.request_decode_time =
      make.seconds("vllm:request_decode_time_seconds", "pagoda_request_decode_seconds",
                   "Histogram of time spent in decoding.", kRequestSeconds);
  m.step_duration = registry.histogram(
      {{"pagoda_step_duration_seconds", "Histogram of the time of an engine step.", kFineSeconds}},
      make.labels(), second_grid());
}

}  // namespace

EngineMetrics::EngineMetrics(MetricsRegistry* registry, const std::string& model_name,
                             int32_t max_model_len, int32_t num_draft_positions) {
  if (registry == nullptr) return;
  const Maker make(*registry, model_name);
  add_state(*this, make);
  add_token_counters(*this, make, num_draft_positions);
  add_latencies(*this, *registry, make);
  const std::vector<double> token_counts = token_buckets(max_model_len);
  iteration_tokens_total = make.histogram(
      "vllm:iteration_tokens_total", "Histogram of number of tokens per engine step.", kStepTokens);
  request_prompt_tokens = make.histogram("vllm:request_prompt_tokens",
                                         "Number of prefill tokens of a request.", token_counts);
  request_generation_tokens = make.histogram(
      "vllm:request_generation_tokens", "Number of generation tokens of a request.", token_counts);
  request_max_num_generation_tokens =
      make.histogram("vllm:request_max_num_generation_tokens",
                     "Number of generation tokens of the longest choice.", token_counts);
  request_params_max_tokens =
      make.histogram("vllm:request_params_max_tokens",
                     "Histogram of the max_tokens request parameter.", token_counts);
  request_prefill_kv_computed_tokens = make.histogram(
      "vllm:request_prefill_kv_computed_tokens",
      "Prompt tokens of a request that were computed, not found in the cache.", token_counts);
  request_params_n =
      make.histogram("vllm:request_params_n", "Histogram of the n request parameter.", kChoices);
  request_num_preemptions =
      make.histogram("vllm:request_num_preemptions", "Preemptions of a request.", kPreemptions);
}

}  // namespace pagoda
