// Metrics on prometheus-cpp's core library; histograms are our own.
#include "base/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <map>
#include <mutex>

#include "base/check.h"
#include "base/process_stats.h"

namespace pagoda {

void Counter::add(double amount) const {
  if (impl_ != nullptr) static_cast<prometheus::Counter*>(impl_)->Increment(amount);
}

double Counter::value() const {
  return impl_ != nullptr ? static_cast<prometheus::Counter*>(impl_)->Value() : 0.0;
}

void Gauge::set(double value) const {
  if (impl_ != nullptr) static_cast<prometheus::Gauge*>(impl_)->Set(value);
}

double Gauge::value() const {
  return impl_ != nullptr ? static_cast<prometheus::Gauge*>(impl_)->Value() : 0.0;
}

struct Histogram::Impl {
  explicit Impl(std::vector<double> upper_bounds)
      : bounds(std::move(upper_bounds)), counts(bounds.size() + 1) {}

  const std::vector<double> bounds;
  std::vector<std::atomic<uint64_t>> counts;
  std::atomic<double> sum = 0.0;
};

void Histogram::observe(double value, uint64_t count) const {
  if (impl_ == nullptr) return;
  const auto bucket = std::ranges::lower_bound(impl_->bounds, value) - impl_->bounds.begin();
  impl_->counts[static_cast<size_t>(bucket)].fetch_add(count, std::memory_order_relaxed);
  const double added = value * static_cast<double>(count);
  double sum = impl_->sum.load(std::memory_order_relaxed);
  while (!impl_->sum.compare_exchange_weak(sum, sum + added, std::memory_order_relaxed)) {
  }
}

std::span<const double> Histogram::bounds() const {
  return impl_ != nullptr ? std::span<const double>(impl_->bounds) : std::span<const double>{};
}

double Histogram::read(std::vector<uint64_t>& counts) const {
  counts.assign(bounds().size() + 1, 0);
  if (impl_ == nullptr) return 0.0;
  for (size_t i = 0; i < counts.size(); ++i) {
    counts[i] = impl_->counts[i].load(std::memory_order_relaxed);
  }
  return impl_->sum.load(std::memory_order_relaxed);
}

std::vector<double> log_buckets(double low, double high, int32_t per_octave) {
  std::vector<double> buckets;
  for (int32_t i = 0; buckets.empty() || buckets.back() < high; ++i) {
    buckets.push_back(low * std::exp2(static_cast<double>(i) / per_octave));
  }
  return buckets;
}

namespace {

prometheus::Labels to_labels(const MetricsRegistry::Labels& labels) {
  return {labels.begin(), labels.end()};
}

// One labelled histogram as Prometheus sees it through one view. `counts` are per bucket of
// `bounds`, which has every bound of the view.
prometheus::ClientMetric shown(const HistogramView& view, std::span<const double> bounds,
                               const std::vector<uint64_t>& counts, double sum,
                               const prometheus::Labels& labels) {
  prometheus::ClientMetric metric;
  for (const auto& [name, value] : labels) metric.label.push_back({name, value});
  size_t next = 0;
  uint64_t cumulative = 0;
  for (const double bound : view.buckets) {
    for (; next < bounds.size() && bounds[next] <= bound; ++next) cumulative += counts[next];
    metric.histogram.bucket.push_back({cumulative, bound});
  }
  for (; next < counts.size(); ++next) cumulative += counts[next];
  metric.histogram.bucket.push_back({cumulative, std::numeric_limits<double>::infinity()});
  metric.histogram.sample_count = cumulative;
  metric.histogram.sample_sum = sum;
  return metric;
}

}  // namespace

struct MetricsRegistry::Impl {
  struct OneHistogram {
    prometheus::Labels labels;
    std::unique_ptr<Histogram::Impl> impl;
  };
  // Histograms that differ in labels only.
  struct HistogramFamily {
    std::vector<HistogramView> views;
    std::vector<OneHistogram> histograms;
  };

  Impl();
  void take_process_stats();
  void collect_histograms(std::vector<prometheus::MetricFamily>& families) const;

  // Merge: asking twice for a family gives the same one.
  prometheus::Registry registry{prometheus::Registry::InsertBehavior::Merge};
  prometheus::Gauge& resident;
  prometheus::Gauge& virtual_memory;
  prometheus::Gauge& start_time;
  prometheus::Counter& cpu_seconds;
  prometheus::Gauge& open_fds;
  prometheus::Gauge& max_fds;

  std::mutex render_mutex;  // the counter of CPU time takes differences

