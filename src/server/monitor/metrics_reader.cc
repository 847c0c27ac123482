// Which metric becomes which part of a sample.
#include "server/monitor/metrics_reader.h"

#include <utility>

#include "base/process_stats.h"

namespace pagoda {

MetricsReader::MetricsReader(const EngineMetrics& engine)
    : engine_(engine),
      // In the order of Spread.
      spreads_{engine.time_to_first_token,   engine.inter_token_latency,
               engine.e2e_request_latency,   engine.request_queue_time,
               engine.request_prefill_time,  engine.request_decode_time,
               engine.step_duration,         engine.iteration_tokens_total,
               engine.request_prompt_tokens, engine.request_generation_tokens} {
}

SpreadBounds MetricsReader::bounds() const {
  SpreadBounds bounds;
  for (size_t i = 0; i < kNumSpreads; ++i) {
    bounds[i].assign(spreads_[i].bounds().begin(), spreads_[i].bounds().end());
  }
  return bounds;
}

std::array<double, kNumCounts> MetricsReader::read_counts(const ServerCounters& server) const {
  std::array<double, kNumCounts> counts{};
  const auto set = [&counts](Count what, double value) {
    counts[static_cast<size_t>(what)] = value;
  };
  set(Count::kPromptTokens, engine_.prompt_tokens_total.value());
  set(Count::kGenerationTokens, engine_.generation_tokens_total.value());
  set(Count::kCachedPromptTokens, engine_.prompt_tokens_cached_total.value());
  set(Count::kCacheQueries, engine_.prefix_cache_queries_total.value());
  set(Count::kCacheHits, engine_.prefix_cache_hits_total.value());
  set(Count::kDraftTokens, engine_.spec_decode_num_draft_tokens_total.value());
  set(Count::kAcceptedTokens, engine_.spec_decode_num_accepted_tokens_total.value());
  set(Count::kPreemptions, engine_.num_preemptions_total.value());
  set(Count::kWithinSlo, engine_.requests_within_slo_total.value());
  double num_failed = 0;
  for (size_t i = 0; i < kNumRequestEnds; ++i) {
    const auto end = static_cast<RequestEnd>(i);
    const double num = engine_.requests_ended(end).value();
    set(end_count(end), num);
    if (is_failure(end)) num_failed += num;
  }
  set(Count::kErrors, num_failed + server.num_server_errors);
  set(Count::kRefused, server.num_refused);
  set(Count::kCpuSeconds, process_stats().cpu_s);
  return counts;
}

Sample MetricsReader::read(int64_t t, double seconds, const ServerCounters& server) {
  Sample sample{.t = t, .seconds = seconds, .counts = {}, .levels = {}, .sums = {}, .buckets = {}};
  const auto counts = read_counts(server);
  for (size_t i = 0; i < kNumCounts; ++i) sample.counts[i] = counts[i] - counts_[i];
  counts_ = counts;
  sample.levels = {engine_.num_requests_running.value(), engine_.num_requests_waiting.value(),
                   engine_.kv_cache_usage_perc.value(),
                   static_cast<double>(process_stats().resident_bytes)};
  for (size_t i = 0; i < kNumSpreads; ++i) {
    const double sum = spreads_[i].read(now_);
    sample.sums[i] = sum - std::exchange(sums_[i], sum);
    std::vector<uint64_t>& before = buckets_[i];
    before.resize(now_.size());
    for (size_t bucket = 0; bucket < now_.size(); ++bucket) {
      const uint64_t num_new = now_[bucket] - before[bucket];
      if (num_new == 0) continue;
      sample.buckets.push_back({static_cast<uint16_t>(i), static_cast<uint16_t>(bucket),
                                static_cast<uint32_t>(num_new)});
    }
    before = now_;
  }
  return sample;
}

}  // namespace pagoda
