// Monitor: samples the metrics once a second and tells those who watch.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "engine/engine_metrics.h"
#include "server/http/exchange.h"
#include "server/monitor/history.h"
#include "server/monitor/metrics_reader.h"

namespace pagoda {

// Thread-safe. Owns its thread, which runs from start() to stop() and calls `counters` and
// `events`; what these use must live until stop() has returned.
class Monitor {
 public:
  static constexpr size_t kMaxWatchers = 32;

  struct Sources {
    std::function<ServerCounters()> counters;
    // What watchers are sent after each sample, as server-sent events.
    std::function<std::string()> events;
  };
  explicit Monitor(Sources sources);
  ~Monitor();

  // The metrics of the engine exist from now on. Once; before that samples have none of them.
  void set_engine(const EngineMetrics& metrics);
  void start();
  void stop();

  // One sample, by the thread each second. `now`: monotonic; `unix_s`: the time of day, which may
  // jump.
  void tick(TimePoint now, int64_t unix_s);

  // Calls `look` with the history while it does not change; null while there is no engine.
  void with_history(const std::function<void(const History*)>& look) const;

  // Sends events to the exchange until it ends; its stream has begun. False: too many watch. Called
  // on its I/O thread.
  bool watch(const std::shared_ptr<HttpExchange>& exchange);
  size_t num_watchers() const;

 private:
  void run();
  void tell_watchers();

  const Sources sources_;
  mutable std::mutex mutex_;
  std::optional<MetricsReader> reader_;  // guarded by mutex_, as all below
  std::unique_ptr<History> history_;
  TimePoint last_tick_{};
  std::vector<std::shared_ptr<HttpExchange>> watchers_;
  bool stopping_ = false;
  std::condition_variable wake_;
  std::thread thread_;
};

}  // namespace pagoda
