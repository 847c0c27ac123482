// From a results file to what its page shows.
#include "bench/report_data.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "bench/results.h"

namespace pagoda {
namespace {

// More would be neither read nor drawn at once; what is left out is said on the page.
constexpr size_t kMaxRuns = 100;
constexpr size_t kMaxPoints = 300;
constexpr size_t kMaxTexts = 20;

constexpr const char* kDrawn[] = {"ttft_s", "tpot_s", "itl_s", "e2el_s"};
constexpr const char* kPlain[] = {"count", "mean", "stddev", "min", "p25", "p50",
                                  "p75",   "p90",  "p95",    "p99", "max"};
constexpr const char* kWithIntervals[] = {"mean_95", "p50_95", "p90_95", "p95_95", "p99_95"};

Json number(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}
Json number_json(const Json& value, JsonPath path) {
  return number(number_at(value, path));
}
Json interval_json(Interval value) {
  return std::isfinite(value.low) ? Json::array({value.low, value.high}) : Json(nullptr);
}

// What a value of the description says, in one line.
std::string shown(const Json& value) {
  if (value.is_string()) return text_at(Json{{"text", value}}, {"text"});
  return text_at(Json{{"text", dump_json(value)}}, {"text"});
}

std::string plain_name(std::string name) {
  std::replace(name.begin(), name.end(), '_', ' ');
  return name;
}

void add_fact(Json& facts, const std::string& name, const Json& value) {
  if (value.is_null() || facts.size() >= kMaxTexts) return;
  facts.push_back(Json::array({shown(name), shown(value)}));
}

// What was run: the objects of the description one level deep, lists with commas.
Json facts_of(const Json& run) {
  Json facts = Json::array();
  const Json& description = json_at(run, {"run"});
  if (!description.is_object()) return facts;
  for (const auto& [name, value] : description.items()) {
    // The page says these in places of their own.
    if (name == "interrupted" || name == "stopped_early" || name == "started_unix_s") continue;
    if (name == "elapsed_s") continue;
    if (value.is_object()) {
      std::string parts;
      for (const auto& [key, part] : value.items()) {
        if (part.is_null() || parts.size() > 400) continue;
        parts += fmt::format("{}{} {}", parts.empty() ? "" : ", ", plain_name(key), shown(part));
      }
      if (!parts.empty()) add_fact(facts, plain_name(name), parts);
    } else if (value.is_array()) {
      std::string parts;
      for (const Json& part : value) {
        if (parts.size() < 400) parts += (parts.empty() ? "" : ", ") + shown(part);
      }
      if (!parts.empty()) add_fact(facts, plain_name(name), parts);
    } else {
      add_fact(facts, plain_name(name), value);
    }
  }
  return facts;
}

Json warnings_json(const Json& run) {
  Json out = Json::array();
  const Json& warnings = json_at(run, {"warnings"});
  if (!warnings.is_array()) return out;
  for (const Json& warning : warnings) {
    if (out.size() < kMaxTexts) out.push_back(shown(warning));
  }
  return out;
}

Json requests_json(const Json& run) {
  Json out = Json::object();
  for (const char* name : {"sent", "succeeded", "failed", "in_window", "never_sent",
                           "ended_before_max_tokens", "cached_input_tokens"}) {
    out[name] = number_json(run, {"requests", name});
  }
  Json causes = Json::array();
  const Json& failures = json_at(run, {"requests", "failures"});
  if (failures.is_object()) {
    for (const auto& [cause, count] : failures.items()) {
      if (causes.size() >= kMaxTexts) break;
      const Json& examples = json_at(run, {"requests", "failure_examples"});
      causes.push_back({{"cause", plain_name(shown(cause))},
                        {"count", number_json(Json{{"n", count}}, {"n"})},
                        {"example", text_at(examples, {cause.c_str()})}});
    }
  }
  out["causes"] = std::move(causes);
  return out;
}

Json numbers_json(const Json& object, std::initializer_list<const char*> names) {
  if (!object.is_object()) return nullptr;
  Json out = {{"definition", text_at(object, {"definition"})}};
  for (const char* name : names) out[name] = number_json(object, {name});
  return out;
}

Json metrics_json(const Json& run) {
  Json out = Json::object();
  const Json& metrics = json_at(run, {"metrics"});
  if (!metrics.is_object()) return out;
  for (const auto& [name, metric] : metrics.items()) {
    if (!metric.is_object() || out.size() >= kMaxTexts) continue;
    Json one = {{"definition", text_at(metric, {"definition"})}};
    for (const char* figure : kPlain) one[figure] = number_json(metric, {figure});
    for (const char* figure : kWithIntervals) {
      one[figure] = interval_json(interval_at(metric, {figure}));
    }
    out[shown(name)] = std::move(one);
  }
  return out;
}

// Without records: the quantiles that the file has, as points of the cumulative distribution.
Json known_quantiles(const Json& metric) {
  Json cdf = Json::array();
  double last = -std::numeric_limits<double>::infinity();
  const auto add = [&](const char* name, double quantile) {
    const double value = number_at(metric, {name});
    if (!std::isfinite(value) || value < last) return;
    last = value;
    cdf.push_back(Json::array({value, quantile}));
  };
  add("min", 0.0);
  for (size_t i = 0; i < std::size(kQuantiles); ++i) add(kQuantileNames[i], kQuantiles[i]);
  add("max", 1.0);
  if (cdf.size() < 2) return nullptr;
  return {{"bins", Json::array()}, {"log", false}, {"from", cdf.front()[0]},
          {"to", cdf.back()[0]},   {"beyond", 0},  {"cdf", std::move(cdf)}};
}

Json distributions_json(const Json& run) {
  Json out = Json::object();
  const std::deque<RequestRecord> records = records_of(run);
  const Window window = window_of(run);
  for (const char* name : kDrawn) {
    const Json& metric = json_at(run, {"metrics", name});
    Json drawn = histogram_of(metric_values(records, window, name));
    const bool measured = !drawn.is_null();
    if (!measured) drawn = known_quantiles(metric);
    if (drawn.is_null()) continue;
    drawn["measured"] = measured;
    out[name] = std::move(drawn);
  }
  return out;
}

// Mean, greatest or last of some neighbours in time.
struct Bucket {
  double sum = 0.0;
  double count = 0.0;
  double greatest = -std::numeric_limits<double>::infinity();
  void add(double value) {
    if (!std::isfinite(value)) return;
    sum += value;
    count += 1.0;
    greatest = std::max(greatest, value);
  }
  Json mean() const { return number(sum / count); }
  Json total() const { return count > 0.0 ? number(sum) : Json(nullptr); }
  Json max() const { return number(greatest); }
};

// Seconds of the run, of a long one several together: columns of equal length.
Json timeline_of(const Json& run) {
  const Json& seconds = json_at(run, {"timeline"});
  const size_t n = seconds.is_array() ? seconds.size() : 0;
  const size_t group = (n + kMaxPoints - 1) / kMaxPoints;
  Json out = {{"step_s", group}};
  for (const char* name : {"t", "sent", "running", "failed", "tokens", "ttft_p50", "ttft_max"}) {
    out[name] = Json::array();
  }
  for (size_t first = 0; first < n; first += group) {
    Bucket sent, running, failed, tokens, p50, greatest;
    for (size_t i = first; i < std::min(n, first + group); ++i) {
      sent.add(number_at(seconds[i], {"sent"}));
      running.add(number_at(seconds[i], {"mean_running"}));
      failed.add(number_at(seconds[i], {"failed"}));
      tokens.add(number_at(seconds[i], {"output_tokens"}));
      p50.add(number_at(seconds[i], {"ttft_p50_s"}));
      greatest.add(number_at(seconds[i], {"ttft_max_s"}));
    }
    out["t"].push_back(first);
    out["sent"].push_back(sent.mean());
    out["running"].push_back(running.mean());
    out["failed"].push_back(failed.total());
    out["tokens"].push_back(tokens.mean());
    out["ttft_p50"].push_back(p50.mean());
    out["ttft_max"].push_back(greatest.max());
  }
  return out;
}

// Counters of the server become what happened since the sample before.
Json server_of(const Json& run) {
  struct Sample {
    double t;
    const Json* json;
  };
  std::vector<Sample> samples;
  const Json& all = json_at(run, {"server", "samples"});
  if (all.is_array()) {
    for (const Json& sample : all) {
      const double t = number_at(sample, {"t_s"});
      if (std::isfinite(t)) samples.push_back({t, &sample});
    }
  }
  std::stable_sort(samples.begin(), samples.end(),
                   [](const Sample& a, const Sample& b) { return a.t < b.t; });
  Json out = Json::object();
  for (const char* name : {"t", "running", "waiting", "kv", "hit_rate", "preempted"}) {
    out[name] = Json::array();
  }
  const size_t step = (samples.size() + kMaxPoints - 1) / kMaxPoints;
  const Json* before = nullptr;
  for (size_t i = 0; i < samples.size(); i += step) {
    const Json& now = *samples[i].json;
    const auto since = [&](const char* name) {
      if (before == nullptr) return std::numeric_limits<double>::quiet_NaN();
      return number_at(now, {name}) - number_at(*before, {name});
    };
    out["t"].push_back(samples[i].t);
    out["running"].push_back(number_json(now, {"running"}));
    out["waiting"].push_back(number_json(now, {"waiting"}));
    out["kv"].push_back(number_json(now, {"kv_usage"}));
    const double queries = since("prefix_queries");
    out["hit_rate"].push_back(queries > 0.0 ? number(since("prefix_hits") / queries)
                                            : Json(nullptr));
    // A server that was started again counts from nought.
    const double preempted = since("preemptions");
    out["preempted"].push_back(preempted >= 0.0 ? Json(preempted) : Json(nullptr));
    before = &now;
  }
  return out;
}

Json run_json(const Json& run, std::string label) {
  const Window window = window_of(run);
  Json out = {{"label", std::move(label)},
              {"model", text_at(run, {"run", "model"})},
              {"started_unix_s", number_json(run, {"run", "started_unix_s"})},
              {"elapsed_s", number_json(run, {"run", "elapsed_s"})},
              {"facts", facts_of(run)},
              {"warnings", warnings_json(run)},
              {"requests", requests_json(run)}};
  out["window"] = window.whole_run ? Json() : Json::array({window.start_s, window.end_s});
  out["throughput"] = numbers_json(json_at(run, {"throughput"}),
                                   {"requests_per_s", "output_tokens_per_s", "input_tokens_per_s",
                                    "total_tokens_per_s", "peak_output_tokens_per_s"});
  out["goodput"] = numbers_json(
      json_at(run, {"goodput"}),
      {"ttft_limit_s", "tpot_limit_s", "e2el_limit_s", "met", "sent", "share", "requests_per_s"});
  out["client"] = numbers_json(json_at(run, {"client"}), {"cpu_share", "schedule_delay_p99_s"});
  out["metrics"] = metrics_json(run);
  out["distributions"] = distributions_json(run);
  out["timeline"] = timeline_of(run);
  out["server"] = server_of(run);
  return out;
}

// One figure of a load level: of a single run with the interval it came with, of several their mean
// and Student's interval.
Json level_figure(const LoadLevel& level, JsonPath path, JsonPath interval) {
  const std::vector<double> values = figures_of(level.runs, path);
  const Interval around = values.size() > 1     ? mean_interval(values)
                          : interval.size() > 0 ? interval_at(*level.runs.front(), interval)
                                                : interval_at(Json(), {});
  const double mean = mean_of(values);
  return {{"value", number(mean)},
          {"interval", std::isfinite(around.high) ? interval_json(around) : Json(nullptr)}};
}

Json level_json(const LoadLevel& level) {
  Json out = {{"label", level.label}, {"load", number(level.load)}, {"runs", level.runs.size()}};
  out["output_tokens_per_s"] = level_figure(level, {"throughput", "output_tokens_per_s"}, {});
  out["requests_per_s"] = level_figure(level, {"throughput", "requests_per_s"}, {});
  out["goodput"] = level_figure(level, {"goodput", "requests_per_s"}, {});
  out["failed"] = level_figure(level, {"requests", "failed"}, {});
  for (const char* metric : kDrawn) {
    for (const char* quantile : {"p50", "p99"}) {
      const std::string with_interval = std::string(quantile) + "_95";
      out[fmt::format("{}_{}", metric, quantile)] = level_figure(
          level, {"metrics", metric, quantile}, {"metrics", metric, with_interval.c_str()});
    }
  }
  return out;
}

}  // namespace

Json histogram_of(std::vector<double> values) {
  if (values.empty()) return nullptr;
  std::sort(values.begin(), values.end());
  const double p50 = percentile(values, 0.5);
  const double p99 = percentile(values, 0.99);
  // Decades of tail would leave a linear axis one full bin and an empty rest.
  const bool log = p50 > 0.0 && p99 > 12.0 * p50;
  const auto place = [log](double value) { return log ? std::log10(value) : value; };
  double from = log ? std::max(values.front(), p50 / 100.0) : values.front();
  if (!log && from > 0.0 && from < 0.4 * p50) from = 0.0;
  double to = std::max(std::min(values.back(), p99 * (log ? 3.0 : 1.25)), p99);
  if (!(to > from)) {
    to = from + std::max(std::fabs(from) * 0.1, 1e-6);
    from = std::max(0.0, from - (to - from));
  }
  const auto n = static_cast<double>(values.size());
  const auto num_bins = static_cast<size_t>(std::clamp(2.0 * std::cbrt(n), 10.0, 48.0));
  std::vector<size_t> bins(num_bins, 0);
  size_t beyond = 0;
  for (const double value : values) {
    if (value > to) {
      ++beyond;
      continue;
    }
    const double share = (place(std::max(value, from)) - place(from)) / (place(to) - place(from));
    ++bins[std::min(static_cast<size_t>(share * static_cast<double>(num_bins)), num_bins - 1)];
  }
  Json cdf = Json::array();
  constexpr size_t kSteps = 200;
  for (size_t i = 0; i <= kSteps; ++i) {
    const double quantile = static_cast<double>(i) / static_cast<double>(kSteps);
    cdf.push_back(Json::array({percentile(values, quantile), quantile}));
  }
  return {{"bins", bins},     {"log", log},           {"from", from},         {"to", to},
          {"beyond", beyond}, {"max", values.back()}, {"cdf", std::move(cdf)}};
}

Json report_data(const Json& results) {
  Json out = {{"error", nullptr}, {"runs", Json::array()}, {"levels", Json::array()}};
  const auto runs = runs_of(results);
  if (!runs.ok()) {
    out["error"] = runs.error().message;
    return out;
  }
  size_t left_out = 0;
  for (const LoadLevel& level : load_levels(*runs)) {
    if (out["levels"].size() < kMaxRuns) out["levels"].push_back(level_json(level));
    for (size_t i = 0; i < level.runs.size(); ++i) {
      if (out["runs"].size() >= kMaxRuns) {
        ++left_out;
        continue;
      }
      std::string label = level.label;
      if (level.runs.size() > 1) label += fmt::format(" #{}", i + 1);
      out["runs"].push_back(run_json(*level.runs[i], std::move(label)));
    }
  }
  out["left_out"] = left_out;
  return out;
}

}  // namespace pagoda
