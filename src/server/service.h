// ApiService: routes, keys and the state of the server, between connections and endpoints.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"
#include "server/access.h"
#include "server/http/connection_gate.h"
#include "server/http/exchange.h"
#include "server/monitor/dashboard.h"
#include "server/monitor/monitor.h"
#include "server/monitor/neuron_monitor.h"
#include "server/monitor/replica_watch.h"
#include "server/monitor/request_board.h"
#include "server/monitor/trace_export.h"
#include "server/openai/job.h"
#include "server/server.h"
#include "server/work_pool.h"

namespace pagoda {

// What the service tells operators about the connections. Both outlive it.
struct ConnectionState {
  const ConnectionGate* gate = nullptr;
  const MemoryBudget* body_memory = nullptr;
};

// Thread-safe. Owns the threads on which large bodies are parsed, rendered and tokenised, so that
// no other connection waits for them. `metrics` must outlive it; it must outlive the I/O threads,
// and the workers must be stopped before the engine ends.
class ApiService : public HttpService {
 public:
  ApiService(const ServerConfig& config, MetricsRegistry& metrics, const ConnectionState& state);

  // What the dashboard shows as the address; starts its sampling. Once, before any request.
  void begin(std::string url);

  void set_ready(ServedModel model, AsyncEngine& engine);
  void begin_drain();
  bool wait_idle(std::chrono::milliseconds timeout);
  int32_t num_active() const;
  void stop_workers();

  std::optional<HttpResponse> check_head(const HttpRequest& request) override;
  void handle(std::shared_ptr<HttpExchange> exchange) override;
  HttpHeaders common_headers(const HttpRequest& request) override;
  HttpResponse protocol_error(const ProtocolError& error) override;
  void connection_refused(std::string_view reason) override;
  void completed(const HttpRequest& request, const RequestLog& log, int status) override;

  // Who may ask for a route.
  enum class Guard { kNobody, kKey, kOperator };
  struct Route {
    std::string_view method;
    std::string_view path;  // without /v1; one that ends in '/' matches what begins with it
    Guard guard = Guard::kKey;
    bool needs_model = false;
    bool generates = false;  // takes a place in the engine's queue
    void (ApiService::*handler)(const std::shared_ptr<HttpExchange>&) = nullptr;
  };
  static std::span<const Route> routes();

 private:
  using ExchangePtr = std::shared_ptr<HttpExchange>;

  std::optional<HttpResponse> check_access(const HttpRequest& request) const;
  void dispatch(const ExchangePtr& exchange);
  void answer_options(const ExchangePtr& exchange, const std::string& allow);
  std::shared_ptr<const openai::Deployment> deployment() const;
  // The reason why no work is taken now, if there is one: loading, draining.
  std::optional<Error> not_serving() const;
  // The same, or that the engine's queue has no place for this client.
  std::optional<Error> no_place(const HttpRequest& request) const;
  void count(std::string_view handler, std::string_view method, int status);
  void count_refusal(std::string_view reason);
  Counter refusals(std::string_view reason);
  void note_duration(const HttpRequest& request, const RequestLog& log);
  // Runs `work` here for a small body, else on a worker. Refuses when those have too much to do.
  void run_by_size(const ExchangePtr& exchange, std::function<void()> work);

  void page(const ExchangePtr& exchange);
  void root(const ExchangePtr& exchange);
  void health(const ExchangePtr& exchange);
  void version(const ExchangePtr& exchange);
  void metrics(const ExchangePtr& exchange);
  void debug_state(const ExchangePtr& exchange);
  void dashboard_summary(const ExchangePtr& exchange);
  void dashboard_history(const ExchangePtr& exchange);
  void dashboard_watch(const ExchangePtr& exchange);
  void dashboard_requests(const ExchangePtr& exchange);
  void cancel_request(const ExchangePtr& exchange);
  void dashboard_recent(const ExchangePtr& exchange);
  void dashboard_lengths(const ExchangePtr& exchange);
  void dashboard_config(const ExchangePtr& exchange);
  void dashboard_logs(const ExchangePtr& exchange);
  void dashboard_replicas(const ExchangePtr& exchange);
  void list_models(const ExchangePtr& exchange);
  void show_model(const ExchangePtr& exchange);
  void chat(const ExchangePtr& exchange);
  void completion(const ExchangePtr& exchange);
  void tokenize(const ExchangePtr& exchange);
  void detokenize(const ExchangePtr& exchange);
  void apply_template(const ExchangePtr& exchange);

  // `served`: null while loading.
  dashboard::Status status(const openai::Deployment* served) const;
  ServerCounters server_counters() const;
  std::string dashboard_events() const;
  void answer_from_history(const ExchangePtr& exchange, std::function<Json(const History*)> make);

  using Prepare = Result<openai::GenerationJob> (*)(std::string_view, const openai::Deployment&,
                                                    std::optional<openai::ContextOverflow>&);
  void generate(const ExchangePtr& exchange, Prepare prepare);
  using Endpoint = Result<HttpResponse> (*)(std::string_view, const openai::Deployment&);
  void answer(const ExchangePtr& exchange, Endpoint endpoint);

  const ServerConfig config_;
  const AccessPolicy access_;
  MetricsRegistry& metrics_;
  const ConnectionState connections_;
  const TimePoint started_ = real_clock().now();
  std::atomic<bool> draining_ = false;
  std::atomic<int64_t> num_refused_ = 0;
  std::atomic<int64_t> num_server_errors_ = 0;

  mutable std::mutex mutex_;
  std::string url_;  // guarded by mutex_
  std::condition_variable idle_;
  std::shared_ptr<const openai::Deployment> deployment_;  // guarded by mutex_; null while loading
  int32_t num_active_ = 0;                                // guarded by mutex_

  const std::shared_ptr<RequestBoard> board_ = std::make_shared<RequestBoard>();
  const std::unique_ptr<ReplicaWatch> replicas_;  // null: this server is alone
  const std::unique_ptr<NeuronMonitor> neuron_;   // null: no such accelerators
  Monitor monitor_;  // its thread calls back into this object: stopped by stop_workers()
  WorkPool workers_;
};

}  // namespace pagoda
