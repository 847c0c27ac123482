// Tests with reports as the Neuron Monitor User Guide describes them, and with a script that writes
// them.
#include "server/monitor/neuron_monitor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <functional>
#include <string>
#include <thread>

namespace pagoda {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;
using Kind = NeuronSample::Kind;

// One line of what the guide shows.
std::string report(const std::string& utilization, int completed) {
  return R"({"neuron_runtime_data": [{"pid": 7, "neuron_runtime_tag": "367", "error": "", "report": {)"
         R"("neuroncore_counters": {"period": 5.0, "error": "", "neuroncores_in_use": {"0": )"
         R"({"neuroncore_utilization": )" +
         utilization +
         R"(, "flops": 3}}}, "execution_stats": {"error": "", "error_summary": {"generic": 1}, )"
         R"("execution_summary": {"completed": )" +
         std::to_string(completed) +
         R"(}, "latency_stats": {"total_latency": {"p50": 0.25}, "device_latency": null}}, )"
         R"("memory_used": {"error": "", "neuron_runtime_used_bytes": {"host": 10, "neuron_device": 20, )"
         R"("usage_breakdown": {"neuroncore_memory_usage": {"0": {"constants": 1, "tensors": 2}}}}}, )"
         R"("neuron_runtime_vcpu_usage": {"error": "", "vcpu_usage": {"user": 50, "system": 25}}}}], )"
         R"("system_data": {"neuron_hw_counters": {"error": "", "neuron_devices": [)"
         R"({"neuron_device_index": 3, "mem_ecc_corrected": 4}]}, "memory_info": {"error": "", )"
         R"("memory_total_bytes": 100, "memory_used_bytes": 60}}, "neuron_hardware_info": )"
         R"({"neuron_device_count": 1, "neuroncore_per_device_count": 2, "error": ""}})";
}

TEST(NeuronMonitor, AReportGivesTheNumbersUnderTheNamesOfAwsExporter) {
  const auto samples = neuron_samples(report("75.0", 9));
  ASSERT_TRUE(samples.ok()) << samples.error().message;
  const MetricsRegistry::Labels tag = {{"runtime_tag", "367"}};
  const auto with = [&](const char* label, const char* value) {
    return MetricsRegistry::Labels{tag[0], {label, value}};
  };
  for (const NeuronSample& expected :
       {NeuronSample{Kind::kGauge, "neuroncore_utilization_ratio", with("neuroncore", "0"), 0.75},
        {Kind::kCounter, "execution_errors_total", with("error_type", "generic"), 1},
        {Kind::kCounter, "execution_status_total", with("status_type", "completed"), 9},
        {Kind::kGauge, "execution_latency_seconds", with("percentile", "p50"), 0.25},
        {Kind::kGauge, "neuron_runtime_memory_used_bytes", with("memory_location", "host"), 10},
        {Kind::kGauge, "neuroncore_memory_usage_tensors", with("neuroncore", "0"), 2},
        {Kind::kGauge, "neuron_runtime_vcpu_usage_ratio", with("usage_type", "user"), 0.5},
        {Kind::kCounter,
         "hardware_ecc_events_total",
         {{"neuron_device_index", "3"}, {"event_type", "mem_ecc_corrected"}},
         4},
        {Kind::kGauge, "system_memory_used_bytes", {}, 60}}) {
    EXPECT_THAT(*samples, Contains(expected)) << expected.name;
  }
}

TEST(NeuronMonitor, AGroupThatFailedHasNoNumbers) {
  std::string line = report("75.0", 9);
  const std::string at = R"("period": 5.0, "error": "")";
  line.replace(line.find(at), at.size(), R"("period": 5.0, "error": "no driver")");
  const auto samples = neuron_samples(line);
  ASSERT_TRUE(samples.ok());
  for (const NeuronSample& sample : *samples) {
    EXPECT_NE(sample.name, "neuroncore_utilization_ratio");
  }
}

TEST(NeuronMonitor, HostileReportsGiveErrorsOrLittle) {
  for (const char* line : {"", "no JSON", "[]", "7", "{\"neuron_runtime_data\": "}) {
    EXPECT_FALSE(neuron_samples(line).ok()) << line;
  }
  for (const char* line :
       {R"({"neuron_runtime_data": 5, "system_data": [], "neuron_hardware_info": "x"})",
        R"({"neuron_runtime_data": [1, null, {"report": []}, {"report": {"memory_used": 3}}]})",
        R"({"system_data": {"neuron_hw_counters": {"neuron_devices": {"a": 1}}}})"}) {
    const auto samples = neuron_samples(line);
    ASSERT_TRUE(samples.ok()) << line;
    EXPECT_TRUE(samples->empty()) << line;
  }
  std::string many = R"({"neuron_runtime_data": [{"report": {"neuroncore_counters": )"
                     R"({"neuroncores_in_use": {"x": {})";
  for (int i = 0; i < 10000; ++i) {
    many += ", \"" + std::to_string(i) + R"(": {"neuroncore_utilization": 1})";
  }
  many += "}}}}]}";
  const auto samples = neuron_samples(many);
  ASSERT_TRUE(samples.ok()) << samples.error().message;
  EXPECT_EQ(samples->size(), kMaxNeuronSamples);
}

// A neuron-monitor that is a shell script.
class Script {
 public:
  explicit Script(const std::string& body)
      : path_(testing::TempDir() + "/neuron-monitor-" + std::to_string(getpid())) {
    std::ofstream(path_) << "#!/bin/sh\n" << body;
    chmod(path_.c_str(), 0700);
  }
  ~Script() { unlink(path_.c_str()); }
  Script(const Script&) = delete;
  Script& operator=(const Script&) = delete;
  const std::string& path() const { return path_; }

 private:
  const std::string path_;
};

bool comes_true(const std::function<bool()>& condition) {
  for (int i = 0; i < 1000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

TEST(NeuronMonitor, ReportsOfARunningProgramAreShownAndCountersGrow) {
  const Script script("echo '" + report("75.0", 9) + "'\necho 'no report'\necho '" +
                      report("50.0", 2) + "'\nexec sleep 1000\n");
  MetricsRegistry metrics;
  {
    const NeuronMonitor monitor(script.path(), metrics);
    EXPECT_TRUE(comes_true([&] {
      return metrics.render().find(
                 R"(execution_status_total{runtime_tag="367",status_type="completed"} 11)") !=
             std::string::npos;
    })) << metrics.render();
    EXPECT_THAT(metrics.render(),
                HasSubstr(R"(neuroncore_utilization_ratio{neuroncore="0",runtime_tag="367"} 0.5)"));
  }
}

TEST(NeuronMonitor, WhatAProgramThatEndedHadSaidIsNoLongerShownAsANumber) {
  const Script script("echo '" + report("75.0", 9) + "'\n");
  MetricsRegistry metrics;
  const NeuronMonitor monitor(script.path(), metrics);
  const std::string series = R"(neuroncore_utilization_ratio{neuroncore="0",runtime_tag="367"} )";
  EXPECT_TRUE(comes_true([&] {
    const std::string text = metrics.render();
    return text.find(series + "Nan") != std::string::npos ||
           text.find(series + "NaN") != std::string::npos;
  })) << metrics.render();
}

TEST(NeuronMonitor, AProgramThatCannotRunShowsNothing) {
  MetricsRegistry metrics;
  const NeuronMonitor monitor("/nonexistent/neuron-monitor", metrics);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_THAT(metrics.render(), Not(HasSubstr("neuron")));
}

}  // namespace
}  // namespace pagoda
