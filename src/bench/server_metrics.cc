// Scrapes Prometheus' text format.
#include "bench/server_metrics.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

namespace pagoda {
namespace {

constexpr std::chrono::seconds kEvery{1};
constexpr size_t kMaxSamples = 100'000;

struct Series {
  const char* key;
  // The second is that of older versions; some servers have both, with the same value.
  std::array<std::string_view, 2> names;
  bool share = false;  // of several engines the mean, not the sum
};
constexpr std::array kSeries = {
    Series{"running", {"vllm:num_requests_running", ""}},
    Series{"waiting", {"vllm:num_requests_waiting", ""}},
    Series{"kv_usage", {"vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"}, true},
    Series{"prefix_hits", {"vllm:prefix_cache_hits_total", "vllm:gpu_prefix_cache_hits_total"}},
    Series{"prefix_queries",
           {"vllm:prefix_cache_queries_total", "vllm:gpu_prefix_cache_queries_total"}},
    Series{"preemptions", {"vllm:num_preemptions_total", ""}},
    Series{"prompt_tokens", {"vllm:prompt_tokens_total", ""}},
    Series{"generation_tokens", {"vllm:generation_tokens_total", ""}},
};

}  // namespace

Json read_server_metrics(std::string_view text) {
  struct Sum {
    double value = 0.0;
    double count = 0.0;
  };
  std::array<std::array<Sum, 2>, kSeries.size()> sums{};
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.starts_with('#')) continue;
    const std::string_view name = line.substr(0, line.find_first_of("{ "));
    // Labels may hold spaces; the value comes after them. A time stamp may follow it.
    const size_t labels_end = line.rfind('}');
    std::string_view rest =
        line.substr(labels_end == std::string_view::npos ? name.size() : labels_end + 1);
    rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
    double value = 0.0;
    if (std::from_chars(rest.data(), rest.data() + rest.size(), value).ec != std::errc()) continue;
    if (!std::isfinite(value)) continue;
    for (size_t i = 0; i < kSeries.size(); ++i) {
      for (size_t k = 0; k < 2; ++k) {
        if (name.empty() || name != kSeries[i].names[k]) continue;
        sums[i][k].value += value;
        sums[i][k].count += 1.0;
      }
    }
  }
  Json out = Json::object();
  for (size_t i = 0; i < kSeries.size(); ++i) {
    const Sum& sum = sums[i][sums[i][0].count > 0.0 ? 0 : 1];
    Json& value = out[kSeries[i].key];
    if (sum.count > 0.0) value = kSeries[i].share ? sum.value / sum.count : sum.value;
  }
  return out;
}

struct ServerMetrics::Impl {
  std::string url;
  HttpOptions options;
  TimePoint start;
  std::mutex mutex;
  std::condition_variable wake;
  bool stopping = false;         // guarded by mutex
  Json samples = Json::array();  // the thread's until it is joined
  std::thread thread;

  void sample() {
    const auto text = http_get(url, options);
    if (!text.ok() || samples.size() >= kMaxSamples) return;
    Json sample = {{"t_s", seconds_between(start, std::chrono::steady_clock::now())}};
    sample.update(read_server_metrics(*text));
    samples.push_back(std::move(sample));
  }

  void run() {
    std::unique_lock lock(mutex);
    while (!stopping) {
      lock.unlock();
      sample();
      lock.lock();
      wake.wait_for(lock, kEvery, [this] { return stopping; });
    }
  }
};

ServerMetrics::ServerMetrics(const std::string& url, const HttpOptions& options, TimePoint start)
    : impl_(std::make_unique<Impl>()) {
  impl_->url = url;
  impl_->options = options;
  impl_->start = start;
  impl_->thread = std::thread([impl = impl_.get()] { impl->run(); });
}

ServerMetrics::~ServerMetrics() {
  if (impl_->thread.joinable()) stop();
}

Json ServerMetrics::stop() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->wake.notify_all();
  impl_->thread.join();
  impl_->sample();
  if (impl_->samples.empty()) return nullptr;
  return {{"url", impl_->url}, {"samples", std::move(impl_->samples)}};
}

}  // namespace pagoda
