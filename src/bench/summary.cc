// The figures, each beside its definition.
#include "bench/summary.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "bench/statistics.h"

namespace pagoda {
namespace {

constexpr double kNs = 1e-9;
// A client that needs more of its one core than this may be what limits the run.
constexpr double kBusyClient = 0.8;
constexpr double kLateClient_s = 0.010;

double seconds(int64_t from_ns, int64_t to_ns) {
  return static_cast<double>(to_ns - from_ns) * kNs;
}

double ttft(const RequestRecord& r) {
  return seconds(r.sent_ns, r.piece_ns.front());
}
double e2el(const RequestRecord& r) {
  return seconds(r.sent_ns, r.end_ns);
}
double tpot(const RequestRecord& r) {
  if (r.output_tokens < 2) return std::nan("");
  return (e2el(r) - ttft(r)) / static_cast<double>(r.output_tokens - 1);
}

struct Metric {
  const char* name;
  const char* definition;
  // Of one good request; NaN: it has none.
  double (*value)(const RequestRecord&);
};

constexpr std::array kMetrics = {
    Metric{"ttft_s", "time to first token: first piece of text - request sent",
           [](const RequestRecord& r) { return ttft(r); }},
    Metric{"ttft_from_intended_s", "first piece of text - time when the plan had the request sent",
           [](const RequestRecord& r) { return seconds(r.intended_ns, r.piece_ns.front()); }},
    Metric{"tpot_s", "time per output token: (e2el - ttft) / (output tokens - 1)",
           [](const RequestRecord& r) { return tpot(r); }},
    Metric{"e2el_s", "end to end: end of the answer - request sent",
           [](const RequestRecord& r) { return e2el(r); }},
    Metric{"e2el_from_intended_s", "end of the answer - time when the plan had the request sent",
           [](const RequestRecord& r) { return seconds(r.intended_ns, r.end_ns); }},
    Metric{"schedule_delay_s", "request sent - time when the plan had it sent",
           [](const RequestRecord& r) { return seconds(r.intended_ns, r.sent_ns); }},
    Metric{"tokens_per_s_per_user", "1 / tpot",
           [](const RequestRecord& r) { return 1.0 / tpot(r); }},
    Metric{"input_tokens", "tokens of the prompt, by the server's usage, else of its text as made",
           [](const RequestRecord& r) {
             const int64_t n =
                 r.usage_input_tokens >= 0 ? r.usage_input_tokens : r.asked_input_tokens;
             return n >= 0 ? static_cast<double>(n) : std::nan("");
           }},
    Metric{"output_tokens",
           "tokens of the answer, by the server's usage, else by the tokenizer, else pieces",
           [](const RequestRecord& r) { return static_cast<double>(r.output_tokens); }},
};
constexpr const char* kItl = "itl_s";
constexpr const char* kItlDefinition =
    "inter-token latency: each gap between pieces of text, of all requests together";

bool is_good(const RequestRecord& record) {
  return record.cause == FailureCause::kNone;
}

bool within(const RequestRecord& record, const Window& window) {
  const double sent = static_cast<double>(record.sent_ns) * kNs;
  return window.whole_run || (sent >= window.start_s && sent <= window.end_s);
}

Json number(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}
Json interval(const Interval& value) {
  return Json::array({number(value.low), number(value.high)});
}

Json distribution_json(const char* definition, std::vector<double> values, bool with_intervals) {
  const Distribution d = distribution_of(std::move(values));
  Json out = {{"definition", definition}, {"count", d.count}, {"mean", number(d.mean)}};
  if (with_intervals) out["mean_95"] = interval(d.mean_95);
  out["stddev"] = number(d.stddev);
  out["min"] = number(d.min);
  out["max"] = number(d.max);
  for (size_t i = 0; i < std::size(kQuantiles); ++i) {
    out[kQuantileNames[i]] = number(d.quantiles[i]);
    // Gaps of one answer depend on each other, and the interval assumes that values do not.
    if (with_intervals) out[fmt::format("{}_95", kQuantileNames[i])] = interval(d.intervals[i]);
  }
  return out;
}

// Tokens that came within the window: those of a request spread evenly over its pieces.
struct TokenCount {
  double output = 0.0;
  double input = 0.0;
  double requests = 0.0;
};
TokenCount tokens_in(const std::deque<RequestRecord>& records, const Window& window) {
  TokenCount out;
  const auto inside = [&](int64_t ns) {
    const double t = static_cast<double>(ns) * kNs;
    return t >= window.start_s && t <= window.end_s;
  };
  for (const RequestRecord& r : records) {
    if (!is_good(r)) continue;
    const auto pieces = std::count_if(r.piece_ns.begin(), r.piece_ns.end(), inside);
    out.output += static_cast<double>(pieces) * static_cast<double>(r.output_tokens) /
                  static_cast<double>(r.piece_ns.size());
    if (inside(r.piece_ns.front()) && r.usage_input_tokens > 0) {
      out.input += static_cast<double>(r.usage_input_tokens);
    }
    out.requests += inside(r.end_ns) ? 1.0 : 0.0;
  }
  return out;
}

Json throughput_json(const LoadResult& result, const Window& window, const Json& timeline) {
  const double length = window.end_s - window.start_s;
  const TokenCount tokens = tokens_in(result.records, window);
  double peak = 0.0;
  for (const Json& second : timeline) peak = std::max(peak, second["output_tokens"].get<double>());
  return {{"definition", "what came within the window / its length"},
          {"requests_per_s", number(tokens.requests / length)},
          {"output_tokens_per_s", number(tokens.output / length)},
          {"input_tokens_per_s", number(tokens.input / length)},
          {"total_tokens_per_s", number((tokens.output + tokens.input) / length)},
          // Seconds are counted whole, of which a short run has none.
          {"peak_output_tokens_per_s", result.elapsed_s >= 2.0 ? number(peak) : Json()}};
}

bool meets(const RequestRecord& r, const ServiceLevel& level) {
  // An answer of one token has no time per token to miss.
  const double per_token = tpot(r);
  return ttft(r) <= level.ttft_s && e2el(r) <= level.e2el_s &&
         (std::isnan(per_token) || per_token <= level.tpot_s);
}

Json goodput_json(const LoadResult& result, const Window& window, const ServiceLevel& level) {
  if (!level.any()) return nullptr;
  size_t met = 0;
  size_t sent = 0;
  for (const RequestRecord& r : result.records) {
    if (!within(r, window)) continue;
    ++sent;
    met += is_good(r) && meets(r, level) ? 1 : 0;
  }
  return {{"definition",
           "requests sent in the window that meet every limit / its length; a failed "
           "request meets none"},
          {"ttft_limit_s", number(level.ttft_s)},
          {"tpot_limit_s", number(level.tpot_s)},
          {"e2el_limit_s", number(level.e2el_s)},
          {"met", met},
          {"sent", sent},
          {"share", sent > 0 ? Json(static_cast<double>(met) / static_cast<double>(sent)) : Json()},
          {"requests_per_s", number(static_cast<double>(met) / (window.end_s - window.start_s))}};
}

Json requests_json(const LoadResult& result, const Window& window) {
  size_t good = 0;
  size_t counted = 0;
  size_t ended_early = 0;
  size_t zero_usage = 0;
  int64_t cached = 0;
  std::map<std::string, size_t> causes;
  Json examples = Json::object();
  for (const RequestRecord& r : result.records) {
    if (!is_good(r)) {
      ++causes[to_string(r.cause)];
      if (!examples.contains(to_string(r.cause))) examples[to_string(r.cause)] = r.message;
      continue;
    }
    ++good;
    counted += within(r, window) ? 1 : 0;
    ended_early += r.output_tokens < r.asked_output_tokens ? 1 : 0;
    zero_usage += r.usage_output_tokens == 0 && !r.piece_ns.empty() ? 1 : 0;
    cached += std::max<int64_t>(0, r.usage_cached_tokens);
  }
  Json by_cause = Json::object();
  for (const auto& [cause, count] : causes) by_cause[cause] = count;
  return {{"sent", result.records.size()},          {"succeeded", good},
          {"failed", result.records.size() - good}, {"in_window", counted},
          {"never_sent", result.num_never_sent},    {"ended_before_max_tokens", ended_early},
          {"cached_input_tokens", cached},          {"text_with_usage_of_0", zero_usage},
          {"failures", std::move(by_cause)},        {"failure_examples", std::move(examples)}};
}

// Second by second: what was sent, what ran, what came.
Json timeline_json(const LoadResult& result) {
  const auto length = static_cast<size_t>(std::ceil(std::max(result.elapsed_s, 1e-9)));
  struct Second {
    size_t sent = 0, ended = 0, failed = 0;
    double running = 0.0, output_tokens = 0.0;
    std::vector<double> ttft;
  };
  std::vector<Second> seconds_of_run(std::min<size_t>(length, 1'000'000));
  const auto at = [&](int64_t ns) -> Second& {
    const auto second = static_cast<size_t>(std::max<int64_t>(0, ns) / 1'000'000'000);
    return seconds_of_run[std::min(second, seconds_of_run.size() - 1)];
  };
  for (const RequestRecord& r : result.records) {
    ++at(r.sent_ns).sent;
    ++at(r.end_ns).ended;
    if (!is_good(r)) ++at(r.end_ns).failed;
    const double share =
        r.piece_ns.empty() || r.output_tokens < 0
            ? 0.0
            : static_cast<double>(r.output_tokens) / static_cast<double>(r.piece_ns.size());
    for (const int64_t ns : r.piece_ns) at(ns).output_tokens += share;
    if (!r.piece_ns.empty()) at(r.piece_ns.front()).ttft.push_back(ttft(r));
    for (int64_t s = r.sent_ns / 1'000'000'000; s <= r.end_ns / 1'000'000'000; ++s) {
      const double from = std::max(static_cast<double>(s), static_cast<double>(r.sent_ns) * kNs);
      const double to = std::min(static_cast<double>(s + 1), static_cast<double>(r.end_ns) * kNs);
      at(s * 1'000'000'000).running += std::max(0.0, to - from);
    }
  }
  Json out = Json::array();
  for (size_t i = 0; i < seconds_of_run.size(); ++i) {
    Second& s = seconds_of_run[i];
    std::sort(s.ttft.begin(), s.ttft.end());
    out.push_back({{"second", i},
                   {"sent", s.sent},
                   {"ended", s.ended},
                   {"failed", s.failed},
                   {"mean_running", number(s.running)},
                   {"output_tokens", number(s.output_tokens)},
                   {"ttft_p50_s", number(percentile(s.ttft, 0.5))},
                   {"ttft_max_s", number(s.ttft.empty() ? std::nan("") : s.ttft.back())}});
  }
  return out;
}

Json client_json(const LoadPlan& plan, const LoadResult& result) {
  std::vector<double> delays;
  for (const RequestRecord& r : result.records) {
    delays.push_back(seconds(r.intended_ns, r.sent_ns));
  }
  std::sort(delays.begin(), delays.end());
  const double p50 = percentile(delays, 0.5);
  // Of a moment nothing can be said.
  const double share =
      result.client_wall_s > 0.1 ? result.client_cpu_s / result.client_wall_s : 0.0;
  // With a limit of concurrency requests wait for the server, which is not the client's fault.
  const bool late = plan.open_loop && plan.concurrency == 0 && p50 > kLateClient_s;
  return {{"cpu_s", number(result.client_cpu_s)},
          {"cpu_share", number(share)},
          {"schedule_delay_p50_s", number(p50)},
          {"schedule_delay_p99_s", number(percentile(delays, 0.99))},
          {"limits_the_run", late || share > kBusyClient}};
}

}  // namespace

bool ServiceLevel::any() const {
  return std::isfinite(ttft_s) || std::isfinite(tpot_s) || std::isfinite(e2el_s);
}

Window steady_window(const LoadPlan& plan, const LoadResult& result) {
  Window window{.start_s = 0.0, .end_s = result.elapsed_s, .whole_run = true};
  double start = plan.open_loop ? plan.arrivals.ramp_s : plan.ramp_s;
  if (!plan.open_loop && result.records.size() >= plan.concurrency) {
    start =
        std::max(start, static_cast<double>(result.records[plan.concurrency - 1].sent_ns) * kNs);
  }
  if (result.sending_s - start < 0.2 * result.elapsed_s) return window;
  return {.start_s = start, .end_s = result.sending_s, .whole_run = false};
}

std::vector<double> metric_values(const std::deque<RequestRecord>& records, const Window& window,
                                  const std::string& name) {
  std::vector<double> values;
  for (const RequestRecord& r : records) {
    if (!is_good(r) || !within(r, window)) continue;
    if (name == kItl) {
      for (size_t i = 1; i < r.piece_ns.size(); ++i) {
        values.push_back(seconds(r.piece_ns[i - 1], r.piece_ns[i]));
      }
      continue;
    }
    for (const Metric& metric : kMetrics) {
      if (name != metric.name) continue;
      const double value = metric.value(r);
      if (std::isfinite(value)) values.push_back(value);
    }
  }
  return values;
}

Json summarize(const LoadPlan& plan, const LoadResult& result, const ServiceLevel& service_level,
               Json description, Json server) {
  const Window window = steady_window(plan, result);
  Json timeline = timeline_json(result);
  Json metrics = Json::object();
  for (const Metric& metric : kMetrics) {
    metrics[metric.name] = distribution_json(
        metric.definition, metric_values(result.records, window, metric.name), true);
  }
  metrics[kItl] =
      distribution_json(kItlDefinition, metric_values(result.records, window, kItl), false);
  Json out = {{"schema", "pagoda-bench/1"}, {"run", std::move(description)}};
  out["run"]["started_unix_s"] = result.unix_start_s;
  out["run"]["elapsed_s"] = result.elapsed_s;
  out["run"]["interrupted"] = result.interrupted;
  out["run"]["stopped_early"] = result.stopped_early;
  out["window"] = {
      {"start_s", window.start_s}, {"end_s", window.end_s}, {"whole_run", window.whole_run}};
  out["requests"] = requests_json(result, window);
  out["throughput"] = throughput_json(result, window, timeline);
  out["metrics"] = std::move(metrics);
  out["goodput"] = goodput_json(result, window, service_level);
  out["client"] = client_json(plan, result);
  out["timeline"] = std::move(timeline);
  out["server"] = std::move(server);
  out["warnings"] = warnings_of(out);
  return out;
}

Json record_json(const RequestRecord& r) {
  const auto time = [](int64_t ns) {
    return ns < 0 ? Json() : Json(static_cast<double>(ns) * kNs);
  };
  const auto count = [](int64_t n) { return n < 0 ? Json() : Json(n); };
  Json pieces = Json::array();
  for (const int64_t ns : r.piece_ns) pieces.push_back(static_cast<double>(ns) * kNs);
  return {{"index", r.index},
          {"server", r.server},
          {"conversation", count(r.session)},
          {"intended_s", time(r.intended_ns)},
          {"sent_s", time(r.sent_ns)},
          {"first_byte_s", time(r.first_byte_ns)},
          {"end_s", time(r.end_ns)},
          {"piece_s", std::move(pieces)},
          {"asked_input_tokens", count(r.asked_input_tokens)},
          {"asked_output_tokens", count(r.asked_output_tokens)},
          {"input_tokens", count(r.usage_input_tokens)},
          {"output_tokens", count(r.output_tokens)},
          {"cached_tokens", count(r.usage_cached_tokens)},
          {"http_status", r.http_status},
          {"finish_reason", r.finish_reason},
          {"failure", r.cause == FailureCause::kNone ? Json() : Json(to_string(r.cause))},
          {"message", r.message}};
}

std::vector<std::string> warnings_of(const Json& summary) {
  std::vector<std::string> out;
  const Json& requests = summary["requests"];
  if (requests["succeeded"] == 0) out.emplace_back("no request succeeded");
  if (requests["failed"] > 0) {
    out.push_back(fmt::format("{} of {} requests failed", requests["failed"].get<int64_t>(),
                              requests["sent"].get<int64_t>()));
  }
  if (requests["never_sent"] > 0) {
    out.push_back(
        fmt::format("{} requests were due and never sent", requests["never_sent"].get<int64_t>()));
  }
  if (requests["text_with_usage_of_0"] > 0) {
    out.push_back(fmt::format(
        "{} answers held text while the server's usage said 0 output tokens; their tokens were "
        "counted without it",
        requests["text_with_usage_of_0"].get<int64_t>()));
  }
  if (summary["run"]["interrupted"] == true) out.emplace_back("the run was interrupted");
  if (summary["client"]["limits_the_run"] == true) {
    out.push_back(fmt::format(
        "this client limits the run: it used {:.0f} % of one core and sent {:.1f} ms late (median)",
        summary["client"]["cpu_share"].get<double>() * 100.0,
        summary["client"]["schedule_delay_p50_s"].is_number()
            ? summary["client"]["schedule_delay_p50_s"].get<double>() * 1e3
            : 0.0));
  }
  return out;
}

}  // namespace pagoda
