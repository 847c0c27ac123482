// Metrics on prometheus-cpp's core library.
#include "base/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include "base/system_memory.h"

namespace pagoda {

void Counter::add(double amount) const {
  if (impl_ != nullptr) static_cast<prometheus::Counter*>(impl_)->Increment(amount);
}

void Gauge::set(double value) const {
  if (impl_ != nullptr) static_cast<prometheus::Gauge*>(impl_)->Set(value);
}

void Histogram::observe(double value) const {
  if (impl_ != nullptr) static_cast<prometheus::Histogram*>(impl_)->Observe(value);
}

struct MetricsRegistry::Impl {
  // Merge: asking twice for a family gives the same one.
  prometheus::Registry registry{prometheus::Registry::InsertBehavior::Merge};
  prometheus::Gauge& resident = prometheus::BuildGauge()
                                    .Name("process_resident_memory_bytes")
                                    .Help("Resident memory size in bytes.")
                                    .Register(registry)
                                    .Add({});
};

namespace {

prometheus::Labels to_labels(const MetricsRegistry::Labels& labels) {
  return {labels.begin(), labels.end()};
}

}  // namespace

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

Histogram MetricsRegistry::histogram(const std::string& name, const std::string& help,
                                     const std::vector<double>& buckets, const Labels& labels) {
  auto& family = prometheus::BuildHistogram().Name(name).Help(help).Register(impl_->registry);
  Histogram handle;
  handle.impl_ = &family.Add(to_labels(labels), buckets);
  return handle;
}

std::string MetricsRegistry::render() const {
  // Only a reader wants it, and it changes all the time.
  impl_->resident.Set(static_cast<double>(resident_bytes()));
  return prometheus::TextSerializer().Serialize(impl_->registry.Collect());
}

}  // namespace pagoda
