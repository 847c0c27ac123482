// TraceExporter: spans of requests to an OpenTelemetry collector, by OTLP/HTTP in JSON.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/metrics.h"
#include "server/monitor/request_board.h"

namespace pagoda {

// The body of POST /v1/traces for these requests: one span each, of kind SERVER, with the
// attributes of OpenTelemetry's GenAI conventions and those of vLLM's spans. No text of a request.
std::string otlp_spans(std::span<const FinishedRequest> requests, const std::string& version);

// Thread-safe. Owns its thread, which sends batches; a collector that is slow or away costs spans,
// which are counted, and never time of a request. The registry must outlive it; the destructor
// tries once more to send what is left, for at most two seconds.
class TraceExporter {
 public:
  static constexpr size_t kMaxQueued = 4096;

  TraceExporter(std::string endpoint, std::string version, MetricsRegistry& metrics);
  ~TraceExporter();
  TraceExporter(const TraceExporter&) = delete;
  TraceExporter& operator=(const TraceExporter&) = delete;

  // Takes a copy, or drops it when too many wait. Requests whose caller said that it keeps no trace
  // are left out.
  void add(const FinishedRequest& request);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pagoda
