// Spans as JSON, and the thread that sends them.
#include "server/monitor/trace_export.h"

#include <curl/curl.h>
#include <fmt/core.h>

#include <chrono>
#include <cmath>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/log.h"
#include "server/monitor/trace_context.h"

namespace pagoda {
namespace {

constexpr size_t kBatch = 512;
constexpr std::chrono::seconds kInterval{1};
constexpr std::chrono::seconds kWarningInterval{60};
constexpr long kSendTimeoutMs = 10'000;
constexpr long kLastSendTimeoutMs = 2'000;

Json attribute(const char* key, Json value) {
  return {{"key", key}, {"value", std::move(value)}};
}
Json text_attribute(const char* key, const std::string& value) {
  return attribute(key, {{"stringValue", value}});
}
// 64-bit integers are strings in the JSON encoding of protobuf.
Json integer_attribute(const char* key, int64_t value) {
  return attribute(key, {{"intValue", std::to_string(value)}});
}
Json number_attribute(const char* key, double value) {
  return attribute(key, {{"doubleValue", value}});
}

std::string nanoseconds(double unix_s) {
  return std::to_string(std::llround(unix_s * 1e6) * 1000);
}

// As OpenAI spells the end of a choice.
std::string finish_reason(RequestEnd end) {
  if (end == RequestEnd::kStopString) return "stop";
  return std::string(to_string(end));
}

void add_conventions(Json& attributes, const FinishedRequest& request) {
  const RequestFacts& facts = *request.facts;
  const char* operation = facts.is_chat ? "chat" : "text_completion";
  attributes.push_back(text_attribute("gen_ai.operation.name", operation));
  attributes.push_back(text_attribute("gen_ai.provider.name", "pagoda"));
  attributes.push_back(text_attribute("gen_ai.request.model", facts.model));
  attributes.push_back(text_attribute("gen_ai.response.model", facts.model));
  attributes.push_back(text_attribute("gen_ai.response.id", facts.request_id));
  attributes.push_back(integer_attribute("gen_ai.request.max_tokens", facts.max_tokens));
  attributes.push_back(number_attribute("gen_ai.request.temperature", facts.temperature));
  attributes.push_back(number_attribute("gen_ai.request.top_p", facts.top_p));
  attributes.push_back(integer_attribute("gen_ai.request.top_k", facts.top_k));
  attributes.push_back(integer_attribute("gen_ai.request.choice.count", facts.num_choices));
  attributes.push_back(attribute("gen_ai.request.stream", {{"boolValue", facts.stream}}));
  Json reasons = Json::array({{{"stringValue", finish_reason(request.end)}}});
  attributes.push_back(attribute("gen_ai.response.finish_reasons",
                                 {{"arrayValue", {{"values", std::move(reasons)}}}}));
  attributes.push_back(integer_attribute("gen_ai.usage.input_tokens", request.num_prompt_tokens));
  attributes.push_back(integer_attribute("gen_ai.usage.output_tokens", request.num_output_tokens));
  attributes.push_back(
      integer_attribute("gen_ai.usage.cache_read.input_tokens", request.num_cached_tokens));
  if (request.ttft_s) {
    attributes.push_back(number_attribute("gen_ai.response.time_to_first_chunk", *request.ttft_s));
  }
  if (is_failure(request.end) || !is_complete(request.end)) {
    attributes.push_back(text_attribute("error.type", std::string(to_string(request.end))));
  }
}

// What vLLM's spans call the same, so that boards made for them work.
void add_vllm_names(Json& attributes, const FinishedRequest& request) {
  const RequestFacts& facts = *request.facts;
  attributes.push_back(text_attribute("gen_ai.request.id", facts.request_id));
  attributes.push_back(integer_attribute("gen_ai.request.n", facts.num_choices));
  attributes.push_back(integer_attribute("gen_ai.usage.prompt_tokens", request.num_prompt_tokens));
  attributes.push_back(
      integer_attribute("gen_ai.usage.completion_tokens", request.num_output_tokens));
  attributes.push_back(number_attribute("gen_ai.latency.time_in_queue", request.queue_s));
  attributes.push_back(number_attribute("gen_ai.latency.e2e", request.total_s));
  attributes.push_back(number_attribute("gen_ai.latency.time_in_model_prefill", request.prefill_s));
  attributes.push_back(number_attribute("gen_ai.latency.time_in_model_decode", request.decode_s));
  attributes.push_back(number_attribute("gen_ai.latency.time_in_model_inference",
                                        request.prefill_s + request.decode_s));
  if (request.ttft_s) {
    attributes.push_back(number_attribute("gen_ai.latency.time_to_first_token", *request.ttft_s));
  }
}

Json span_json(const FinishedRequest& request) {
  constexpr int kServerKind = 2;
  constexpr int kStatusError = 2;
  const RequestFacts& facts = *request.facts;
  Json span = Json::object();
  span["traceId"] = facts.trace_id.empty() ? draw_trace_bytes(16) : facts.trace_id;
  span["spanId"] = draw_trace_bytes(8);
  if (!facts.parent_id.empty()) span["parentSpanId"] = facts.parent_id;
  if (!facts.trace_state.empty()) span["traceState"] = facts.trace_state;
  span["name"] = "llm_request";
  span["kind"] = kServerKind;
  span["startTimeUnixNano"] = nanoseconds(request.ended_at - request.total_s);
  span["endTimeUnixNano"] = nanoseconds(request.ended_at);
  span["attributes"] = Json::array();
  add_conventions(span["attributes"], request);
  add_vllm_names(span["attributes"], request);
  span["status"] = Json::object();
  if (is_failure(request.end)) {
    span["status"] = {{"code", kStatusError}, {"message", request.error}};
  }
  return span;
}

size_t drop_reply(char*, size_t size, size_t count, void*) {
  return size * count;
}

}  // namespace

std::string otlp_spans(std::span<const FinishedRequest> requests, const std::string& version) {
  Json spans = Json::array();
  for (const FinishedRequest& request : requests) spans.push_back(span_json(request));
  Json scope = {{"scope", {{"name", "pagoda"}, {"version", version}}}, {"spans", std::move(spans)}};
  Json resource = {{"attributes", Json::array({text_attribute("service.name", "pagoda"),
                                               text_attribute("service.version", version)})}};
  return dump_json(
      {{"resourceSpans", Json::array({{{"resource", std::move(resource)},
                                       {"scopeSpans", Json::array({std::move(scope)})}}})}});
}

struct TraceExporter::Impl {
  Impl(std::string the_endpoint, std::string the_version, MetricsRegistry& metrics)
      : endpoint(std::move(the_endpoint)),
        version(std::move(the_version)),
        num_sent(metrics.counter("pagoda_spans_exported_total", "Spans that a collector took.")),
        num_dropped(
            metrics.counter("pagoda_spans_dropped_total", "Spans that no collector took in time.")),
        thread([this] { run(); }) {}

