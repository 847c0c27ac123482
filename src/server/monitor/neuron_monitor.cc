// Reports of neuron-monitor, and the process that writes them.
#include "server/monitor/neuron_monitor.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>
#include <utility>

#include "base/env.h"
#include "base/json.h"
#include "base/log.h"

namespace pagoda {
namespace {

using Labels = MetricsRegistry::Labels;
using Kind = NeuronSample::Kind;

// A report of a machine with 16 devices is some hundred KiB.
constexpr size_t kMaxLine = size_t{8} << 20;
constexpr size_t kMaxText = 200;
// Series that are ever made, whatever tags and indexes the reports bring.
constexpr size_t kMaxSeries = 8192;
constexpr std::chrono::seconds kRestart{10};
// How long the program may take to end when told to.
constexpr std::chrono::seconds kExit{2};

class Report {
 public:
  explicit Report(std::vector<NeuronSample>& out) : out_(out) {}

  void read(const Json& report) {
    if (const Json* runtimes = member(report, "neuron_runtime_data"); runtimes != nullptr) {
      for (const Json& runtime : *runtimes) read_runtime(runtime);
    }
    if (const Json* system = member(report, "system_data"); system != nullptr) {
      read_system(*system);
    }
    if (const Json* hardware = group(report, "neuron_hardware_info"); hardware != nullptr) {
      Labels labels;
      for (const char* name : {"neuron_device_type", "neuroncore_version", "neuron_device_count",
                               "neuroncore_per_device_count"}) {
        labels.emplace_back(name, text_of(*hardware, name));
      }
      add(Kind::kGauge, "neuron_hardware_info", std::move(labels), Json(1));
    }
  }

 private:
  static const Json* member(const Json& from, const char* name) {
    if (!from.is_object()) return nullptr;
    const auto found = from.find(name);
    return found == from.end() ? nullptr : &*found;
  }
  // A group of metrics that says no error.
  static const Json* group(const Json& from, const char* name) {
    const Json* found = member(from, name);
    if (found == nullptr || !found->is_object()) return nullptr;
    const Json* error = member(*found, "error");
    const bool failed = error != nullptr && error->is_string() && *error != Json("");
    return failed ? nullptr : found;
  }
  static std::string text_of(const Json& from, const char* name) {
    const Json* found = member(from, name);
    if (found == nullptr || found->is_structured() || found->is_null()) return "";
    std::string text = found->is_string() ? found->get<std::string>() : found->dump();
    return text.substr(0, kMaxText);
  }

  void add(Kind kind, const char* name, Labels labels, const Json& value, double scale = 1.0) {
    if (!value.is_number() || out_.size() == kMaxNeuronSamples) return;
    out_.push_back({kind, name, std::move(labels), value.get<double>() * scale});
  }
  // A sample for each number of an object, by its key.
  void add_each(Kind kind, const char* name, Labels labels, const char* label, const Json* from,
                double scale = 1.0) {
    if (from == nullptr || !from->is_object()) return;
    labels.emplace_back(label, "");
    for (const auto& [key, value] : from->items()) {
      labels.back().second = key.substr(0, kMaxText);
      add(kind, name, labels, value, scale);
    }
  }

  void read_runtime(const Json& runtime) {
    const Json* report = member(runtime, "report");
    if (report == nullptr) return;
    const Labels tag = {{"runtime_tag", text_of(runtime, "neuron_runtime_tag")}};
    if (const Json* cores = group(*report, "neuroncore_counters"); cores != nullptr) {
      read_cores(tag, member(*cores, "neuroncores_in_use"));
    }
    if (const Json* stats = group(*report, "execution_stats"); stats != nullptr) {
      add_each(Kind::kCounter, "execution_errors_total", tag, "error_type",
               member(*stats, "error_summary"));
      add_each(Kind::kCounter, "execution_status_total", tag, "status_type",
               member(*stats, "execution_summary"));
      if (const Json* latency = member(*stats, "latency_stats"); latency != nullptr) {
        add_each(Kind::kGauge, "execution_latency_seconds", tag, "percentile",
                 member(*latency, "total_latency"));
      }
    }
    if (const Json* memory = group(*report, "memory_used"); memory != nullptr) {
      read_memory(tag, member(*memory, "neuron_runtime_used_bytes"));
    }
    if (const Json* cpu = group(*report, "neuron_runtime_vcpu_usage"); cpu != nullptr) {
      add_each(Kind::kGauge, "neuron_runtime_vcpu_usage_ratio", tag, "usage_type",
               member(*cpu, "vcpu_usage"), 0.01);
    }
  }

