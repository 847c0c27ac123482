// Metrics: counters, gauges and histograms, rendered as Prometheus text.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pagoda {

// Handles into a MetricsRegistry. Cheap to copy and thread-safe; the registry must outlive them.
// A default-constructed handle does nothing, so that code can be metered optionally.
class Counter {
 public:
  Counter() = default;
  void add(double amount = 1.0) const;

 private:
  friend class MetricsRegistry;
  void* impl_ = nullptr;  // prometheus::Counter
};

class Gauge {
 public:
  Gauge() = default;
  void set(double value) const;

 private:
  friend class MetricsRegistry;
  void* impl_ = nullptr;  // prometheus::Gauge
};

class Histogram {
 public:
  Histogram() = default;
  void observe(double value) const;

 private:
  friend class MetricsRegistry;
  void* impl_ = nullptr;  // prometheus::Histogram
};

// All metrics of one server. Thread-safe: metrics may be made and updated from any thread.
// Owns the metrics; handles point into it. Names follow vLLM's (docs/design/metrics.md there).
class MetricsRegistry {
 public:
  using Labels = std::vector<std::pair<std::string, std::string>>;

  MetricsRegistry();
  ~MetricsRegistry();
  MetricsRegistry(const MetricsRegistry&) = delete;
  MetricsRegistry& operator=(const MetricsRegistry&) = delete;

  // Asking again for the same name and labels gives the same metric.
  Counter counter(const std::string& name, const std::string& help, const Labels& labels = {});
  Gauge gauge(const std::string& name, const std::string& help, const Labels& labels = {});
  // `buckets`: upper bounds, increasing.
  Histogram histogram(const std::string& name, const std::string& help,
                      const std::vector<double>& buckets, const Labels& labels = {});

  // Prometheus text format 0.0.4; with process_resident_memory_bytes, as of now.
  std::string render() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pagoda
