// AsyncEngine: the engine on its own thread, behind a mailbox.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/result.h"
#include "core/model_runner.h"
#include "engine/engine_config.h"
#include "engine/engine_metrics.h"
#include "engine/request.h"
#include "engine/request_output.h"

namespace pagoda {

// Thread-safe. Owns the engine thread; `runner`, `metrics` and `clock` must outlive it. The
// destructor aborts what is left (each request still gets its final output) and joins.
class AsyncEngine {
 public:
  // `metrics` may be null. `model_name` labels the metrics.
  AsyncEngine(ModelRunner& runner, const EngineConfig& config, MetricsRegistry* metrics,
              const std::string& model_name, const Clock& clock = real_clock());
  ~AsyncEngine();
  AsyncEngine(const AsyncEngine&) = delete;
  AsyncEngine& operator=(const AsyncEngine&) = delete;

  // Accepts a request, or refuses it without any work: kInvalidArgument when it can never fit
  // (message names both numbers), kOverloaded (with retry_after_s) when the queue is full,
  // kUnavailable after stop_accepting(). Once accepted, `sink` gets outputs until one with finished
  // == true.
  Result<RequestId> submit(Request request, std::shared_ptr<OutputSink> sink);

  // What submit() would refuse of this tenant whatever it asked, so that a server can refuse before
  // it has done any work: kOverloaded (with retry_after_s) or kUnavailable.
  Result<void> check_admission(TenantId tenant, Priority priority) const;

  // Every choice ends with kAbort at the next step boundary. `end` says whose wish that is; only a
  // cancelled one's client gets an error (kCancelled). Unknown or finished ids are ignored.
  void abort(RequestId id, RequestEnd end = RequestEnd::kClientLeft);

  // Ends one choice with kStop (a stop string matched in its text). Unknown ids and ended choices
  // are ignored.
  void stop_choice(RequestId id, int32_t choice_index);

  // New submissions are refused from now on; running ones go on.
  void stop_accepting();
  // Waits until nothing is queued or running; false when `timeout` passed first.
  bool wait_idle(std::chrono::milliseconds timeout);

  EngineStats stats() const;
  // For /debug/state; answers at once even when a step hangs. At most 100 ms old while the engine
  // runs.
  EngineState state() const;
  // How long the step under way has run; 0: none runs.
  double step_running_s() const;
  // Handles that read as what /metrics shows.
  const EngineMetrics& metrics() const;
  const EngineConfig& config() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pagoda