  void read_cores(const Labels& tag, const Json* cores) {
    if (cores == nullptr || !cores->is_object()) return;
    for (const auto& [index, core] : cores->items()) {
      Labels labels = tag;
      labels.emplace_back("neuroncore", index.substr(0, kMaxText));
      const Json* percent = member(core, "neuroncore_utilization");
      if (percent != nullptr) {
        add(Kind::kGauge, "neuroncore_utilization_ratio", labels, *percent, 0.01);
      }
    }
  }

  void read_memory(const Labels& tag, const Json* used) {
    if (used == nullptr || !used->is_object()) return;
    for (const char* location : {"host", "neuron_device"}) {
      Labels labels = tag;
      labels.emplace_back("memory_location", location);
      const Json* bytes = member(*used, location);
      if (bytes != nullptr) {
        add(Kind::kGauge, "neuron_runtime_memory_used_bytes", std::move(labels), *bytes);
      }
    }
    const Json* breakdown = member(*used, "usage_breakdown");
    const Json* cores =
        breakdown == nullptr ? nullptr : member(*breakdown, "neuroncore_memory_usage");
    if (cores == nullptr || !cores->is_object()) return;
    constexpr std::array kUses{
        std::pair{"constants", "neuroncore_memory_usage_constants"},
        std::pair{"model_code", "neuroncore_memory_usage_model_code"},
        std::pair{"model_shared_scratchpad", "neuroncore_memory_usage_model_shared_scratchpad"},
        std::pair{"runtime_memory", "neuroncore_memory_usage_runtime_memory"},
        std::pair{"tensors", "neuroncore_memory_usage_tensors"}};
    for (const auto& [index, core] : cores->items()) {
      Labels labels = tag;
      labels.emplace_back("neuroncore", index.substr(0, kMaxText));
      for (const auto& [use, name] : kUses) {
        const Json* bytes = member(core, use);
        if (bytes != nullptr) add(Kind::kGauge, name, labels, *bytes);
      }
    }
  }

  void read_system(const Json& system) {
    if (const Json* counters = group(system, "neuron_hw_counters"); counters != nullptr) {
      const Json* devices = member(*counters, "neuron_devices");
      if (devices != nullptr && devices->is_array()) {
        for (const Json& device : *devices) read_device(device);
      }
    }
    if (const Json* memory = group(system, "memory_info"); memory != nullptr) {
      for (const auto& [member_name, name] :
           {std::pair{"memory_total_bytes", "system_memory_total_bytes"},
            std::pair{"memory_used_bytes", "system_memory_used_bytes"}}) {
        const Json* bytes = member(*memory, member_name);
        if (bytes != nullptr) add(Kind::kGauge, name, {}, *bytes);
      }
    }
    if (const Json* cpu = group(system, "vcpu_usage"); cpu != nullptr) {
      add_each(Kind::kGauge, "system_vcpu_usage_ratio", {}, "usage_type",
               member(*cpu, "average_usage"), 0.01);
    }
  }

  void read_device(const Json& device) {
    const Labels index = {{"neuron_device_index", text_of(device, "neuron_device_index")}};
    for (const char* event : {"mem_ecc_corrected", "mem_ecc_uncorrected", "sram_ecc_corrected",
                              "sram_ecc_uncorrected"}) {
      Labels labels = index;
      labels.emplace_back("event_type", event);
      const Json* count = member(device, event);
      if (count != nullptr) {
        add(Kind::kCounter, "hardware_ecc_events_total", std::move(labels), *count);
      }
    }
  }