  mutable std::mutex histograms_mutex;
  std::map<std::string, HistogramFamily> families;  // guarded by histograms_mutex
};

namespace {

prometheus::Gauge& process_gauge(prometheus::Registry& registry, const char* name,
                                 const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add({});
}

}  // namespace

MetricsRegistry::Impl::Impl()
    : resident(process_gauge(registry, "process_resident_memory_bytes",
                             "Resident memory size in bytes.")),
      virtual_memory(
          process_gauge(registry, "process_virtual_memory_bytes", "Virtual memory size in bytes.")),
      start_time(process_gauge(registry, "process_start_time_seconds",
                               "Start time of the process since unix epoch in seconds.")),
      cpu_seconds(prometheus::BuildCounter()
                      .Name("process_cpu_seconds_total")
                      .Help("Total user and system CPU time spent in seconds.")
                      .Register(registry)
                      .Add({})),
      open_fds(process_gauge(registry, "process_open_fds", "Number of open file descriptors.")),
      max_fds(
          process_gauge(registry, "process_max_fds", "Maximum number of open file descriptors.")) {
}

void MetricsRegistry::Impl::take_process_stats() {
  const ProcessStats stats = process_stats();
  resident.Set(static_cast<double>(stats.resident_bytes));
  virtual_memory.Set(static_cast<double>(stats.virtual_bytes));
  start_time.Set(stats.started_at);
  cpu_seconds.Increment(std::max(stats.cpu_s - cpu_seconds.Value(), 0.0));
  open_fds.Set(static_cast<double>(count_open_files()));
  max_fds.Set(static_cast<double>(stats.max_files));
}

void MetricsRegistry::Impl::collect_histograms(
    std::vector<prometheus::MetricFamily>& collected) const {
  const std::lock_guard lock(histograms_mutex);
  std::vector<uint64_t> counts;
  for (const auto& [name, family] : families) {
    const size_t first = collected.size();
    for (const HistogramView& view : family.views) {
      collected.push_back({view.name, view.help, prometheus::MetricType::Histogram, {}});
    }
    for (const OneHistogram& one : family.histograms) {
      Histogram handle;
      handle.impl_ = one.impl.get();
      const double sum = handle.read(counts);
      for (size_t i = 0; i < family.views.size(); ++i) {
        collected[first + i].metric.push_back(
            shown(family.views[i], one.impl->bounds, counts, sum, one.labels));
      }
    }
  }
}

MetricsRegistry::MetricsRegistry() : impl_(std::make_unique<Impl>()) {
}
MetricsRegistry::~MetricsRegistry() = default;

Counter MetricsRegistry::counter(const std::string& name, const std::string& help,
                                 const Labels& labels) {
  auto& family = prometheus::BuildCounter().Name(name).Help(help).Register(impl_->registry);
  Counter handle;
  handle.impl_ = &family.Add(to_labels(labels));
  return handle;
}

Gauge MetricsRegistry::gauge(const std::string& name, const std::string& help,
                             const Labels& labels) {
  auto& family = prometheus::BuildGauge().Name(name).Help(help).Register(impl_->registry);
  Gauge handle;
  handle.impl_ = &family.Add(to_labels(labels));
  return handle;
}

Histogram MetricsRegistry::histogram(const std::vector<HistogramView>& views, const Labels& labels,
                                     const std::vector<double>& finer) {
  CHECK(!views.empty());
  const prometheus::Labels wanted = to_labels(labels);
  const std::lock_guard lock(impl_->histograms_mutex);
  Impl::HistogramFamily& family = impl_->families[views.front().name];
  if (family.views.empty()) family.views = views;
  Histogram handle;
  for (const Impl::OneHistogram& one : family.histograms) {
    if (one.labels == wanted) handle.impl_ = one.impl.get();
  }
  if (handle.impl_ != nullptr) return handle;
  std::vector<double> bounds = finer;
  for (const HistogramView& view : family.views) {
    bounds.insert(bounds.end(), view.buckets.begin(), view.buckets.end());
  }
  std::ranges::sort(bounds);
  bounds.erase(std::unique(bounds.begin(), bounds.end()), bounds.end());
  family.histograms.push_back({wanted, std::make_unique<Histogram::Impl>(std::move(bounds))});
  handle.impl_ = family.histograms.back().impl.get();
  return handle;
}

std::vector<std::pair<std::string, double>> MetricsRegistry::values_by_label(
    std::string_view name, std::string_view label) const {
  std::vector<std::pair<std::string, double>> values;
  for (const prometheus::MetricFamily& family : impl_->registry.Collect()) {
    if (family.name != name) continue;
    for (const prometheus::ClientMetric& metric : family.metric) {
      for (const auto& pair : metric.label) {
        if (pair.name == label) values.emplace_back(pair.value, metric.counter.value);
      }
    }
  }
  return values;
}

std::string MetricsRegistry::render() const {
  const std::lock_guard lock(impl_->render_mutex);
  // Only a reader wants them, and they change all the time.
  impl_->take_process_stats();
  std::vector<prometheus::MetricFamily> families = impl_->registry.Collect();
  impl_->collect_histograms(families);
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace pagoda
