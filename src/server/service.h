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
#include <thread>

#include "base/mailbox.h"
#include "base/metrics.h"
#include "server/api_keys.h"
#include "server/http/exchange.h"
#include "server/openai/job.h"
#include "server/server.h"

namespace pagoda {

// Thread-safe. Owns a side thread, on which large bodies are parsed, rendered and tokenised so that
// no other connection waits for them. `metrics` must outlive it; it must outlive the I/O threads,
// and the side thread must be stopped before the engine ends.
class ApiService : public HttpService {
 public:
  ApiService(const ServerConfig& config, MetricsRegistry& metrics);
  ~ApiService() override;

  void set_ready(ServedModel model, AsyncEngine& engine);
  void begin_drain();
  bool wait_idle(std::chrono::milliseconds timeout);
  int32_t num_active() const;
  void stop_side_thread();

  std::optional<HttpResponse> check_head(const HttpRequest& request) override;
  void handle(std::shared_ptr<HttpExchange> exchange) override;
  HttpHeaders common_headers(const HttpRequest& request) override;
  HttpResponse protocol_error(int status, std::string_view message) override;
  void completed(const HttpRequest& request, const RequestLog& log, int status) override;

 private:
  struct Route {
    std::string_view method;
    std::string_view path;   // without /v1; one that ends in '/' matches what begins with it
    bool is_public = false;  // asked without a key
    bool needs_model = false;
    void (ApiService::*handler)(const std::shared_ptr<HttpExchange>&) = nullptr;
  };
  static std::span<const Route> routes();

  void dispatch(const std::shared_ptr<HttpExchange>& exchange);
  void answer_options(const std::shared_ptr<HttpExchange>& exchange, const std::string& allow);
  std::shared_ptr<const openai::Deployment> deployment() const;
  // The reason why no work is taken now, if there is one.
  std::optional<Error> not_serving() const;
  void count(std::string_view handler, std::string_view method, int status);
  // Runs `work` here for a small body, else on the side thread.
  void run_by_size(const std::shared_ptr<HttpExchange>& exchange, std::function<void()> work);

  void root(const std::shared_ptr<HttpExchange>& exchange);
  void health(const std::shared_ptr<HttpExchange>& exchange);
  void version(const std::shared_ptr<HttpExchange>& exchange);
  void metrics(const std::shared_ptr<HttpExchange>& exchange);
  void list_models(const std::shared_ptr<HttpExchange>& exchange);
  void show_model(const std::shared_ptr<HttpExchange>& exchange);
  void chat(const std::shared_ptr<HttpExchange>& exchange);
  void completion(const std::shared_ptr<HttpExchange>& exchange);
  void tokenize(const std::shared_ptr<HttpExchange>& exchange);
  void detokenize(const std::shared_ptr<HttpExchange>& exchange);

  using Prepare = Result<openai::GenerationJob> (*)(std::string_view, const openai::Deployment&,
                                                    std::optional<openai::ContextOverflow>&);
  void generate(const std::shared_ptr<HttpExchange>& exchange, Prepare prepare);
  using Endpoint = Result<HttpResponse> (*)(std::string_view, const openai::Deployment&);
  void answer(const std::shared_ptr<HttpExchange>& exchange, Endpoint endpoint);

  const ServerConfig config_;
  const ApiKeys keys_;
  MetricsRegistry& metrics_;
  std::atomic<bool> draining_ = false;

  mutable std::mutex mutex_;
  std::condition_variable idle_;
  std::shared_ptr<const openai::Deployment> deployment_;  // guarded by mutex_; null while loading
  int32_t num_active_ = 0;                                // guarded by mutex_

  Mailbox<std::function<void()>> side_work_;
  std::thread side_thread_;
};

}  // namespace pagoda
