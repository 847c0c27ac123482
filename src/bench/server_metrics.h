// ServerMetrics: what the server under test says of itself while it is tested.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/json.h"
#include "bench/http_get.h"

namespace pagoda {

// Sums of the series of one name in Prometheus' text format that a benchmark shows (of kv_usage the
// mean); absent ones are null. Names as vLLM and Pagoda have them: running, waiting, kv_usage (0 to
// 1), prefix_hits, prefix_queries (tokens), preemptions, prompt_tokens, generation_tokens.
Json read_server_metrics(std::string_view text);

// Reads a server's /metrics every second on a thread of its own, from construction to stop().
// Failures leave gaps; a server without the address has no samples.
class ServerMetrics {
 public:
  ServerMetrics(const std::string& url, const HttpOptions& options, TimePoint start);
  ~ServerMetrics();
  ServerMetrics(const ServerMetrics&) = delete;
  ServerMetrics& operator=(const ServerMetrics&) = delete;

  // Reads once more and joins. {"url": ..., "samples": [{"t_s": ..., ...}]}, times in seconds since
  // the start; null when no sample was got.
  Json stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pagoda