  void run() {
    while (true) {
      std::vector<FinishedRequest> batch;
      bool last = false;
      {
        std::unique_lock lock(mutex);
        wake.wait_for(lock, kInterval, [this] { return stopping || queue.size() >= kBatch; });
        last = stopping;
        while (!queue.empty() && batch.size() < kBatch) {
          batch.push_back(std::move(queue.front()));
          queue.pop_front();
        }
      }
      if (!batch.empty()) send(batch, last ? kLastSendTimeoutMs : kSendTimeoutMs);
      if (last) return;
    }
  }

  void send(const std::vector<FinishedRequest>& batch, long timeout_ms) {
    const std::string error = post(otlp_spans(batch, version), timeout_ms);
    if (error.empty()) return num_sent.add(static_cast<double>(batch.size()));
    num_dropped.add(static_cast<double>(batch.size()));
    const auto now = std::chrono::steady_clock::now();
    if (now < next_warning) return;
    next_warning = now + kWarningInterval;
    log_warning(
        fmt::format("event=traces_not_exported spans={} reason=\"{}\"", batch.size(), error));
  }

  // What went wrong; empty: nothing.
  std::string post(const std::string& body, long timeout_ms) const {
    const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> easy(curl_easy_init(),
                                                                   curl_easy_cleanup);
    if (easy == nullptr) return "no memory";
    const std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)> headers(
        curl_slist_append(nullptr, "Content-Type: application/json"), curl_slist_free_all);
    curl_easy_setopt(easy.get(), CURLOPT_URL, endpoint.c_str());
    curl_easy_setopt(easy.get(), CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy.get(), CURLOPT_TIMEOUT_MS, timeout_ms);
    curl_easy_setopt(easy.get(), CURLOPT_HTTPHEADER, headers.get());
    curl_easy_setopt(easy.get(), CURLOPT_POSTFIELDSIZE, static_cast<long>(body.size()));
    curl_easy_setopt(easy.get(), CURLOPT_POSTFIELDS, body.c_str());
    curl_easy_setopt(easy.get(), CURLOPT_WRITEFUNCTION, drop_reply);
    const CURLcode code = curl_easy_perform(easy.get());
    if (code != CURLE_OK) return curl_easy_strerror(code);
    long status = 0;
    curl_easy_getinfo(easy.get(), CURLINFO_RESPONSE_CODE, &status);
    return status >= 200 && status < 300 ? "" : fmt::format("status {}", status);
  }

  const std::string endpoint;
  const std::string version;
  const Counter num_sent;
  const Counter num_dropped;
  std::chrono::steady_clock::time_point next_warning{};  // own thread only

  std::mutex mutex;
  std::condition_variable wake;
  std::deque<FinishedRequest> queue;  // guarded by mutex
  bool stopping = false;              // guarded by mutex
  std::thread thread;                 // last: the others exist when it starts
};

TraceExporter::TraceExporter(std::string endpoint, std::string version, MetricsRegistry& metrics)
    : impl_(std::make_unique<Impl>(std::move(endpoint), std::move(version), metrics)) {
}

TraceExporter::~TraceExporter() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->wake.notify_one();
  impl_->thread.join();
}

void TraceExporter::add(const FinishedRequest& request) {
  if (!request.facts->is_traced) return;
  size_t num_queued = 0;
  {
    const std::lock_guard lock(impl_->mutex);
    num_queued = impl_->queue.size();
    if (num_queued < kMaxQueued) impl_->queue.push_back(request);
  }
  if (num_queued >= kMaxQueued) return impl_->num_dropped.add();
  if (num_queued + 1 == kBatch) impl_->wake.notify_one();
}

}  // namespace pagoda