  std::vector<NeuronSample>& out_;
};

const char* help_of(std::string_view name) {
  if (name.ends_with("_ratio")) return "As neuron-monitor says it, 1 for 100 %.";
  if (name.ends_with("_total")) return "What neuron-monitor has counted since the server's start.";
  return "As neuron-monitor says it.";
}

}  // namespace

Result<std::vector<NeuronSample>> neuron_samples(std::string_view line) {
  ASSIGN_OR_RETURN(const Json report, parse_json(line));
  if (!report.is_object()) return invalid_argument("the report is not a JSON object");
  std::vector<NeuronSample> samples;
  Report(samples).read(report);
  return samples;
}

std::string find_neuron_monitor() {
  std::string folders = env_value("PATH").value_or("") + ":/opt/aws/neuron/bin";
  size_t begin = 0;
  while (begin <= folders.size()) {
    const size_t end = std::min(folders.find(':', begin), folders.size());
    const std::string file = folders.substr(begin, end - begin) + "/neuron-monitor";
    if (file.front() == '/' && end > begin && access(file.c_str(), X_OK) == 0) return file;
    begin = end + 1;
  }
  return "";
}

struct NeuronMonitor::Impl {
  Impl(std::string program_path, MetricsRegistry& registry)
      : program(std::move(program_path)), metrics(registry), stop_event(eventfd(0, EFD_CLOEXEC)) {
    thread = std::thread([this] { run(); });
  }
  ~Impl() {
    const uint64_t one = 1;
    (void)!write(stop_event, &one, sizeof(one));
    thread.join();
    close(stop_event);
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void run() {
    do {
      follow_one();
      show({});
    } while (!stopped_within(kRestart));
  }

  bool stopped_within(std::chrono::milliseconds time) const {
    pollfd event = {.fd = stop_event, .events = POLLIN, .revents = 0};
    return poll(&event, 1, static_cast<int>(time.count())) > 0;
  }

  // One life of the program.
  void follow_one() {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) return;
    std::string path = program;
    std::array<char*, 2> arguments{path.data(), nullptr};
    const pid_t parent = getpid();
    const pid_t child = fork();
    if (child == 0) {
      // Only what a child of many threads may call. It must not outlive this process.
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (getppid() != parent) _exit(1);
      dup2(ends[1], STDOUT_FILENO);
      execv(arguments[0], arguments.data());
      _exit(127);
    }
    close(ends[1]);
    if (child > 0) {
      log_info(fmt::format("neuron-monitor started: {}", program));
      read_reports(ends[0]);
      close(ends[0]);
      end_process(child);
    } else {
      close(ends[0]);
    }
  }

  void read_reports(int from) {
    std::string line;
    std::array<char, 65536> buffer;
    while (true) {
      std::array<pollfd, 2> waits{pollfd{.fd = from, .events = POLLIN, .revents = 0},
                                  pollfd{.fd = stop_event, .events = POLLIN, .revents = 0}};
      if (poll(waits.data(), waits.size(), -1) < 0 && errno != EINTR) return;
      if (waits[1].revents != 0) return;
      if (waits[0].revents == 0) continue;
      const ssize_t count = read(from, buffer.data(), buffer.size());
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return;
      line.append(buffer.data(), static_cast<size_t>(count));
      take_lines(line);
      if (line.size() > kMaxLine) {
        log_warning(fmt::format("neuron-monitor: a report is longer than {} bytes", kMaxLine));
        return;
      }
    }
  }

  void take_lines(std::string& text) {
    size_t begin = 0;
    for (size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', begin)) {
      const auto samples = neuron_samples(std::string_view(text).substr(begin, end - begin));
      if (samples.ok()) {
        show(*samples);
      } else {
        log_warning(fmt::format("neuron-monitor: {}", samples.error().message));
      }
      begin = end + 1;
    }
    text.erase(0, begin);
  }

  void end_process(pid_t child) const {
    kill(child, SIGTERM);
    const auto deadline = std::chrono::steady_clock::now() + kExit;
    while (waitpid(child, nullptr, WNOHANG) == 0) {
      if (std::chrono::steady_clock::now() > deadline) kill(child, SIGKILL);
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }

  void show(const std::vector<NeuronSample>& samples) {
    std::set<std::string> seen;
    for (const NeuronSample& sample : samples) {
      std::string key = sample.name;
      for (const auto& [label, value] : sample.labels) key += '\0' + label + '\0' + value;
      if (sample.kind == Kind::kCounter) {
        if (!counters.contains(key) && counters.size() + gauges.size() >= kMaxSeries) continue;
        auto [place, is_new] = counters.try_emplace(key);
        if (is_new) {
          place->second = metrics.counter(sample.name, help_of(sample.name), sample.labels);
        }
        place->second.add(std::max(sample.value, 0.0));
      } else {
        if (!gauges.contains(key) && counters.size() + gauges.size() >= kMaxSeries) continue;
        auto [place, is_new] = gauges.try_emplace(key);
        if (is_new) place->second = metrics.gauge(sample.name, help_of(sample.name), sample.labels);
        place->second.set(sample.value);
        seen.insert(std::move(key));
      }
    }
    for (const auto& [key, gauge] : gauges) {
      if (!seen.contains(key)) gauge.set(std::numeric_limits<double>::quiet_NaN());
    }
  }

  const std::string program;
  MetricsRegistry& metrics;
  const int stop_event;
  std::map<std::string, Gauge> gauges;      // the thread's only
  std::map<std::string, Counter> counters;  // the thread's only
  std::thread thread;
};

NeuronMonitor::NeuronMonitor(std::string program, MetricsRegistry& metrics)
    : impl_(std::make_unique<Impl>(std::move(program), metrics)) {
}

NeuronMonitor::~NeuronMonitor() = default;

}  // namespace pagoda
