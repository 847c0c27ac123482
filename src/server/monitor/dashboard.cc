// JSON for the dashboard: summary, charts, requests.
#include "server/monitor/dashboard.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "server/http/message.h"

namespace pagoda::dashboard {
namespace {

constexpr int64_t kMinute = 60;
// A step that runs longer hangs, or the machine does.
constexpr double kHangingStepSeconds = 30;
constexpr size_t kMaxRequestsShown = 1000;
constexpr int64_t kMaxLengthColumns = 60;

// Six significant digits: what a chart can show, at half the size.
Json rounded(double value) {
  if (value == 0 || !std::isfinite(value)) return std::isfinite(value) ? Json(0) : Json();
  const double scale = std::pow(10.0, 5 - std::floor(std::log10(std::abs(value))));
  const double shown = std::round(value * scale) / scale;
  if (shown == std::floor(shown) && std::abs(shown) < 1e15) return static_cast<int64_t>(shown);
  return shown;
}

Json rounded(const std::optional<double>& value) {
  return value ? rounded(*value) : Json();
}

// Counters are whole numbers.
Json whole(double value) {
  return static_cast<int64_t>(std::llround(value));
}

Json text_or_null(const std::string& text) {
  return text.empty() ? Json() : Json(text);
}

std::optional<double> share(double part, double all) {
  if (all <= 0) return std::nullopt;
  return part / all;
}

bool has_slo(const SloLimits& slo) {
  return slo.ttft_s > 0 || slo.tpot_s > 0;
}

std::optional<double> goodput(const Window& window, const SloLimits& slo) {
  if (!has_slo(slo)) return std::nullopt;
  double num_complete = 0;
  for (const RequestEnd end : {RequestEnd::kStop, RequestEnd::kStopString, RequestEnd::kLength}) {
    num_complete += window.count(end_count(end));
  }
  return share(window.count(Count::kWithinSlo), num_complete);
}

Json spread_json(const Window& window, Spread what) {
  Json json = Json::object();
  json["count"] = window.num(what);
  json["mean"] = rounded(window.mean(what));
  for (const auto& [name, quantile] :
       {std::pair{"p50", 0.5}, {"p90", 0.9}, {"p95", 0.95}, {"p99", 0.99}}) {
    json[name] = rounded(window.quantile(what, quantile));
  }
  return json;
}

// What each column of history() is of a window.
using Column = std::pair<const char*, std::function<std::optional<double>(const Window&)>>;

std::vector<Column> columns(const SloLimits& slo) {
  const auto rate = [](Count what) {
    return [what](const Window& w) -> std::optional<double> { return w.per_second(what); };
  };
  const auto level = [](Level what) { return [what](const Window& w) { return w.level(what); }; };
  const auto mean = [](Spread what) { return [what](const Window& w) { return w.mean(what); }; };
  const auto quantile = [](Spread what, double at) {
    return [what, at](const Window& w) { return w.quantile(what, at); };
  };
  const auto ratio = [](Count part, Count all) {
    return [part, all](const Window& w) { return share(w.count(part), w.count(all)); };
  };
  return {
      {"running", level(Level::kRunning)},
      {"waiting", level(Level::kWaiting)},
      {"kv_usage", level(Level::kKvUsage)},
      {"requests_per_s",
       [](const Window& w) -> std::optional<double> {
         return w.empty() ? 0 : w.num_requests() / w.seconds();
       }},
      {"prompt_tokens_per_s", rate(Count::kPromptTokens)},
      {"generation_tokens_per_s", rate(Count::kGenerationTokens)},
      {"ttft_p50_s", quantile(Spread::kTtft, 0.5)},
      {"ttft_p95_s", quantile(Spread::kTtft, 0.95)},
      {"ttft_p99_s", quantile(Spread::kTtft, 0.99)},
      {"itl_p50_s", quantile(Spread::kItl, 0.5)},
      {"itl_p95_s", quantile(Spread::kItl, 0.95)},
      {"itl_p99_s", quantile(Spread::kItl, 0.99)},
      {"e2e_p50_s", quantile(Spread::kE2e, 0.5)},
      {"e2e_p95_s", quantile(Spread::kE2e, 0.95)},
      {"e2e_p99_s", quantile(Spread::kE2e, 0.99)},
      {"queue_mean_s", mean(Spread::kQueue)},
      {"prefill_mean_s", mean(Spread::kPrefill)},
      {"decode_mean_s", mean(Spread::kDecode)},
      {"prefix_hit_rate", ratio(Count::kCacheHits, Count::kCacheQueries)},
      {"draft_acceptance", ratio(Count::kAcceptedTokens, Count::kDraftTokens)},
      {"preemptions_per_s", rate(Count::kPreemptions)},
      {"step_tokens", mean(Spread::kStepTokens)},
      {"step_mean_s", mean(Spread::kStep)},
      {"goodput", [slo](const Window& w) { return goodput(w, slo); }},
      {"errors_per_s", rate(Count::kErrors)},
      {"refused_per_s", rate(Count::kRefused)},
      {"cpu_cores", rate(Count::kCpuSeconds)},
      {"memory_bytes", level(Level::kMemoryBytes)},
  };
}

const char* state_word(const Status& status) {
  if (status.draining) return "DELETING";
  if (!status.ready) return "DEPLOYING";
  return status.step_running_s > kHangingStepSeconds ? "UNHEALTHY" : "RUNNING";
}

std::string state_message(const Status& status) {
  if (status.draining) return "the server is shutting down";
  if (!status.ready) return "loading the model";
  if (status.step_running_s <= kHangingStepSeconds) return "";
  return fmt::format("a step has run for {:.0f} s", status.step_running_s);
}

Json server_json(const ServerConfig& config, const Status& status) {
  Json json = Json::object();
  json["state"] = state_word(status);
  json["state_message"] = state_message(status);
  json["name"] = "pagoda";
  json["version"] = config.version;
  json["build"] = config.build;
  if (status.model != nullptr) {
    json["model"] = status.model->names.front();
    json["models"] = status.model->names;
    json["max_model_len"] = status.model->max_model_len;
    json["backend"] = status.model->backend;
  }
  json["pid"] = status.pid;
  json["uptime_s"] = status.uptime_s;
  json["started_at"] = status.started_at;
  json["url"] = status.url;
  return json;
}

Json now_json(const Status& status, const History* history) {
  Json json = Json::object();
  if (status.stats) {
    const EngineStats& stats = *status.stats;
    const int32_t num_used = stats.num_total_blocks - stats.num_free_blocks;
    json["running"] = stats.num_running;
    json["waiting"] = stats.num_waiting;
    json["kv_usage"] = rounded(share(num_used, stats.num_total_blocks));
    json["kv_blocks"] = stats.num_total_blocks;
    json["kv_blocks_used"] = num_used;
    json["step_running_s"] = rounded(status.step_running_s);
  }
  json["connections"] = status.num_connections;
  const Sample* last = history != nullptr ? history->last() : nullptr;
  json["memory_bytes"] =
      last == nullptr ? Json() : whole(last->levels[static_cast<size_t>(Level::kMemoryBytes)]);
  const int64_t budget = status.model != nullptr ? status.model->memory_budget_bytes : 0;
  json["memory_budget_bytes"] = budget > 0 ? Json(budget) : Json();
  return json;
}

Json minute_json(const Window& window, const SloLimits& slo) {
  const double seconds = window.seconds();
  Json json = Json::object();
  json["seconds"] = rounded(seconds);
  json["requests"] = whole(window.num_requests());
  json["requests_per_s"] = rounded(seconds > 0 ? window.num_requests() / seconds : 0);
  json["prompt_tokens_per_s"] = rounded(window.per_second(Count::kPromptTokens));
  json["generation_tokens_per_s"] = rounded(window.per_second(Count::kGenerationTokens));
  for (const auto& [name, what] : {std::pair{"ttft_s", Spread::kTtft},
                                   {"itl_s", Spread::kItl},
                                   {"e2e_s", Spread::kE2e},
                                   {"queue_s", Spread::kQueue},
                                   {"prefill_s", Spread::kPrefill},
                                   {"decode_s", Spread::kDecode},
                                   {"step_s", Spread::kStep}}) {
    json[name] = spread_json(window, what);
  }
  json["step_tokens"] = rounded(window.mean(Spread::kStepTokens));
  json["prefix_hit_rate"] =
      rounded(share(window.count(Count::kCacheHits), window.count(Count::kCacheQueries)));
  json["draft_acceptance"] =
      rounded(share(window.count(Count::kAcceptedTokens), window.count(Count::kDraftTokens)));
  json["preemptions"] = whole(window.count(Count::kPreemptions));
  json["errors"] = whole(window.count(Count::kErrors));
  json["refused"] = whole(window.count(Count::kRefused));
  json["goodput"] = rounded(goodput(window, slo));
  json["cpu_cores"] = rounded(window.per_second(Count::kCpuSeconds));
  return json;
}

Json totals_json(const Status& status) {
  const EngineMetrics none;
  const EngineMetrics& metrics = status.metrics != nullptr ? *status.metrics : none;
  Json ends = Json::object();
  double num_requests = 0;
  double num_errors = status.num_server_errors;
  for (size_t i = 0; i < kNumRequestEnds; ++i) {
    const auto end = static_cast<RequestEnd>(i);
    const double num = metrics.requests_ended(end).value();
    ends[std::string(kRequestEndNames[i])] = whole(num);
    num_requests += num;
    if (is_failure(end)) num_errors += num;
  }
  Json json = Json::object();
  json["requests"] = whole(num_requests);
  json["ends"] = std::move(ends);
  json["refused"] = Json::object();
  for (const auto& [reason, num] : status.refused) {
    if (num > 0) json["refused"][reason] = whole(num);
  }
  json["errors"] = whole(num_errors);
  json["prompt_tokens"] = whole(metrics.prompt_tokens_total.value());
  json["generation_tokens"] = whole(metrics.generation_tokens_total.value());
  json["cached_prompt_tokens"] = whole(metrics.prompt_tokens_cached_total.value());
  json["preemptions"] = whole(metrics.num_preemptions_total.value());
  return json;
}

Window last_minute(const History* history, const Status& status) {
  static const SpreadBounds kNone;
  if (history == nullptr) return Window(kNone);
  return history->window(static_cast<int64_t>(status.time), kMinute);
}

}  // namespace

Json summary(const ServerConfig& config, const Status& status, const History* history) {
  Json json = Json::object();
  json["time"] = status.time;
  json["server"] = server_json(config, status);
  json["now"] = now_json(status, history);
  json["minute"] = minute_json(last_minute(history, status), status.slo);
  json["totals"] = totals_json(status);
  json["slo"] = Json();
  if (has_slo(status.slo)) {
    const auto limit = [](double value) { return value > 0 ? Json(value) : Json(); };
    json["slo"] = {{"ttft_s", limit(status.slo.ttft_s)}, {"tpot_s", limit(status.slo.tpot_s)}};
  }
  return json;
}

Json replicas(const ServerConfig& config, const Status& status, const History* history) {
  const Window minute = last_minute(history, status);
  const std::string state = state_word(status);
  Json row = Json::object();
  row["id"] = "self";
  row["state"] = state == "DEPLOYING" ? "STARTING" : state == "DELETING" ? "STOPPING" : state;
  row["address"] = status.url.substr(std::min(status.url.find("://") + 3, status.url.size()));
  row["pid"] = status.pid;
  row["model"] = status.model != nullptr ? Json(status.model->names.front()) : Json();
  row["version"] = config.version;
  row["uptime_s"] = status.uptime_s;
  row["running"] = status.stats ? Json(status.stats->num_running) : Json();
  row["waiting"] = status.stats ? Json(status.stats->num_waiting) : Json();
  row["generation_tokens_per_s"] = rounded(minute.per_second(Count::kGenerationTokens));
  row["ttft_p99_s"] = rounded(minute.quantile(Spread::kTtft, 0.99));
  row["kv_usage"] =
      status.metrics != nullptr ? rounded(status.metrics->kv_cache_usage_perc.value()) : Json();
  row["prefix_hit_rate"] =
      rounded(share(minute.count(Count::kCacheHits), minute.count(Count::kCacheQueries)));
  row["last_seen_s"] = 0;
  row["error"] = Json();
  return {{"time", status.time}, {"replicas", Json::array({std::move(row)})}};
}

Json history(const History* history, int64_t now, int64_t range_s, int64_t max_points,
             const SloLimits& slo) {
  const int64_t step = History::choose_step(range_s, max_points);
  std::vector<History::Point> points;
  if (history != nullptr) points = history->points(now, range_s, step);
  Json json = Json::object();
  json["range_s"] = range_s;
  json["step_s"] = step;
  json["t"] = Json::array();
  for (const auto& point : points) json["t"].push_back(point.t);
  json["series"] = Json::object();
  for (const auto& [name, value] : columns(slo)) {
    Json& column = json["series"][name] = Json::array();
    for (const auto& point : points) column.push_back(rounded(value(point.window)));
  }
  json["ends_per_s"] = Json::object();
  for (size_t i = 0; i < kNumRequestEnds; ++i) {
    Json& column = json["ends_per_s"][std::string(kRequestEndNames[i])] = Json::array();
    for (const auto& point : points) {
      column.push_back(rounded(point.window.per_second(end_count(static_cast<RequestEnd>(i)))));
    }
  }
  return json;
}

std::string sample_event(const History* history, const SloLimits& slo) {
  const Sample* last = history != nullptr ? history->last() : nullptr;
  if (last == nullptr) return "";
  Window window(history->bounds());
  window.add(*last);
  Json json = Json::object();
  json["t"] = last->t;
  json["series"] = Json::object();
  for (const auto& [name, value] : columns(slo)) json["series"][name] = rounded(value(window));
  json["ends_per_s"] = Json::object();
  for (size_t i = 0; i < kNumRequestEnds; ++i) {
    json["ends_per_s"][std::string(kRequestEndNames[i])] =
        rounded(window.per_second(end_count(static_cast<RequestEnd>(i))));
  }
  return fmt::format("event: sample\ndata: {}\n\n", dump_json(json));
}

Json lengths(const History* history, int64_t now, int64_t range_s) {
  const int64_t step = History::choose_step(range_s, kMaxLengthColumns);
  std::vector<History::Point> points;
  if (history != nullptr) points = history->points(now, range_s, step);
  Json json = Json::object();
  json["range_s"] = range_s;
  json["step_s"] = step;
  json["t"] = Json::array();
  for (const auto& point : points) json["t"].push_back(point.t);
  for (const auto& [name, what] : {std::pair{"prompt_tokens", Spread::kPromptLength},
                                   {"output_tokens", Spread::kOutputLength}}) {
    Json map = Json::object();
    const std::vector<double> none;
    const std::vector<double>& bounds =
        history != nullptr ? history->bounds()[static_cast<size_t>(what)] : none;
    map["upper_bounds"] = Json::array();
    for (const double bound : bounds) map["upper_bounds"].push_back(whole(bound));
    map["counts"] = Json::array();
    for (const auto& point : points) {
      const auto counts = point.window.buckets(what);
      std::vector<uint64_t> row(counts.begin(), counts.end());
      row.resize(bounds.size() + 1);
      map["counts"].push_back(std::move(row));
    }
    json[name] = std::move(map);
  }
  return json;
}

namespace {

const char* priority_name(Priority priority) {
  return priority == Priority::kBackground ? "background" : "interactive";
}

void add_facts(Json& json, const RequestFacts* facts) {
  json["request_id"] = facts != nullptr ? Json(facts->request_id) : Json();
  json["trace_id"] = facts != nullptr ? text_or_null(facts->trace_id) : Json();
  json["model"] = facts != nullptr ? Json(facts->model) : Json();
  json["kind"] = facts == nullptr ? Json() : facts->is_chat ? Json("chat") : Json("completion");
  json["stream"] = facts != nullptr ? Json(facts->stream) : Json();
}

Json in_flight_json(const RequestSummary& request, const RequestFacts* facts) {
  Json json = Json::object();
  json["id"] = request.id;
  add_facts(json, facts);
  json["tenant"] = request.tenant;
  json["priority"] = priority_name(request.priority);
  json["phase"] = !request.started ? "queued" : request.ttft_s < 0 ? "prefill" : "decode";
  json["age_s"] = rounded(request.age_s);
  json["queue_s"] = request.queue_s >= 0 ? rounded(request.queue_s) : Json();
  json["ttft_s"] = request.ttft_s >= 0 ? rounded(request.ttft_s) : Json();
  json["prompt_tokens"] = request.num_prompt_tokens;
  json["cached_tokens"] = request.num_cached_tokens;
  json["computed_tokens"] = request.num_computed_tokens;
  json["output_tokens"] = request.num_output_tokens;
  json["max_tokens"] = facts != nullptr ? Json(facts->max_tokens) : Json();
  const double decode_s = request.ttft_s >= 0 ? request.age_s - request.ttft_s : 0;
  json["tokens_per_s"] =
      decode_s > 0 ? rounded(static_cast<double>(request.num_output_tokens) / decode_s) : Json();
  json["choices"] = request.num_choices;
  json["choices_running"] = request.num_running;
  json["blocks"] = request.num_blocks;
  json["preemptions"] = request.num_preemptions;
  return json;
}

Json finished_json(const FinishedRequest& request) {
  Json json = Json::object();
  json["id"] = request.id;
  add_facts(json, request.facts.get());
  json["tenant"] = request.facts->tenant;
  json["priority"] = priority_name(request.facts->priority);
  json["ended_at"] = request.ended_at;
  json["end"] = std::string(to_string(request.end));
  json["error"] = text_or_null(request.error);
  json["slow"] = request.is_slow;
  json["prompt_tokens"] = request.num_prompt_tokens;
  json["cached_tokens"] = request.num_cached_tokens;
  json["output_tokens"] = request.num_output_tokens;
  json["max_tokens"] = request.facts->max_tokens;
  json["choices"] = request.facts->num_choices;
  json["preemptions"] = request.num_preemptions;
  json["total_s"] = request.total_s;
  json["queue_s"] = request.queue_s;
  json["prefill_s"] = request.prefill_s;
  json["decode_s"] = request.decode_s;
  json["ttft_s"] = rounded(request.ttft_s);
  json["tpot_s"] = rounded(request.tpot_s);
  return json;
}

}  // namespace

Json requests(double time, bool can_cancel, const EngineState& engine, const FindFacts& facts) {
  Json json = Json::object();
  json["time"] = time;
  json["can_cancel"] = can_cancel;
  json["count"] = engine.requests.size();
  json["requests"] = Json::array();
  for (const RequestSummary& request : engine.requests) {
    if (json["requests"].size() == kMaxRequestsShown) break;
    json["requests"].push_back(in_flight_json(request, facts(request.id).get()));
  }
  return json;
}

Json recent(double time, std::string_view show, const std::vector<FinishedRequest>& requests) {
  Json json = Json::object();
  json["time"] = time;
  json["show"] = std::string(show);
  json["requests"] = Json::array();
  for (const FinishedRequest& request : requests) {
    json["requests"].push_back(finished_json(request));
  }
  return json;
}

Json config(const ServerConfig& config, bool can_cancel) {
  Json json = Json::object();
  json["version"] = config.version;
  json["build"] = config.build;
  json["can_cancel"] = can_cancel;
  json["groups"] = Json::array();
  for (const ShownSetting& setting : config.shown_settings) {
    Json& groups = json["groups"];
    if (groups.empty() || groups.back()["name"] != setting.group) {
      groups.push_back({{"name", setting.group}, {"settings", Json::array()}});
    }
    Json shown = Json::object();
    shown["name"] = setting.name;
    shown["value"] =
        setting.is_secret ? (setting.changed ? Json(true) : Json()) : text_or_null(setting.value);
    shown["help"] = setting.help;
    shown["changed"] = setting.changed;
    groups.back()["settings"].push_back(std::move(shown));
  }
  return json;
}

Json logs(int64_t after, LogLevel lowest, size_t limit) {
  const LogRange kept = kept_log_lines();
  Json json = Json::object();
  json["next"] = kept.last;
  json["dropped"] = std::max<int64_t>(kept.first - 1 - after, 0);
  json["lines"] = Json::array();
  for (const LogLine& line : recent_log_lines(after, lowest, limit)) {
    json["lines"].push_back({{"seq", line.number},
                             {"time", line.time},
                             {"level", std::string(to_string(line.level))},
                             {"text", line.text}});
  }
  return json;
}

Result<Query> Query::parse(std::string_view query) {
  Query parsed;
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(pair.size() + 1, query.size()));
    if (pair.empty()) continue;
    const size_t equals = std::min(pair.find('='), pair.size());
    std::string name;
    std::string value;
    if (!percent_decode(pair.substr(0, equals), name) ||
        !percent_decode(pair.substr(std::min(equals + 1, pair.size())), value)) {
      return invalid_argument("the query has a malformed escape");
    }
    if (!parsed.values_.emplace(name, value).second) {
      return invalid_argument(fmt::format("{}: is given twice", name.substr(0, 40)));
    }
  }
  return parsed;
}

Result<int64_t> Query::integer(const std::string& name, int64_t low, int64_t high,
                               int64_t fallback) const {
  const auto found = values_.find(name);
  if (found == values_.end()) return fallback;
  const std::string& text = found->second;
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size() && value >= low && value <= high) {
    return value;
  }
  return invalid_argument(fmt::format("{}: '{}' is not a whole number from {} to {}", name,
                                      text.substr(0, 40), low, high),
                          name);
}

Result<std::string> Query::choice(const std::string& name,
                                  const std::vector<std::string>& choices) const {
  const auto found = values_.find(name);
  if (found == values_.end()) return choices.front();
  if (std::ranges::find(choices, found->second) != choices.end()) return found->second;
  std::string known;
  for (const std::string& choice : choices) known += (known.empty() ? "" : ", ") + choice;
  return invalid_argument(
      fmt::format("{}: '{}' is not one of {}", name, found->second.substr(0, 40), known), name);
}

}  // namespace pagoda::dashboard
