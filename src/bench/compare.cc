// Ratios, intervals and the words for them.
#include "bench/compare.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "base/printable.h"
#include "bench/results.h"

namespace pagoda {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

enum class Wanted { kLess, kMore, kNeither };

struct ComparedMetric {
  const char* name;
  const char* title;
  Wanted wanted;
  bool independent;  // its values, so that they may be resampled
};
constexpr ComparedMetric kMetrics[] = {
    {"ttft_s", "TTFT", Wanted::kLess, true},
    {"ttft_from_intended_s", "TTFT from schedule", Wanted::kLess, true},
    {"tpot_s", "TPOT", Wanted::kLess, true},
    {"itl_s", "ITL", Wanted::kLess, false},
    {"e2el_s", "E2E", Wanted::kLess, true},
    {"e2el_from_intended_s", "E2E from schedule", Wanted::kLess, true},
    // Not better or worse: whether both had the same work.
    {"input_tokens", "input tokens", Wanted::kNeither, true},
    {"output_tokens", "output tokens", Wanted::kNeither, true},
};

struct ComparedRate {
  const char* part;
  const char* name;
  const char* title;
};
constexpr ComparedRate kRates[] = {
    {"throughput", "output_tokens_per_s", "output tokens/s"},
    {"throughput", "total_tokens_per_s", "all tokens/s"},
    {"throughput", "requests_per_s", "requests/s"},
    {"goodput", "requests_per_s", "goodput, requests/s"},
};

struct Statistic {
  const char* name;
  double quantile;  // below 0: the mean
};
constexpr Statistic kStatistics[] = {{"mean", -1.0}, {"p50", 0.5}, {"p99", 0.99}};

// Values of all requests that count, of all runs together; each run has its own window.
std::vector<double> values_of(const std::vector<std::deque<RequestRecord>>& records,
                              const LoadLevel& level, const char* name) {
  std::vector<double> out;
  for (size_t i = 0; i < records.size(); ++i) {
    const std::vector<double> more = metric_values(records[i], window_of(*level.runs[i]), name);
    out.insert(out.end(), more.begin(), more.end());
  }
  return out;
}

std::vector<std::deque<RequestRecord>> all_records(const LoadLevel& level) {
  std::vector<std::deque<RequestRecord>> out;
  out.reserve(level.runs.size());
  for (const Json* run : level.runs) out.push_back(records_of(*run));
  return out;
}

void judge(ComparedFigure& figure, Wanted wanted) {
  figure.ratio = figure.a > 0.0 ? figure.b / figure.a : kNaN;
  if (!std::isfinite(figure.ratio)) figure.ratio_95 = {kNaN, kNaN};
  if (wanted == Wanted::kNeither || !std::isfinite(figure.ratio_95.low)) return;
  const bool less = figure.ratio_95.high < 1.0;
  const bool more = figure.ratio_95.low > 1.0;
  if (!less && !more) {
    figure.verdict = "no difference shown";
  } else {
    figure.verdict = less == (wanted == Wanted::kLess) ? "better" : "worse";
  }
}

// From a figure of each run: their means, and an interval if both have repeats.
ComparedFigure figure_of_runs(std::string name, const LoadLevel& a, const LoadLevel& b,
                              JsonPath path) {
  ComparedFigure out;
  out.name = std::move(name);
  const std::vector<double> of_a = figures_of(a.runs, path);
  const std::vector<double> of_b = figures_of(b.runs, path);
  out.a = mean_of(of_a);
  out.b = mean_of(of_b);
  out.ratio_95 = ratio_of_runs_interval(of_a, of_b);
  const bool repeats = of_a.size() > 1 && of_b.size() > 1;
  out.basis =
      repeats ? fmt::format("{} and {} runs", of_a.size(), of_b.size()) : "one run, no interval";
  return out;
}

struct Side {
  const LoadLevel& level;
  std::vector<std::deque<RequestRecord>> records;
};

void compare_metric(const ComparedMetric& metric, const Side& a, const Side& b, ComparedLoad& out) {
  std::vector<double> of_a = values_of(a.records, a.level, metric.name);
  std::vector<double> of_b = values_of(b.records, b.level, metric.name);
  std::sort(of_a.begin(), of_a.end());
  std::sort(of_b.begin(), of_b.end());
  const bool resampled = metric.independent && of_a.size() > 1 && of_b.size() > 1;
  std::vector<Interval> intervals;
  if (resampled) {
    std::vector<double> quantiles;
    for (const Statistic& statistic : kStatistics) quantiles.push_back(statistic.quantile);
    intervals = ratio_intervals(of_a, of_b, quantiles);
    out.ranks.push_back({metric.title, of_a.size(), of_b.size(), rank_test_p(of_a, of_b)});
  }
  for (size_t i = 0; i < std::size(kStatistics); ++i) {
    const Statistic& statistic = kStatistics[i];
    ComparedFigure figure =
        figure_of_runs(fmt::format("{} {}", metric.title, statistic.name), a.level, b.level,
                       {"metrics", metric.name, statistic.name});
    if (resampled) {
      const bool mean = statistic.quantile < 0.0;
      figure.a = mean ? mean_of(of_a) : percentile(of_a, statistic.quantile);
      figure.b = mean ? mean_of(of_b) : percentile(of_b, statistic.quantile);
      figure.ratio_95 = intervals[i];
      figure.basis = fmt::format("{} and {} requests", of_a.size(), of_b.size());
    }
    if (!std::isfinite(figure.a) && !std::isfinite(figure.b)) continue;
    const std::string_view name = metric.name;
    figure.is_time = name.ends_with("_s");
    judge(figure, metric.wanted);
    out.figures.push_back(std::move(figure));
  }
}

// In a closed loop requests are sent when they are due, and what counts from the schedule says
// nothing new.
void drop_repeated(ComparedLoad& load) {
  std::vector<ComparedFigure>& figures = load.figures;
  const auto close = [](double x, double y) { return std::fabs(x - y) <= 0.01 * std::fabs(y); };
  const auto repeated = [&](const ComparedFigure& figure) {
    constexpr std::string_view kSchedule = " from schedule";
    const size_t at = figure.name.find(kSchedule);
    if (at == std::string::npos) return false;
    std::string plain = figure.name;
    plain.erase(at, kSchedule.size());
    return std::any_of(figures.begin(), figures.end(), [&](const ComparedFigure& other) {
      return other.name == plain && close(figure.a, other.a) && close(figure.b, other.b);
    });
  };
  std::vector<ComparedFigure> kept;
  for (const ComparedFigure& figure : figures) {
    if (!repeated(figure)) kept.push_back(figure);
  }
  figures = std::move(kept);
  std::vector<ComparedRanks> ranks;
  for (const ComparedRanks& of : load.ranks) {
    if (std::any_of(figures.begin(), figures.end(), [&](const ComparedFigure& figure) {
          return figure.name.starts_with(of.name + " ");
        })) {
      ranks.push_back(of);
    }
  }
  load.ranks = std::move(ranks);
}

ComparedLoad compare_load(const LoadLevel& a, const LoadLevel& b) {
  ComparedLoad out{a.label, b.label, a.runs.size(), b.runs.size(), {}, {}};
  for (const ComparedRate& rate : kRates) {
    ComparedFigure figure = figure_of_runs(rate.title, a, b, {rate.part, rate.name});
    if (!std::isfinite(figure.a) && !std::isfinite(figure.b)) continue;
    judge(figure, Wanted::kMore);
    out.figures.push_back(std::move(figure));
  }
  const Side side_a{a, all_records(a)};
  const Side side_b{b, all_records(b)};
  for (const ComparedMetric& metric : kMetrics) compare_metric(metric, side_a, side_b, out);
  drop_repeated(out);
  ComparedFigure failed = figure_of_runs("failed requests", a, b, {"requests", "failed"});
  if (std::isfinite(failed.a) || std::isfinite(failed.b)) {
    judge(failed, Wanted::kNeither);
    out.figures.push_back(std::move(failed));
  }
  return out;
}

// Three digits that count; whole numbers from 100 on.
std::string three_digits(double value) {
  return std::fabs(value) < 100.0 ? fmt::format("{:.3g}", value) : fmt::format("{:.0f}", value);
}

std::string shown(const ComparedFigure& figure, double value) {
  if (!std::isfinite(value)) return "-";
  if (!figure.is_time) return three_digits(value);
  return std::fabs(value) < 1.0 ? three_digits(value * 1e3) + " ms" : three_digits(value) + " s";
}

std::string runs_text(size_t count) {
  return fmt::format("{} run{}", count, count == 1 ? "" : "s");
}

std::string figures_text(const std::vector<ComparedFigure>& figures) {
  std::string out = fmt::format("{:<24} {:>10} {:>10} {:>7} {:>16}  {:<20} {}\n", "", "A", "B",
                                "B/A", "95 % interval", "verdict", "interval from");
  for (const ComparedFigure& f : figures) {
    const std::string ratio = std::isfinite(f.ratio) ? fmt::format("{:.3f}", f.ratio) : "-";
    const std::string interval =
        std::isfinite(f.ratio_95.low)
            ? fmt::format("{:.3f} to {:.3f}", f.ratio_95.low, f.ratio_95.high)
            : "-";
    out += fmt::format("{:<24} {:>10} {:>10} {:>7} {:>16}  {:<20} {}\n", f.name, shown(f, f.a),
                       shown(f, f.b), ratio, interval, f.verdict, f.basis);
  }
  return out;
}

std::string ranks_text(const std::vector<ComparedRanks>& ranks) {
  if (ranks.empty()) return "";
  std::string out =
      fmt::format("\n{:<24} {:>10} {:>10} {:>7}\n", "rank test", "A values", "B values", "p");
  for (const ComparedRanks& of : ranks) {
    const std::string p = of.p < 0.0001 ? "<0.0001" : fmt::format("{:.4f}", of.p);
    out += fmt::format("{:<24} {:>10} {:>10} {:>7}\n", of.name, of.num_a, of.num_b, p);
  }
  return out;
}

Json number(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}

}  // namespace

