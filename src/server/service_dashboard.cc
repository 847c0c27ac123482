// The routes of the dashboard's data.
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/log.h"
#include "server/monitor/dashboard.h"
#include "server/openai/errors.h"
#include "server/service.h"

namespace pagoda {
namespace {

constexpr int64_t kMaxRange = History::kCoarseSeconds;

double unix_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

HttpResponse fresh(const Json& body, int status = 200) {
  HttpResponse response;
  response.status = status;
  response.body = dump_json(body);
  response.headers = {{"Cache-Control", "no-store"}};
  return response;
}

// Ends that a page may ask for, newest or slowest first.
Result<std::vector<FinishedRequest>> find_recent(const RequestBoard& board, std::string_view show,
                                                 size_t limit, double now) {
  if (show == "failed") return board.failed(limit);
  if (show == "newest") return board.newest(limit);
  return board.slowest(now, limit);
}

}  // namespace

dashboard::Status ApiService::status(const openai::Deployment* served) const {
  dashboard::Status status;
  status.time = unix_time();
  status.uptime_s = seconds_between(started_, real_clock().now());
  status.started_at = status.time - status.uptime_s;
  status.ready = served != nullptr;
  status.draining = draining_;
  status.num_connections = connections_.gate != nullptr ? connections_.gate->num_connections() : 0;
  status.pid = ::getpid();
  {
    const std::lock_guard lock(mutex_);
    status.url = url_;
  }
  status.slo = board_->slo();
  status.refused = metrics_.values_by_label("pagoda_requests_refused_total", "reason");
  status.num_server_errors = static_cast<double>(num_server_errors_.load());
  if (served == nullptr) return status;
  status.model = &served->model;
  status.metrics = &served->engine->metrics();
  status.stats = served->engine->stats();
  status.step_running_s = served->engine->step_running_s();
  return status;
}

ServerCounters ApiService::server_counters() const {
  return {.num_refused = static_cast<double>(num_refused_.load()),
          .num_server_errors = static_cast<double>(num_server_errors_.load())};
}

std::string ApiService::dashboard_events() const {
  const auto served = deployment();
  const dashboard::Status now = status(served.get());
  std::string events;
  monitor_.with_history([&](const History* history) {
    events = fmt::format("event: summary\ndata: {}\n\n",
                         dump_json(dashboard::summary(config_, now, history)));
    events += dashboard::sample_event(history, board_->slo());
  });
  return events;
}

void ApiService::dashboard_summary(const ExchangePtr& exchange) {
  const auto served = deployment();
  const dashboard::Status now = status(served.get());
  Json body;
  monitor_.with_history(
      [&](const History* history) { body = dashboard::summary(config_, now, history); });
  exchange->respond(fresh(body));
}

void ApiService::dashboard_replicas(const ExchangePtr& exchange) {
  const auto served = deployment();
  const dashboard::Status now = status(served.get());
  Json body;
  monitor_.with_history(
      [&](const History* history) { body = dashboard::replicas(config_, now, history); });
  if (replicas_ != nullptr) {
    for (Json& row : replicas_->rows(real_clock().now())) {
      body["replicas"].push_back(std::move(row));
    }
  }
  exchange->respond(fresh(body));
}

// Merging an hour takes milliseconds, which the streams of this I/O thread need not wait for.
void ApiService::answer_from_history(const ExchangePtr& exchange,
                                     std::function<Json(const History*)> make) {
  const auto put = workers_.put(WorkPool::Lane::kLight, [this, exchange, make = std::move(make)] {
    if (exchange->ended()) return;
    Json body;
    monitor_.with_history([&](const History* history) { body = make(history); });
    exchange->post([exchange, response = fresh(body)] { exchange->respond(response); });
  });
  if (put == WorkPool::Put::kTaken) return;
  exchange->respond(openai::error_response({ErrorCode::kUnavailable, "the server is busy"}));
}

void ApiService::dashboard_history(const ExchangePtr& exchange) {
  const auto query = dashboard::Query::parse(exchange->request().query);
  if (!query.ok()) return exchange->respond(openai::error_response(query.error()));
  const auto range = query->integer("range", 60, kMaxRange, 300);
  if (!range.ok()) return exchange->respond(openai::error_response(range.error()));
  const auto points = query->integer("points", 10, 4000, 600);
  if (!points.ok()) return exchange->respond(openai::error_response(points.error()));
  answer_from_history(
      exchange, [range = *range, points = *points, slo = board_->slo()](const History* history) {
        return dashboard::history(history, static_cast<int64_t>(unix_time()), range, points, slo);
      });
}

void ApiService::dashboard_lengths(const ExchangePtr& exchange) {
  const auto query = dashboard::Query::parse(exchange->request().query);
  if (!query.ok()) return exchange->respond(openai::error_response(query.error()));
  const auto range = query->integer("range", 60, kMaxRange, 3600);
  if (!range.ok()) return exchange->respond(openai::error_response(range.error()));
  answer_from_history(exchange, [range = *range](const History* history) {
    return dashboard::lengths(history, static_cast<int64_t>(unix_time()), range);
  });
}

void ApiService::dashboard_requests(const ExchangePtr& exchange) {
  const auto served = deployment();
  const EngineState engine = served != nullptr ? served->engine->state() : EngineState{};
  exchange->respond(
      fresh(dashboard::requests(unix_time(), access_.is_operator(exchange->request()), engine,
                                [this](RequestId id) { return board_->find(id); })));
}

void ApiService::cancel_request(const ExchangePtr& exchange) {
  constexpr std::string_view kPrefix = "/dashboard/api/requests/";
  constexpr std::string_view kSuffix = "/cancel";
  std::string_view path = exchange->request().path;
  path.remove_prefix(std::min(path.find(kPrefix) + kPrefix.size(), path.size()));
  while (path.ends_with('/')) path.remove_suffix(1);
  if (!path.ends_with(kSuffix)) {
    return exchange->respond(openai::status_response(404, "there is no such route; see GET /"));
  }
  path.remove_suffix(kSuffix.size());
  RequestId id = 0;
  const auto [end, error] = std::from_chars(path.data(), path.data() + path.size(), id);
  const bool is_id = error == std::errc() && end == path.data() + path.size();
  const auto served = deployment();
  if (!is_id || served == nullptr || board_->find(id) == nullptr) {
    return exchange->respond(openai::status_response(
        404, fmt::format("no request '{}' is in flight", path.substr(0, 40))));
  }
  log_info(fmt::format("event=cancel request={}", id));
  served->engine->abort(id, RequestEnd::kCancelled);
  exchange->respond(fresh(Json{{"id", id}, {"cancelled", true}}, 202));
}

void ApiService::dashboard_recent(const ExchangePtr& exchange) {
  const auto query = dashboard::Query::parse(exchange->request().query);
  if (!query.ok()) return exchange->respond(openai::error_response(query.error()));
  const auto show = query->choice("show", {"slow", "failed", "newest"});
  if (!show.ok()) return exchange->respond(openai::error_response(show.error()));
  const auto limit = query->integer("limit", 1, static_cast<int64_t>(RequestBoard::kNumKept), 50);
  if (!limit.ok()) return exchange->respond(openai::error_response(limit.error()));
  const double now = unix_time();
  const auto found = find_recent(*board_, *show, static_cast<size_t>(*limit), now);
  exchange->respond(fresh(dashboard::recent(now, *show, *found)));
}

void ApiService::dashboard_config(const ExchangePtr& exchange) {
  exchange->respond(fresh(dashboard::config(config_, access_.is_operator(exchange->request()))));
}

void ApiService::dashboard_logs(const ExchangePtr& exchange) {
  const auto query = dashboard::Query::parse(exchange->request().query);
  if (!query.ok()) return exchange->respond(openai::error_response(query.error()));
  const auto after = query->integer("after", 0, std::numeric_limits<int64_t>::max(), 0);
  if (!after.ok()) return exchange->respond(openai::error_response(after.error()));
  const auto limit = query->integer("limit", 1, 1000, 200);
  if (!limit.ok()) return exchange->respond(openai::error_response(limit.error()));
  const auto level = query->choice("level", {"info", "debug", "warning", "error"});
  if (!level.ok()) return exchange->respond(openai::error_response(level.error()));
  LogLevel lowest = LogLevel::kInfo;
  for (const LogLevel known :
       {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarning, LogLevel::kError}) {
    if (to_string(known) == *level) lowest = known;
  }
  exchange->respond(fresh(dashboard::logs(*after, lowest, static_cast<size_t>(*limit))));
}

void ApiService::dashboard_watch(const ExchangePtr& exchange) {
  HttpResponse head;
  head.content_type = "text/event-stream; charset=utf-8";
  head.headers = {{"Cache-Control", "no-store"}, {"X-Accel-Buffering", "no"}};
  head.body = "event: hello\ndata: {\"interval_s\": 1}\n\n";
  if (monitor_.num_watchers() >= Monitor::kMaxWatchers) {
    return exchange->respond(
        openai::error_response({ErrorCode::kUnavailable, "too many dashboards are open"}));
  }
  if (exchange->request().method == "HEAD") {
    head.body.clear();
    return exchange->respond(std::move(head));
  }
  exchange->start_stream(std::move(head));
  exchange->on_end([exchange = std::weak_ptr(exchange)](EndCause cause) {
    const auto open = exchange.lock();
    if (open != nullptr && cause == EndCause::kShutdown) open->end_stream();
  });
  if (!monitor_.watch(exchange)) exchange->end_stream();
}

}  // namespace pagoda
