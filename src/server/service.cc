// Routing of requests, and the endpoints about the server itself.
#include "server/service.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/log.h"
#include "server/openai/errors.h"
#include "server/openai/generation.h"
#include "server/openai/models.h"

namespace pagoda {
namespace {

// About 2 ms of template and tokenizer on an I/O thread; what is larger goes to the side thread.
constexpr size_t kInlineBodyBytes = size_t{16} << 10;

// What a page may send: the OpenAI client for browsers describes itself in x-stainless headers.
constexpr const char* kAllowedHeaders =
    "Authorization, Content-Type, X-Api-Key, X-Stainless-Arch, X-Stainless-Async, "
    "X-Stainless-Helper-Method, X-Stainless-Lang, X-Stainless-OS, X-Stainless-Package-Version, "
    "X-Stainless-Poll-Helper, X-Stainless-Retry-Count, X-Stainless-Runtime, "
    "X-Stainless-Runtime-Version, X-Stainless-Timeout";

// Paths are served with and without the /v1 that base URLs may or may not have.
std::string_view route_path(std::string_view path) {
  constexpr std::string_view kPrefix = "/v1";
  if (path.starts_with(kPrefix) && (path.size() == kPrefix.size() || path[kPrefix.size()] == '/')) {
    path.remove_prefix(kPrefix.size());
  }
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  return path.empty() ? "/" : path;
}

bool matches(std::string_view pattern, std::string_view path) {
  if (pattern.size() > 1 && pattern.ends_with('/')) {
    return path.size() > pattern.size() && path.starts_with(pattern);
  }
  return path == pattern;
}

// The Host header without its port.
std::string_view host_name(std::string_view host) {
  const size_t colon = host.rfind(':');
  const bool in_brackets =
      colon != std::string_view::npos && host.find(']', colon) != std::string_view::npos;
  return colon == std::string_view::npos || in_brackets ? host : host.substr(0, colon);
}

HttpResponse json_response(const Json& body, int status = 200) {
  HttpResponse response;
  response.status = status;
  response.body = dump_json(body);
  return response;
}

}  // namespace

ApiService::ApiService(const ServerConfig& config, MetricsRegistry& metrics)
    : config_(config), keys_(config.api_keys), metrics_(metrics) {
  side_thread_ = std::thread([this] {
    while (!side_work_.closed()) {
      side_work_.wait();
      for (const auto& work : side_work_.take()) work();
    }
  });
}

ApiService::~ApiService() {
  stop_side_thread();
}

void ApiService::stop_side_thread() {
  side_work_.close();
  if (side_thread_.joinable()) side_thread_.join();
}

std::span<const ApiService::Route> ApiService::routes() {
  static constexpr std::array kRoutes = {
      Route{"GET", "/", false, false, &ApiService::root},
      Route{"GET", "/health", true, false, &ApiService::health},
      Route{"GET", "/ping", true, false, &ApiService::health},
      Route{"POST", "/ping", true, false, &ApiService::health},
      Route{"GET", "/version", false, false, &ApiService::version},
      Route{"GET", "/metrics", false, false, &ApiService::metrics},
      Route{"GET", "/models", false, true, &ApiService::list_models},
      Route{"GET", "/models/", false, true, &ApiService::show_model},
      Route{"POST", "/chat/completions", false, true, &ApiService::chat},
      Route{"POST", "/completions", false, true, &ApiService::completion},
      Route{"POST", "/tokenize", false, true, &ApiService::tokenize},
      Route{"POST", "/detokenize", false, true, &ApiService::detokenize},
  };
  return kRoutes;
}

void ApiService::set_ready(ServedModel model, AsyncEngine& engine) {
  CHECK(!model.names.empty() && model.tokenizer != nullptr);
  auto deployment = std::make_shared<const openai::Deployment>(std::move(model), engine, config_);
  const std::lock_guard lock(mutex_);
  deployment_ = std::move(deployment);
}

std::shared_ptr<const openai::Deployment> ApiService::deployment() const {
  const std::lock_guard lock(mutex_);
  return deployment_;
}

void ApiService::begin_drain() {
  draining_ = true;
}

bool ApiService::wait_idle(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  return idle_.wait_for(lock, timeout, [this] { return num_active_ == 0; });
}

int32_t ApiService::num_active() const {
  const std::lock_guard lock(mutex_);
  return num_active_;
}

std::optional<Error> ApiService::not_serving() const {
  if (draining_) return Error{ErrorCode::kUnavailable, "Server is shutting down"};
  if (deployment() == nullptr) return Error{ErrorCode::kUnavailable, "Loading model"};
  return std::nullopt;
}

std::optional<HttpResponse> ApiService::check_head(const HttpRequest& request) {
  std::optional<HttpResponse> refusal;
  const auto& hosts = config_.allowed_hosts;
  const std::string_view path = route_path(request.path);
  const bool is_public = std::ranges::any_of(
      routes(), [path](const Route& route) { return route.is_public && route.path == path; });
  if (!hosts.empty() &&
      std::ranges::find(hosts, host_name(request.header("host"))) == hosts.end()) {
    refusal = openai::status_response(421, "this server does not answer to that Host");
  } else if (!is_public && request.method != "OPTIONS" && !keys_.accept(request)) {
    refusal = openai::error_response(
        {ErrorCode::kUnauthenticated, "Unauthorized: a valid API key is needed"});
  }
  if (refusal.has_value()) count("refused", request.method, refusal->status);
  return refusal;
}

void ApiService::handle(std::shared_ptr<HttpExchange> exchange) {
  {
    const std::lock_guard lock(mutex_);
    ++num_active_;
  }
  dispatch(exchange);
}

void ApiService::dispatch(const std::shared_ptr<HttpExchange>& exchange) {
  const HttpRequest& request = exchange->request();
  const std::string_view path = route_path(request.path);
  const std::string_view method =
      request.method == "HEAD" ? std::string_view("GET") : std::string_view(request.method);
  std::string allow;
  exchange->log().route = "unmatched";
  for (const Route& route : routes()) {
    if (!matches(route.path, path)) continue;
    allow += (allow.empty() ? "" : ", ") + std::string(route.method);
    if (route.method != method) continue;
    exchange->log().route = route.path;
    // Draining servers still say what they serve.
    const auto refusal = route.needs_model ? not_serving() : std::nullopt;
    const bool only_reads = route.method == "GET" && deployment() != nullptr;
    if (refusal.has_value() && !only_reads) {
      return exchange->respond(openai::error_response(*refusal));
    }
    return (this->*route.handler)(exchange);
  }
  if (allow.empty()) {
    return exchange->respond(openai::status_response(404, "there is no such route; see GET /"));
  }
  if (method == "OPTIONS") return answer_options(exchange, allow);
  HttpResponse response = openai::status_response(405, "this route takes " + allow);
  response.headers.emplace_back("Allow", allow);
  exchange->respond(std::move(response));
}

void ApiService::answer_options(const std::shared_ptr<HttpExchange>& exchange,
                                const std::string& allow) {
  HttpResponse response;
  response.status = 204;
  response.headers = {{"Allow", allow + ", OPTIONS"},
                      {"Access-Control-Allow-Methods", allow + ", OPTIONS"},
                      {"Access-Control-Allow-Headers", kAllowedHeaders},
                      {"Access-Control-Max-Age", "600"}};
  exchange->respond(std::move(response));
}

HttpHeaders ApiService::common_headers(const HttpRequest& request) {
  const auto& origins = config_.allowed_origins;
  const std::string_view origin = request.header("origin");
  const bool any = std::ranges::find(origins, "*") != origins.end();
  if (origin.empty() || (!any && std::ranges::find(origins, origin) == origins.end())) return {};
  return {{"Access-Control-Allow-Origin", any ? "*" : std::string(origin)}, {"Vary", "Origin"}};
}

HttpResponse ApiService::protocol_error(int status, std::string_view message) {
  count("protocol", "", status);
  return openai::status_response(status, message);
}

void ApiService::count(std::string_view handler, std::string_view method, int status) {
  constexpr std::array kMethods = {"GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE"};
  const bool known = std::ranges::find(kMethods, method) != kMethods.end();
  metrics_
      .counter("http_requests_total", "Requests answered.",
               {{"handler", std::string(handler)},
                {"method", known ? std::string(method) : "other"},
                {"status", std::to_string(status)}})
      .add();
}

void ApiService::completed(const HttpRequest& request, const RequestLog& log, int status) {
  count(log.route, request.method, status);
  const double total_ms = 1000 * seconds_between(request.received, real_clock().now());
  std::string line = fmt::format("request id={} method={} route={} status={} total_ms={:.1f}",
                                 request.id, request.method, log.route, status, total_ms);
  if (!log.model.empty()) {
    line += fmt::format(
        " model={} stream={} n={} prompt_tokens={} cached_tokens={} output_tokens={} "
        "ttft_ms={:.1f}",
        log.model, log.stream, log.num_choices, log.num_prompt_tokens, log.num_cached_tokens,
        log.num_output_tokens, 1000 * log.ttft_s);
  }
  if (!log.finish_reason.empty()) line += " finish=" + log.finish_reason;
  // Probes ask every few seconds and would bury the rest.
  const bool is_probe = log.route == "/health" || log.route == "/ping" || log.route == "/metrics";
  is_probe ? log_debug(line) : log_info(line);
  const std::lock_guard lock(mutex_);
  if (--num_active_ == 0) idle_.notify_all();
}

void ApiService::root(const std::shared_ptr<HttpExchange>& exchange) {
  Json body = Json::object();
  body["name"] = "pagoda";
  body["version"] = config_.version;
  body["about"] = "OpenAI-compatible server; use this address with /v1 as the base URL";
  body["endpoints"] = Json::array();
  for (const Route& route : routes()) {
    body["endpoints"].push_back(std::string(route.method) + " " + std::string(route.path));
  }
  exchange->respond(json_response(body));
}

void ApiService::health(const std::shared_ptr<HttpExchange>& exchange) {
  if (const auto refusal = not_serving())
    return exchange->respond(openai::error_response(*refusal));
  exchange->respond(json_response(Json{{"status", "ok"}}));
}

void ApiService::version(const std::shared_ptr<HttpExchange>& exchange) {
  exchange->respond(json_response(Json{{"version", config_.version}, {"build", config_.build}}));
}

void ApiService::metrics(const std::shared_ptr<HttpExchange>& exchange) {
  HttpResponse response;
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  response.body = metrics_.render();
  exchange->respond(std::move(response));
}

void ApiService::list_models(const std::shared_ptr<HttpExchange>& exchange) {
  exchange->respond(openai::list_models(*deployment()));
}

void ApiService::show_model(const std::shared_ptr<HttpExchange>& exchange) {
  constexpr std::string_view kPrefix = "/models/";
  const std::string_view path = route_path(exchange->request().path);
  exchange->respond(openai::show_model(*deployment(), path.substr(kPrefix.size())));
}

void ApiService::chat(const std::shared_ptr<HttpExchange>& exchange) {
  generate(exchange, &openai::prepare_chat);
}

void ApiService::completion(const std::shared_ptr<HttpExchange>& exchange) {
  generate(exchange, &openai::prepare_completion);
}

void ApiService::tokenize(const std::shared_ptr<HttpExchange>& exchange) {
  answer(exchange, &openai::tokenize);
}

void ApiService::detokenize(const std::shared_ptr<HttpExchange>& exchange) {
  answer(exchange, &openai::detokenize);
}

void ApiService::run_by_size(const std::shared_ptr<HttpExchange>& exchange,
                             std::function<void()> work) {
  if (exchange->request().body.size() <= kInlineBodyBytes) return work();
  const bool accepted = side_work_.put([exchange, task = std::move(work)] {
    try {
      task();
    } catch (const std::exception& e) {
      log_error(fmt::format("side_thread.exception error=\"{}\"", e.what()));
      exchange->post([exchange] {
        exchange->respond(openai::error_response({ErrorCode::kInternal, "internal error"}));
      });
    }
  });
  if (!accepted) {
    exchange->respond(openai::error_response({ErrorCode::kUnavailable, "Server is shutting down"}));
  }
}

void ApiService::generate(const std::shared_ptr<HttpExchange>& exchange, Prepare prepare) {
  auto run = std::make_shared<openai::GenerationRun>(exchange, deployment());
  run->watch();
  auto work = [exchange, run, prepare, deployment = deployment()] {
    std::optional<openai::ContextOverflow> overflow;
    // The body is read here only, and may be large: it goes with this scope.
    const std::string body = std::move(exchange->request().body);
    auto job =
        std::make_shared<Result<openai::GenerationJob>>(prepare(body, *deployment, overflow));
    return [run, job, overflow] {
      job->ok() ? run->start(std::move(*job).value()) : run->refuse(job->error(), overflow);
    };
  };
  if (exchange->request().body.size() <= kInlineBodyBytes) return work()();
  run_by_size(exchange, [exchange, work] { exchange->post(work()); });
}

void ApiService::answer(const std::shared_ptr<HttpExchange>& exchange, Endpoint endpoint) {
  run_by_size(exchange, [exchange, endpoint, deployment = deployment()] {
    const std::string body = std::move(exchange->request().body);
    auto result = endpoint(body, *deployment);
    exchange->post([exchange, response = result.ok() ? std::move(result).value()
                                                     : openai::error_response(result.error())] {
      exchange->respond(response);
    });
  });
}

}  // namespace pagoda