Result<Comparison> compare_results(const Json& a, const Json& b) {
  const auto runs_a = runs_of(a);
  if (!runs_a.ok()) return invalid_argument("A: " + runs_a.error().message);
  const auto runs_b = runs_of(b);
  if (!runs_b.ok()) return invalid_argument("B: " + runs_b.error().message);
  const std::vector<LoadLevel> levels_a = load_levels(*runs_a);
  const std::vector<LoadLevel> levels_b = load_levels(*runs_b);
  Comparison out;
  out.model_a = text_at(*runs_a->front(), {"run", "model"});
  out.model_b = text_at(*runs_b->front(), {"run", "model"});
  if (levels_a.size() == 1 && levels_b.size() == 1) {
    out.loads.push_back(compare_load(levels_a.front(), levels_b.front()));
    return out;
  }
  for (const LoadLevel& of_a : levels_a) {
    const auto same = std::find_if(levels_b.begin(), levels_b.end(),
                                   [&](const LoadLevel& l) { return l.label == of_a.label; });
    if (same != levels_b.end()) out.loads.push_back(compare_load(of_a, *same));
  }
  if (out.loads.empty()) return invalid_argument("the files have no load in common");
  return out;
}

std::string comparison_text(const Comparison& comparison) {
  std::string out =
      fmt::format("A: {}\nB: {}\n", printable(comparison.model_a), printable(comparison.model_b));
  bool judged = false;
  bool ranked = false;
  for (const ComparedLoad& load : comparison.loads) {
    out += fmt::format("\nA: {}, {}    B: {}, {}\n", printable(load.load_a), runs_text(load.runs_a),
                       printable(load.load_b), runs_text(load.runs_b));
    if (load.load_a != load.load_b) out += "the loads differ: read the figures with care\n";
    out += figures_text(load.figures);
    out += ranks_text(load.ranks);
    judged = judged || std::any_of(load.figures.begin(), load.figures.end(),
                                   [](const ComparedFigure& f) { return !f.verdict.empty(); });
    ranked = ranked || !load.ranks.empty();
  }
  if (judged) {
    out +=
        "\nverdict: by the 95 % interval of B/A and nothing else. better, worse: it leaves out 1, "
        "which one line\nin twenty does by chance. Intervals from requests say nothing of what "
        "differs from run to run: repeat\nruns for that.\n";
  }
  if (ranked) {
    out +=
        "\np: chance of ranks so different if all requests of both came from one distribution "
        "(Mann and Whitney).\nIt sees a shift of the whole and not its size, a verdict sees one "
        "figure: they may disagree, and both\nbe right.\n";
  }
  return out;
}

