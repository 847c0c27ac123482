// Routing of requests, and the endpoints about the server itself.
#include "server/service.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "server/debug_state.h"
#include "server/openai/errors.h"
#include "server/openai/generation.h"
#include "server/openai/models.h"
#include "server/pages.h"

namespace pagoda {
namespace {

// About 2 ms of template and tokenizer on an I/O thread; what is larger goes to the workers.
constexpr size_t kInlineBodyBytes = size_t{16} << 10;
// What may take longer than ordinary prompts should wait.
constexpr size_t kHeavyBodyBytes = size_t{256} << 10;
constexpr size_t kMaxQueuedBodies = 1024;

// What a page may send: the OpenAI client for browsers describes itself in x-stainless headers.
constexpr const char* kAllowedHeaders =
    "Authorization, Content-Type, X-Api-Key, X-Stainless-Arch, X-Stainless-Async, "
    "X-Stainless-Helper-Method, X-Stainless-Lang, X-Stainless-OS, X-Stainless-Package-Version, "
    "X-Stainless-Poll-Helper, X-Stainless-Retry-Count, X-Stainless-Runtime, "
    "X-Stainless-Runtime-Version, X-Stainless-Timeout, X-Pagoda-Priority, X-Request-Id";

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

// The stream of the dashboard: it would never end, so a drain does not wait for it.
constexpr std::string_view kWatchPath = "/dashboard/api/events";

bool is_watch(const HttpRequest& request) {
  return route_path(request.path) == kWatchPath;
}

std::string method_label(std::string_view method) {
  constexpr std::array kMethods = {"GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE"};
  const bool known = std::ranges::find(kMethods, method) != kMethods.end();
  return known ? std::string(method) : "other";
}

HttpResponse json_response(const Json& body, int status = 200) {
  HttpResponse response;
  response.status = status;
  response.body = dump_json(body);
  return response;
}

const char* refusal_reason(int status) {
  switch (status) {
    case 400: return "invalid";
    case 401: return "api_key";
    case 403: return "forbidden";
    case 404: return "not_found";
    case 421: return "host";
    case 429: return "overloaded";
    case 503: return "unavailable";
    default: return "other";
  }
}

// A body on its way through a worker, with its share of the memory for bodies.
struct TakenBody {
  std::string text;
  MemoryCharge memory;
};

TakenBody take_body(HttpRequest& request) {
  return {std::move(request.body), std::move(request.body_memory)};
}

Result<std::optional<Priority>> priority_of(const HttpRequest& request) {
  const std::string_view value = request.header("x-pagoda-priority");
  if (value.empty()) return std::optional<Priority>{};
  if (equals_ignoring_case(value, "interactive")) return std::optional(Priority::kInteractive);
  if (equals_ignoring_case(value, "background")) return std::optional(Priority::kBackground);
  return invalid_argument(
      fmt::format("X-Pagoda-Priority: '{}' is not interactive or background", value.substr(0, 40)),
      "X-Pagoda-Priority");
}

}  // namespace

ApiService::ApiService(const ServerConfig& config, MetricsRegistry& metrics,
                       const ConnectionState& state)
    : config_(config),
      access_(config),
      metrics_(metrics),
      connections_(state),
      replicas_(config.replicas.empty() ? nullptr
                                        : std::make_unique<ReplicaWatch>(config.replicas)),
      neuron_(config.neuron_monitor.empty()
                  ? nullptr
                  : std::make_unique<NeuronMonitor>(config.neuron_monitor, metrics)),
      monitor_({.counters = [this] { return server_counters(); },
                .events = [this] { return dashboard_events(); }}),
      workers_(kMaxQueuedBodies) {
  // So that a rate of them can be taken from the first on.
  for (const char* reason :
       {"overloaded", "unavailable", "invalid", "not_found", "api_key", "forbidden", "host", "slow",
        "body_size", "body_memory", "header_size", "malformed", "connections"}) {
    refusals(reason).add(0);
  }
  if (!config.otlp_traces_endpoint.empty()) {
    const auto traces =
        std::make_shared<TraceExporter>(config.otlp_traces_endpoint, config.version, metrics);
    board_->set_listener([traces](const FinishedRequest& request) { traces->add(request); });
  }
  board_->set_slo({.ttft_s = config.slo_ttft_s, .tpot_s = config.slo_tpot_s});
}

void ApiService::begin(std::string url) {
  {
    const std::lock_guard lock(mutex_);  // the first requests may be here
    url_ = std::move(url);
  }
  monitor_.start();
}

void ApiService::stop_workers() {
  monitor_.stop();
  workers_.stop();
}

std::span<const ApiService::Route> ApiService::routes() {
  using enum Guard;
  static constexpr std::array kRoutes = {
      Route{"GET", "/", kKey, false, false, &ApiService::root},
      Route{"GET", "/dashboard", kNobody, false, false, &ApiService::page},
      Route{"GET", "/assets/", kNobody, false, false, &ApiService::page},
      Route{"GET", "/health", kNobody, false, false, &ApiService::health},
      Route{"GET", "/ping", kNobody, false, false, &ApiService::health},
      Route{"POST", "/ping", kNobody, false, false, &ApiService::health},
      Route{"GET", "/version", kKey, false, false, &ApiService::version},
      Route{"GET", "/metrics", kKey, false, false, &ApiService::metrics},
      Route{"GET", "/debug/state", kOperator, false, false, &ApiService::debug_state},
      Route{"GET", "/dashboard/api/summary", kKey, false, false, &ApiService::dashboard_summary},
      Route{"GET", "/dashboard/api/history", kKey, false, false, &ApiService::dashboard_history},
      Route{"GET", kWatchPath, kKey, false, false, &ApiService::dashboard_watch},
      Route{"GET", "/dashboard/api/requests", kKey, false, false, &ApiService::dashboard_requests},
      Route{"POST", "/dashboard/api/requests/", kOperator, false, false,
            &ApiService::cancel_request},
      Route{"GET", "/dashboard/api/recent", kKey, false, false, &ApiService::dashboard_recent},
      Route{"GET", "/dashboard/api/lengths", kKey, false, false, &ApiService::dashboard_lengths},
      Route{"GET", "/dashboard/api/config", kKey, false, false, &ApiService::dashboard_config},
      Route{"GET", "/dashboard/api/logs", kKey, false, false, &ApiService::dashboard_logs},
      Route{"GET", "/dashboard/api/replicas", kKey, false, false, &ApiService::dashboard_replicas},
      Route{"GET", "/models", kKey, true, false, &ApiService::list_models},
      Route{"GET", "/models/", kKey, true, false, &ApiService::show_model},
      Route{"POST", "/chat/completions", kKey, true, true, &ApiService::chat},
      Route{"POST", "/completions", kKey, true, true, &ApiService::completion},
      Route{"POST", "/tokenize", kKey, true, false, &ApiService::tokenize},
      Route{"POST", "/detokenize", kKey, true, false, &ApiService::detokenize},
      Route{"POST", "/apply-template", kKey, true, false, &ApiService::apply_template},
  };
  return kRoutes;
}

void ApiService::set_ready(ServedModel model, AsyncEngine& engine) {
  CHECK(!model.names.empty() && model.tokenizer != nullptr);
  auto deployment = std::make_shared<openai::Deployment>(std::move(model), engine, config_);
  deployment->board = board_;
  monitor_.set_engine(engine.metrics());
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

std::optional<Error> ApiService::no_place(const HttpRequest& request) const {
  if (const auto refusal = not_serving()) return refusal;
  const auto client = access_.identify(request);
  if (!client.has_value()) return Error{ErrorCode::kUnauthenticated, "Unauthorized"};
  const auto admitted =
      deployment()->engine->check_admission(client->tenant, Priority::kInteractive);
  if (!admitted.ok()) return admitted.error();
  return std::nullopt;
}

std::optional<HttpResponse> ApiService::check_access(const HttpRequest& request) const {
  if (!access_.accepts_host(request)) {
    return openai::status_response(
        421, fmt::format("this server does not answer to the Host '{}'; see --allowed-hosts",
                         request.header("host").substr(0, 100)));
  }
  if (request.method == "OPTIONS") return std::nullopt;  // browsers ask these without a key
  const std::string_view path = route_path(request.path);
  Guard guard = Guard::kKey;
  for (const Route& route : routes()) {
    if (matches(route.path, path)) guard = route.guard;
  }
  // The page itself holds nothing: it asks its reader for the key.
  if (path == "/" && wants_page(request)) guard = Guard::kNobody;
  if (guard == Guard::kNobody) return std::nullopt;
  if (guard == Guard::kOperator) {
    if (access_.is_operator(request)) return std::nullopt;
    return openai::status_response(
        403, config_.admin_key.empty()
                 ? "this route answers this machine only; set --admin-key to ask from elsewhere"
                 : "this route needs the admin key");
  }
  if (access_.identify(request).has_value()) return std::nullopt;
  return openai::error_response(
      {ErrorCode::kUnauthenticated, "Unauthorized: a valid API key is needed"});
}

std::optional<HttpResponse> ApiService::check_head(const HttpRequest& request) {
  auto refusal = check_access(request);
  if (!refusal.has_value() && request.method == "POST" && !access_.accepts_origin(request)) {
    refusal = openai::status_response(
        403, "pages of this origin may not use this server; see --allowed-origins");
  }
  if (!refusal.has_value() && request.method == "POST") {
    // A small body is read all the same, for the connection can then go on.
    const std::string_view length = request.header("content-length");
    const bool is_large = length.size() > 5 || !request.header("expect").empty();
    const std::string_view path = route_path(request.path);
    const bool generates = std::ranges::any_of(
        routes(), [path](const Route& route) { return route.generates && route.path == path; });
    if (is_large && generates) {
      if (const auto error = no_place(request)) refusal = openai::error_response(*error);
    }
  }
  if (refusal.has_value()) {
    count("refused", request.method, refusal->status);
    count_refusal(refusal_reason(refusal->status));
  }
  return refusal;
}

void ApiService::handle(std::shared_ptr<HttpExchange> exchange) {
  if (!is_watch(exchange->request())) {
    const std::lock_guard lock(mutex_);
    ++num_active_;
  }
  dispatch(exchange);
}

void ApiService::dispatch(const ExchangePtr& exchange) {
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
    if (route.generates) {
      if (const auto full = no_place(request)) {
        return exchange->respond(openai::error_response(*full));
      }
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

void ApiService::answer_options(const ExchangePtr& exchange, const std::string& allow) {
  HttpResponse response;
  response.status = 204;
  response.headers = {{"Allow", allow + ", OPTIONS"},
                      {"Access-Control-Allow-Methods", allow + ", OPTIONS"},
                      {"Access-Control-Allow-Headers", kAllowedHeaders},
                      {"Access-Control-Max-Age", "600"}};
  exchange->respond(std::move(response));
}

HttpHeaders ApiService::common_headers(const HttpRequest& request) {
  return access_.cors_headers(request);
}

HttpResponse ApiService::protocol_error(const ProtocolError& error) {
  count("protocol", "", error.status);
  count_refusal(error.reason);
  return openai::status_response(error.status, error.message);
}

void ApiService::connection_refused(std::string_view reason) {
  metrics_
      .counter("pagoda_connections_refused_total", "Connections ended before any request.",
               {{"reason", std::string(reason)}})
      .add();
}

void ApiService::count_refusal(std::string_view reason) {
  ++num_refused_;
  refusals(reason).add();
}

Counter ApiService::refusals(std::string_view reason) {
  return metrics_.counter("pagoda_requests_refused_total",
                          "Requests refused before any work, by reason.",
                          {{"reason", std::string(reason)}});
}

void ApiService::count(std::string_view handler, std::string_view method, int status) {
  metrics_
      .counter("http_requests_total", "Requests answered.",
               {{"handler", std::string(handler)},
                {"method", method_label(method)},
                {"status", std::to_string(status)}})
      .add();
}

void ApiService::note_duration(const HttpRequest& request, const RequestLog& log) {
  static const std::vector<double> kCoarse = {0.1, 0.5, 1};
  static const std::vector<double> kFine = {0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5,
                                            0.75, 1,     1.5,  2,     2.5, 3,    3.5,
                                            4,    4.5,   5,    7.5,   10,  30,   60};
  const double seconds = seconds_between(request.received, real_clock().now());
  metrics_
      .histogram("http_request_duration_seconds", "Time from a whole request to its whole reply.",
                 kCoarse, {{"handler", log.route}, {"method", method_label(request.method)}})
      .observe(seconds);
  metrics_
      .histogram("http_request_duration_highr_seconds",
                 "Time from a whole request to its whole reply, of all handlers.", kFine)
      .observe(seconds);
}

void ApiService::completed(const HttpRequest& request, const RequestLog& log, int status) {
  // The tokens and logprobs of a large reply were many small allocations, which the allocator would
  // keep; a worker gives them back to the system after heavy work, here none.
  constexpr int32_t kManyTokens = 4096;
  if (log.num_output_tokens >= kManyTokens) workers_.put(WorkPool::Lane::kHeavy, [] {});
  count(log.route, request.method, status);
  const bool is_probe = log.route == "/health" || log.route == "/ping" || log.route == "/metrics" ||
                        log.route.starts_with("/dashboard/api/");
  // What the engine took and could not finish is counted there.
  const bool was_refused = log.finish_reason == "refused";
  if (!is_probe && (status == 429 || status == 503 || (was_refused && status < 500))) {
    count_refusal(refusal_reason(status));
  }
  if (status >= 500 && status != 503 && log.model.empty()) ++num_server_errors_;
  if (!is_watch(request)) note_duration(request, log);
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
  is_probe ? log_debug(line) : log_info(line);
  if (is_watch(request)) return;
  const std::lock_guard lock(mutex_);
  if (--num_active_ == 0) idle_.notify_all();
}

void ApiService::page(const ExchangePtr& exchange) {
  const HttpRequest& request = exchange->request();
  exchange->respond(page_response(embedded_pages(), route_path(request.path), request));
}

void ApiService::root(const ExchangePtr& exchange) {
  if (wants_page(exchange->request())) return page(exchange);
  Json body = Json::object();
  body["name"] = "pagoda";
  body["version"] = config_.version;
  body["about"] = "OpenAI-compatible server; use this address with /v1 as the base URL";
  body["endpoints"] = Json::array();
  for (const Route& route : routes()) {
    const bool is_openai = route.needs_model && !route.path.ends_with("tokenize");
    body["endpoints"].push_back(
        fmt::format("{} {}{}", route.method, is_openai ? "/v1" : "", route.path));
  }
  HttpResponse response = json_response(body);
  response.headers.emplace_back("Vary", "Accept");
  exchange->respond(std::move(response));
}

void ApiService::health(const ExchangePtr& exchange) {
  if (const auto refusal = not_serving())
    return exchange->respond(openai::error_response(*refusal));
  exchange->respond(json_response(Json{{"status", "ok"}}));
}

void ApiService::version(const ExchangePtr& exchange) {
  exchange->respond(json_response(Json{{"version", config_.version}, {"build", config_.build}}));
}

void ApiService::metrics(const ExchangePtr& exchange) {
  HttpResponse response;
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  response.body = metrics_.render();
  exchange->respond(std::move(response));
}

void ApiService::debug_state(const ExchangePtr& exchange) {
  const auto served = deployment();
  ServerState state;
  state.uptime_s = seconds_between(started_, real_clock().now());
  state.ready = served != nullptr;
  state.draining = draining_;
  state.num_connections = connections_.gate->num_connections();
  state.num_addresses = connections_.gate->num_addresses();
  state.num_active_requests = num_active();
  state.num_bodies_waiting = workers_.num_queued();
  state.body_memory_bytes = connections_.body_memory->used_bytes();
  std::optional<EngineState> engine;
  if (served != nullptr) engine = served->engine->state();
  exchange->respond(json_response(pagoda::debug_state(config_, state, engine)));
}

void ApiService::list_models(const ExchangePtr& exchange) {
  exchange->respond(openai::list_models(*deployment()));
}

void ApiService::show_model(const ExchangePtr& exchange) {
  constexpr std::string_view kPrefix = "/models/";
  const std::string_view path = route_path(exchange->request().path);
  exchange->respond(openai::show_model(*deployment(), path.substr(kPrefix.size())));
}

void ApiService::chat(const ExchangePtr& exchange) {
  generate(exchange, &openai::prepare_chat);
}

void ApiService::completion(const ExchangePtr& exchange) {
  generate(exchange, &openai::prepare_completion);
}

void ApiService::tokenize(const ExchangePtr& exchange) {
  answer(exchange, &openai::tokenize);
}

void ApiService::detokenize(const ExchangePtr& exchange) {
  answer(exchange, &openai::detokenize);
}

void ApiService::apply_template(const ExchangePtr& exchange) {
  answer(exchange, &openai::apply_template);
}

void ApiService::run_by_size(const ExchangePtr& exchange, std::function<void()> work) {
  const size_t num_bytes = exchange->request().body.size();
  if (num_bytes <= kInlineBodyBytes) return work();
  const auto lane = num_bytes > kHeavyBodyBytes ? WorkPool::Lane::kHeavy : WorkPool::Lane::kLight;
  const auto put = workers_.put(lane, [exchange, task = std::move(work)] {
    if (exchange->ended()) {
      take_body(exchange->request());  // nobody waits for it
      return;
    }
    try {
      task();
    } catch (const std::exception& e) {
      log_error(fmt::format("worker.exception error=\"{}\"", e.what()));
      exchange->post([exchange] {
        exchange->respond(openai::error_response({ErrorCode::kInternal, "internal error"}));
      });
    }
  });
  if (put == WorkPool::Put::kTaken) return;
  exchange->respond(openai::error_response(
      put == WorkPool::Put::kFull
          ? Error{ErrorCode::kOverloaded, "too many large requests are waiting to be read"}
          : Error{ErrorCode::kUnavailable, "Server is shutting down"}));
}

void ApiService::generate(const ExchangePtr& exchange, Prepare prepare) {
  const HttpRequest& request = exchange->request();
  const auto priority = priority_of(request);
  const auto client = access_.identify(request);
  if (!priority.ok()) return exchange->respond(openai::error_response(priority.error()));
  CHECK(client.has_value());  // check_head() has seen to it
  auto run = std::make_shared<openai::GenerationRun>(
      exchange, deployment(), openai::RequestOrigin{.client = *client, .priority = *priority});
  run->watch();
  auto work = [exchange, run, prepare, deployment = deployment()] {
    std::optional<openai::ContextOverflow> overflow;
    // The body is read here only, and may be large: it goes with this scope.
    const TakenBody body = take_body(exchange->request());
    auto job =
        std::make_shared<Result<openai::GenerationJob>>(prepare(body.text, *deployment, overflow));
    return [run, job, overflow] {
      job->ok() ? run->start(std::move(*job).value()) : run->refuse(job->error(), overflow);
    };
  };
  if (request.body.size() <= kInlineBodyBytes) return work()();
  run_by_size(exchange, [exchange, work] { exchange->post(work()); });
}

void ApiService::answer(const ExchangePtr& exchange, Endpoint endpoint) {
  run_by_size(exchange, [exchange, endpoint, deployment = deployment()] {
    const TakenBody body = take_body(exchange->request());
    auto result = endpoint(body.text, *deployment);
    exchange->post([exchange, response = result.ok() ? std::move(result).value()
                                                     : openai::error_response(result.error())] {
      exchange->respond(response);
    });
  });
}

}  // namespace pagoda
