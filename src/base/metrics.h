// Metrics: counters, gauges and histograms, rendered as Prometheus text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pagoda {

// Handles into a MetricsRegistry. Cheap to copy and thread-safe; the registry must outlive them.
// A default-constructed handle does nothing and reads as 0, so that code can be metered optionally.
class Counter {
 public:
  Counter() = default;
  void add(double amount = 1.0) const;
  double value() const;

 private:
  friend class MetricsRegistry;
  void* impl_ = nullptr;  // prometheus::Counter
};

class Gauge {
 public:
  Gauge() = default;
  void set(double value) const;
  double value() const;

 private:
  friend class MetricsRegistry;
  void* impl_ = nullptr;  // prometheus::Gauge
};

// One name under which a histogram is shown.
struct HistogramView {
  std::string name;
  std::string help;
  std::vector<double> buckets;  // upper bounds, increasing
};

// One histogram may be shown under several names, each with buckets of its own, and is kept in
// buckets as fine as all of them together: what is observed once is the same everywhere.
class Histogram {
 public:
  Histogram() = default;
  // `count` times the same value.
  void observe(double value, uint64_t count = 1) const;

  // Upper bounds of the buckets it is kept in, increasing; lives as long as the registry.
  std::span<const double> bounds() const;
  // Copies how many observations each bucket has had, and behind them those above the last bound:
  // bounds().size() + 1 numbers. Returns the sum of all observations. What is observed meanwhile
  // may be in one and not yet in the other.
  double read(std::vector<uint64_t>& counts) const;

 private:
  friend class MetricsRegistry;
  struct Impl;
  Impl* impl_ = nullptr;
};

// Upper bounds from `low` (above 0) to `high` at least, each 2^(1/per_octave) times the one before.
std::vector<double> log_buckets(double low, double high, int32_t per_octave);

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
  // The same metric by the name of the first view; what else is given then has no effect. `finer`:
  // bounds to be kept beside those of the views. REQUIRES: a view.
  Histogram histogram(const std::vector<HistogramView>& views, const Labels& labels = {},
                      const std::vector<double>& finer = {});
  Histogram histogram(const std::string& name, const std::string& help,
                      const std::vector<double>& buckets, const Labels& labels = {}) {
    return histogram({{name, help, buckets}}, labels);
  }

  // The values of one family of counters with one of their labels, in no order: ("stop", 3), ...
  std::vector<std::pair<std::string, double>> values_by_label(std::string_view name,
                                                              std::string_view label) const;

  // Prometheus text format 0.0.4; with the process_ metrics of Prometheus' clients, as of now.
  std::string render() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pagoda