Json comparison_json(const Comparison& comparison) {
  Json out = {{"schema", "pagoda-bench-comparison/2"},
              {"model_a", comparison.model_a},
              {"model_b", comparison.model_b},
              {"loads", Json::array()}};
  for (const ComparedLoad& load : comparison.loads) {
    Json figures = Json::array();
    for (const ComparedFigure& f : load.figures) {
      figures.push_back({{"name", f.name},
                         {"unit", f.is_time ? Json("s") : Json(nullptr)},
                         {"a", number(f.a)},
                         {"b", number(f.b)},
                         {"ratio", number(f.ratio)},
                         {"ratio_95", std::isfinite(f.ratio_95.low)
                                          ? Json::array({f.ratio_95.low, f.ratio_95.high})
                                          : Json(nullptr)},
                         {"basis", f.basis},
                         {"verdict", f.verdict.empty() ? Json(nullptr) : Json(f.verdict)}});
    }
    Json ranks = Json::array();
    for (const ComparedRanks& of : load.ranks) {
      ranks.push_back(
          {{"name", of.name}, {"a_values", of.num_a}, {"b_values", of.num_b}, {"p", number(of.p)}});
    }
    out["loads"].push_back({{"load_a", load.load_a},
                            {"load_b", load.load_b},
                            {"runs_a", load.runs_a},
                            {"runs_b", load.runs_b},
                            {"figures", std::move(figures)},
                            {"ranks", std::move(ranks)}});
  }
  return out;
}

Result<std::string> compare_runs(const Json& a, const Json& b) {
  ASSIGN_OR_RETURN(const Comparison comparison, compare_results(a, b));
  return comparison_text(comparison);
}

}  // namespace pagoda
