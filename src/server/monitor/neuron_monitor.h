// NeuronMonitor: what AWS's neuron-monitor says of Inferentia and Trainium, as metrics.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/metrics.h"
#include "base/result.h"

namespace pagoda {

// One number of a report, by the name and labels of AWS's neuron-monitor-prometheus.py, so that its
// Grafana board works on it.
struct NeuronSample {
  enum class Kind { kGauge, kCounter };
  Kind kind = Kind::kGauge;
  std::string name;
  MetricsRegistry::Labels labels;
  double value = 0;  // of a counter: since the report before

  bool operator==(const NeuronSample&) const = default;
};

// The samples of one report, a line of JSON (Neuron SDK, Neuron Monitor User Guide). What is
// missing, of another type or marked as an error has none; a line that is no JSON object is an
// error. `line` is untrusted: at most kMaxNeuronSamples come of it.
inline constexpr size_t kMaxNeuronSamples = 4096;
Result<std::vector<NeuronSample>> neuron_samples(std::string_view line);

// Runs a neuron-monitor and keeps its newest report in a registry. Gauges that a report no longer
// has are NaN; so are all when the program has ended, and it is started again after ten seconds.
// Thread-safe. Owns its thread and the child process, which ends with either; `metrics` outlives
// it.
class NeuronMonitor {
 public:
  // `program`: path of an executable file, run without arguments.
  NeuronMonitor(std::string program, MetricsRegistry& metrics);
  ~NeuronMonitor();
  NeuronMonitor(const NeuronMonitor&) = delete;
  NeuronMonitor& operator=(const NeuronMonitor&) = delete;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Where AWS's package or PATH has a neuron-monitor; empty when there is none.
std::string find_neuron_monitor();

}  // namespace pagoda
