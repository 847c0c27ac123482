// MetricsReader: what was added to the metrics since they were last read, as a Sample.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/metrics.h"
#include "engine/engine_metrics.h"
#include "server/monitor/history.h"

namespace pagoda {

// Counters that the server keeps beside the engine's.
struct ServerCounters {
  double num_refused = 0;
  double num_server_errors = 0;  // replies 5xx but 503
};

// Not thread-safe. What the handles point into must outlive it.
class MetricsReader {
 public:
  // `engine` may be empty handles: all of them then read as 0.
  explicit MetricsReader(const EngineMetrics& engine);

  SpreadBounds bounds() const;
  // The differences since the call before, or since all were 0. `t` and `seconds`: as in Sample.
  Sample read(int64_t t, double seconds, const ServerCounters& server);

 private:
  std::array<double, kNumCounts> read_counts(const ServerCounters& server) const;

  EngineMetrics engine_;
  std::array<Histogram, kNumSpreads> spreads_;
  std::array<double, kNumCounts> counts_{};
  std::array<double, kNumSpreads> sums_{};
  std::array<std::vector<uint64_t>, kNumSpreads> buckets_;
  std::vector<uint64_t> now_;
};

}  // namespace pagoda
